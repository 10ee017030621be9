"""Kinds of wrong numbers: counts held in float32, absent figures taken for failed ones, numbers that are keys."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import pandas as pd
import pytest
import synthetic
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from problems import comparison, programs
from test_analysis import history_of

from jaxcompare import analysis, diagnostics, plots
from jaxcompare.components import models, optimizers, precision
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.overrides import apply
from jaxcompare.config.parse import parse
from jaxcompare.data import scaling
from jaxcompare.engine import segment
from jaxcompare.engine.train_step import evaluate, init_state, make_hparams, make_recipe, make_train_step, observe
from jaxcompare.execution import tables as tables_module
from jaxcompare.execution.table_files import write_tables
from jaxcompare.planning import batches
from jaxcompare.planning.cadence import evaluated_epochs
from jaxcompare.plots import hues, panels, style
from jaxcompare.report import lines
from jaxcompare.report.cells import figure, number, share, whole
from jaxcompare.tensorboard import run_name
from jaxcompare.types import Batch, Layer
from jaxcompare.words import ENGLISH, concise, rounded

FIRST = [933, 959, 939, 935, 952, 934, 936, 945, 936, 952]  # right answers of 1000, seed by seed
SECOND = [932, 957, 936, 935, 951, 935, 935, 942, 937, 951]


def shares(counts, n=1000):
    """Accuracies as a program measures them."""
    return np.float32(counts) / np.float32(n)


def test_counts_in_float32_have_the_sign_flip_p_of_the_counts():
    exact = analysis.sign_flip_p(np.subtract(FIRST, SECOND))
    assert exact == pytest.approx(0.08984375)
    assert analysis.paired_difference(shares(FIRST), shares(SECOND)).p_sign_flip == exact
    assert analysis.paired_difference(np.divide(FIRST, 1000), np.divide(SECOND, 1000)).p_sign_flip == exact


@pytest.mark.parametrize("n", [359, 1000, 10_000, 60_000])
def test_counts_in_float32_have_the_sign_flip_p_of_random_counts(n):
    random = np.random.default_rng(n)
    for _ in range(50):
        first, second = random.binomial(n, 0.9, (2, 8))
        exact = analysis.sign_flip_p(first - second)
        assert analysis.paired_difference(shares(first, n), shares(second, n)).p_sign_flip == exact


def test_equal_counts_are_ties_however_they_were_rounded():
    paired = analysis.paired_difference(np.float32([0.9, 0.8, 0.7, 0.6, 0.5]), [0.9, 0.8, 0.7, 0.6, 0.5])
    assert (paired.wins, paired.ties, paired.p_t) == (0, 5, 1.0)
    assert np.isnan(paired.effect)


def test_equal_differences_have_no_spread_however_they_were_rounded():
    paired = analysis.paired_difference(shares([900, 910, 933, 947, 951]), shares([897, 907, 930, 944, 948]))
    assert (paired.wins, paired.ties, paired.p_t) == (5, 0, 0.0)
    assert paired.effect == np.inf


def test_a_target_is_reached_by_the_count_that_reaches_it():
    replicas, history = history_of([0.5, np.float32(0.9), 0.95])  # 0.9 in float32 is below 0.9
    replicas["validation_examples"] = 1000
    assert analysis.finals(replicas, history, {"mine": 0.9})["steps_to_target"].item() == history["step"].iloc[1]


def test_equal_sums_of_counts_are_one_score():
    """Sums of floats depend on their order; a tie in accuracy is decided by the loss."""
    means = [np.mean([0.1, 0.2, 0.3]), np.mean([0.3, 0.2, 0.1])]
    assert means[0] != means[1]
    rows = {"validation_accuracy_mean": means, "validation_accuracy_median": 0.2, "train_subset_accuracy_mean": 0.2}
    rows |= {"train_subset_accuracy_median": 0.2, "validation_loss_median": [0.1, 0.5], "n_failed": 0}
    for order in ([0, 1], [1, 0]):
        summary = pd.DataFrame(rows).iloc[order]
        assert analysis.ranked(summary)["validation_loss_median"].tolist() == [0.1, 0.5]


def test_trials_that_tie_count_with_the_mean_of_what_they_report():
    reported = [0.8, 0.6, 0.7]
    tied = analysis.expected_best([0.9, 0.9, 0.5], reported)
    assert tied[-1] == pytest.approx(analysis.expected_best([0.9, 0.9, 0.5], [0.6, 0.8, 0.7])[-1])
    assert analysis.expected_best([0.9, 0.9, 0.5], reported, replacement=False)[-1] == pytest.approx(0.7)


def test_what_was_not_measured_has_not_failed():
    """Without a validation split no run missed a target, and no mean is missing because of a failure."""
    replicas, history = history_of([0.5, 0.9, 0.95])
    history["validation_accuracy"] = np.nan
    replicas["validation_examples"] = 0
    runs = analysis.finals(replicas, history, {"mine": 0.9})
    assert runs["steps_to_target"].isna().all()
    assert not runs["diverged"].any()
    row = analysis.summarise(replicas, history, {"mine": 0.9}).iloc[0]
    assert np.isnan(row["reached"])
    assert figure(ENGLISH, row, "validation_accuracy") == "not measured"
    assert whole(ENGLISH, row["steps_to_target_median"]) == "-"


def test_a_run_is_stuck_by_the_examples_that_were_evaluated():
    """A training set of 60 is evaluated on 60 examples, even if train_subset is 2000."""
    replicas, history = history_of([0.5, 0.62])
    history["train_subset_accuracy"], history["validation_accuracy"] = history["validation_accuracy"], np.nan
    replicas = replicas.assign(validation_examples=0, train_subset=2000, train_examples=60, chance_accuracy=0.5)
    assert analysis.finals(replicas, history)["stuck"].item()  # 0.5 + 2 * 0.065
    assert not analysis.finals(replicas.assign(train_examples=5000), history)["stuck"].item()


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1e-20, 1.0, 1e19, 1e30, 9e37])
def test_norms_and_deviations_of_any_size(size):
    """Squares of what is below 1e-19 or above 1e19 are 0 or infinite in float32."""
    values = np.float32(size) * np.random.default_rng(0).uniform(-1, 1, (5, 6)).astype(np.float32)
    exact = values.astype(float)
    assert diagnostics.tree_norm(values) == pytest.approx(np.linalg.norm(exact), rel=1e-6)
    layers = {"hidden_1": Layer(jnp.array(values), jnp.array(values))}
    spread = diagnostics.activation_statistics(layers, jnp.array([-jnp.inf, jnp.inf]))["activation_std"].item()
    assert spread == pytest.approx(exact.std(), rel=1e-5)


@pytest.mark.parametrize(("values", "norm"), [([0.0, 0.0], 0.0), ([np.inf, 1.0], np.inf), ([3e38, 3e38], np.inf)])
def test_norms_at_the_ends(values, norm):
    assert diagnostics.tree_norm(jnp.array(values)) == norm
    assert np.isnan(diagnostics.tree_norm(jnp.array([*values, np.nan])))


def test_norms_of_ordinary_size_keep_their_bits():
    tree = [np.random.default_rng(0).normal(size=size).astype(np.float32) for size in ((30, 20), 20)]
    plain = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in tree))
    assert diagnostics.tree_norm(tree) == plain


def test_gradients_through_many_sigmoids_are_not_zero():
    model = models.mlp(hidden=(8,) * 16, classes=3)
    recipe, hparams = make_recipe(model, activation="sigmoid", optimizer="sgd"), make_hparams(0.1, total_steps=1)
    batch = Batch(jnp.ones((4, 2)), jnp.arange(4) % 3)
    state = init_state(jax.random.key(0), recipe, hparams, batch.x)
    state = state._replace(params=jax.tree.map(lambda leaf: 0.05 * leaf, state.params))
    observed = observe(recipe, state, batch, hparams)
    norm = diagnostics.gradient_flow(observed)["gradient_norm"][0]
    exact = [np.asarray(leaf, float) for leaf in jax.tree.leaves(observed.gradients["hidden_1"])]
    assert 0 < norm < 1e-19
    assert norm == pytest.approx(np.sqrt(sum((leaf**2).sum() for leaf in exact)), rel=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e20, 2e38])
def test_finite_gradients_of_any_size_are_clipped_to_the_norm(size):
    inputs = jnp.array([[1.0, -0.5], [0.3, 1.0]])

    def steep(logits, labels):
        return jnp.float32(size) * jnp.sum(logits * labels, axis=-1)

    recipe = make_recipe(models.mlp(hidden=(4,), classes=2), optimizer="sgd", activation="tanh")
    recipe = recipe._replace(losses=(steep,), optimizer=lambda learning_rate: optax.sgd(learning_rate))
    hparams = make_hparams(1.0, clip_norm=0.25)
    batch = Batch(inputs, jnp.array([0, 1]))
    state = init_state(jax.random.key(1), recipe, hparams, batch.x)
    after, _ = jax.jit(make_train_step(recipe))(state, batch, hparams)
    moved = jax.tree.map(lambda new, old: np.asarray(new, float) - np.asarray(old, float), after.params, state.params)
    norm = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(moved)))
    assert norm == pytest.approx(0.25, rel=1e-4)


def test_evaluated_losses_are_of_the_labels_not_of_smoothed_ones():
    recipe = make_recipe(models.mlp(hidden=(4,), classes=3))
    batch = Batch(jnp.eye(3, 2), jnp.arange(3))
    smoothed, plain = (make_hparams(0.1, label_smoothing=amount) for amount in (0.4, 0.0))
    params = init_state(jax.random.key(0), recipe, plain, batch.x).params
    params = jax.tree.map(lambda leaf: 9 * leaf, params)
    scaling = (jnp.ones(()), jnp.zeros(()))
    losses = [evaluate(recipe, params, [batch], hparams, scaling)[0]["loss"] for hparams in (smoothed, plain)]
    assert losses[0] == losses[1]
    objective = [
        make_train_step(recipe)(init_state(jax.random.key(0), recipe, hparams, batch.x), batch, hparams)[1]["loss"]
        for hparams in (smoothed, plain)
    ]
    assert objective[0] != objective[1]


@pytest.mark.parametrize("norms", [[np.nan, 2, 4], [2, 4, np.nan], [0.98, np.inf, 2.2, np.inf], [np.inf, 1, 2]])
def test_ratios_of_norms_that_are_not_finite_are_not_of_other_layers_and_not_zero(norms):
    rows = {"replica_id": "x", "epoch": 0, "layer_index": range(len(norms)), "gradient_norm": norms}
    layers = pd.DataFrame(rows).assign(layer=lambda table: table["layer_index"].map("hidden_{}".format))
    assert analysis.gradient_ratio(layers)["gradient_ratio"].isna().all()
    flow = analysis.gradient_flow(layers, pd.DataFrame({"replica_id": ["x"], "variant_id": ["v"]}))
    known = np.isfinite(norms) & np.isfinite(norms[-1])
    assert flow["of_last"].notna().tolist() == known.tolist()
    assert analysis.vanished_layer(flow).empty


@pytest.mark.parametrize(("scale", "measured"), [(2.0**10, True), (2.0**40, False)])
def test_gradients_that_overflow_at_the_loss_scale_are_not_measured(scale, measured):
    made = {"model": models.mlp(hidden=(16, 16), classes=3), "optimizer": "sgd"}
    half = make_recipe(**made, policy=precision.resolve("float16", precision.LossScaling(scale, 200, 2.0, 1.0)))
    batch, hparams = Batch(jax.random.normal(jax.random.key(1), (8, 2)), jnp.arange(8) % 3), make_hparams(0.1)
    state = init_state(jax.random.key(0), half, hparams, batch.x)
    norms = diagnostics.gradient_flow(observe(half, state, batch, hparams))
    full = observe(make_recipe(**made), state._replace(loss_scale=None), batch, hparams)
    exact = diagnostics.gradient_flow(full)
    for name in ("gradient_norm", "update_ratio"):
        expected = exact[name] if measured else np.full(3, np.nan)
        np.testing.assert_allclose(norms[name], expected, rtol=0.01)
    lost = diagnostics.underflow(full.gradients, observe(half, state, batch, hparams).gradients)["gradient_underflow"]
    assert np.isfinite(lost).all() == measured


def study_of(**grid):
    return parse("mine", {"base": {"dataset": "moons", "optimizer": "adamw"}, "study": [{"grid": grid}]}).studies[0]


def test_numbers_that_g_does_not_tell_apart_have_labels_of_their_own():
    labels = [variant.label for variant in study_of(weight_decay=[0.1, 0.10000001, 0.2]).variants]
    assert labels == ["decay 0.1", "decay 0.10000001", "decay 0.2"]
    assert [variant.label for variant in study_of(learning_rate=[10**-2.5, 0.1]).variants] == [
        "rate 0.00316228",
        "rate 0.1",
    ]


@pytest.mark.parametrize("levels", [[0.1, 0.1000000001], [0.0, -0.0], [1, 1.0]])
def test_numbers_that_train_the_same_are_one_level(levels):
    with pytest.raises(ConfigError, match="repeated"):
        study_of(weight_decay=levels)


@pytest.mark.parametrize("number", [1e-60, 1e39, -1e39])
def test_numbers_that_float32_does_not_hold_are_refused(number):
    with pytest.raises(ConfigError, match=r"float32|range"):
        study_of(**{"options.a": [number], "optimizer": ["mine:optimizer"]})


def tables_of(column, levels):
    """Two variants whose levels differ in one factor."""
    tables = synthetic.tables("mine")
    chosen = tables["replicas"]["variant_id"].unique()[:2]
    replicas = tables["replicas"][tables["replicas"]["variant_id"].isin(chosen)].copy()
    first = replicas.iloc[0]
    for name in analysis.factors(replicas):
        replicas[name] = first[name]
    replicas[column] = replicas["variant_id"].map(dict(zip(chosen, levels, strict=True)))
    replicas["compared"], replicas["tuned"], replicas["fixed"] = column, "", ""
    return replicas, tables["history"][tables["history"]["replica_id"].isin(replicas["replica_id"])]


@pytest.mark.parametrize(
    ("column", "levels", "texts"),
    [
        ("weight_decay", [0.1, 0.10000001], ["0.1", "0.10000001"]),
        ("samples", [1000000.0, 1000001.0], ["1e+06", "1000001"]),  # whole numbers beside empty cells are floats
        ("clip_norm", [1.0, np.inf], ["1", "inf"]),
        ("options.a", [-0.5, 0.5], ["-0.5", "0.5"]),
    ],
)
def test_a_claim_is_about_the_levels_whatever_their_type_and_text(column, levels, texts, caplog):
    replicas, history = tables_of(column, levels)
    whole = int(levels[0]) if float(levels[0]).is_integer() else levels[0]  # as a config has it
    declared = {("mine", replicas["study"].iloc[0]): [{"factor": column, "better": whole, "than": str(levels[1])}]}
    summary, runs = analysis.summarise(replicas, history), analysis.finals(replicas, history)
    claim = analysis.claims(replicas, summary, runs, declared).iloc[0]
    assert claim[["first", "second"]].tolist() == texts
    assert claim["first_id"] != claim["second_id"]
    assert not caplog.records
    declared = {place: [{"factor": column, "better": whole, "than": 0.25}] for place in declared}
    assert analysis.claims(replicas, summary, runs, declared).empty
    assert "no variants for the claim" in caplog.text


def test_levels_that_g_does_not_tell_apart_have_pictures_and_words_of_their_own():
    replicas, history = tables_of("learning_rate", [0.1, 0.10000001])
    optimizers = replicas.assign(optimizer="sgd", compared="optimizer", tuned="learning_rate")
    other = optimizers.assign(optimizer="adam")
    for name in ("replica_id", "variant_id"):
        other[name] = "other-" + other[name]
    twice = pd.concat([optimizers, other], ignore_index=True)
    again = history.assign(replica_id="other-" + history["replica_id"])
    names = plots.pictures("mine", {"replicas": twice, "history": pd.concat([history, again], ignore_index=True)})
    of_rates = sorted(name for name in names if "sgd_lr_" in name)
    assert len(of_rates) == 2
    assert analysis.spelled(twice) == {0.10000001: "0.10000001"}
    words = replace(ENGLISH, numbers=analysis.spelled(twice))
    assert [words.level(rate) for rate in (0.1, 0.10000001)] == ["0.1", "0.10000001"]


def test_an_override_keeps_the_claims_about_levels_that_stay():
    claims = [{"factor": "clip_norm", "better": 1.0, "than": float("inf")}]
    study = {"name": "main", "grid": {"clip_norm": [0.5, 1.0, float("inf")]}, "claims": claims}
    config = {"base": {"dataset": "moons"}, "study": [{**study, "grid": [study["grid"]]}]}
    warnings = []
    changed = apply({"mine": config}, ["study.main.grid.clip_norm=[1,inf]"], warnings.append)["mine"]
    assert changed["study"][0]["claims"] == claims
    assert not warnings


def test_options_of_either_sign_have_runs_of_their_own_in_tensorboard():
    study = study_of(**{"options.a": [-0.5, 0.5], "optimizer": ["mine:optimizer"]})
    runs = {run_name("mine", "main", variant) for variant in study.variants}
    assert len(runs) == 2


def test_counts_of_examples_do_not_wrap():
    """300 epochs of 90,000 steps of 100 examples are more than int32 holds."""
    program = replace(programs(comparison(epochs=300, batch_size=100))[0])
    tile = program.tiles[0]
    epochs = evaluated_epochs(program.settings)
    shape = (len(epochs), len(tile.seeds), len(tile.variants))
    arrays = {"figures/finite": np.ones(shape, bool)}
    history = tables_module._history(replace(tile, program=replace(program, material=larger(program.material))), arrays)
    assert history["examples"].max() == 300 * 90_000 * 100


def larger(material):
    """The same data set with nine million training examples, of which nothing but their number is used."""
    y = np.broadcast_to(np.int32(0), 9_000_000)
    return material._replace(data=material.data._replace(train=Batch(material.data.train.x, y)))


@pytest.mark.parametrize("key", ["momentum", "warmup_fraction"])
def test_a_range_holds_for_the_number_that_trains(key):
    """0.99999999 is 1 in float32, and 1 is out of range."""
    grid = {key: [0.5, 0.99999999], "optimizer": ["momentum"], "schedule": ["warmup_cosine"]}
    with pytest.raises(ConfigError, match="in float32, is out of range"):
        study_of(**grid)


@pytest.mark.parametrize("studies", [[[0.1, 0.2]], [[0.1], [0.2]]], ids=["in one study", "in two"])
def test_two_variants_of_one_id_are_an_error_before_training(monkeypatch, studies):
    monkeypatch.setattr("jaxcompare.config.parse.variant_id", lambda comparison, study, settings: "mine-1")
    tables = [{"name": f"study {n}", "grid": {"weight_decay": rates}} for n, rates in enumerate(studies)]
    with pytest.raises(ConfigError, match="have one id, mine-1"):
        parse("mine", {"base": {"dataset": "moons"}, "study": tables})


def test_variants_of_automatic_sizes_have_ids_of_their_own(monkeypatch):
    monkeypatch.setattr(batches, "variant_id", lambda comparison, study, settings: "mine-1")
    monkeypatch.setattr(batches, "_largest", lambda *given: 32)
    grid = {"weight_decay": [0.1, 0.2]}
    asking = parse("mine", {"base": {"dataset": "moons", "batch_size": "auto"}, "study": [{"grid": grid}]})
    with pytest.raises(ConfigError, match="have one id, mine-1"):
        batches.resolve(asking, {}, None)


@pytest.mark.parametrize("key", ["learning_rate", "clip_norm", "momentum", "data_seed"])
@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_whole_number_longer_than_any_float_is_out_of_range(key, number):
    with pytest.raises(ConfigError, match=r"is not a number of float32|is out of range"):
        study_of(**{key: [number], "optimizer": ["momentum"]})


@pytest.mark.parametrize("steps", [3, 300, 30_000, 300_000, 1_200_000, 3_000_000])
def test_a_step_schedule_drops_at_its_step(steps):
    progress = jnp.arange(steps // 3 - 1, steps // 3 + 1) / steps
    np.testing.assert_allclose(optimizers.SCHEDULES["step"](progress), [1.0, 0.1], rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_constant_feature_has_no_scale_whatever_its_mean_rounds_to(kind):
    factor, shift = scaling(np.full((1000, 1), 0.1, kind), "standardised", 1)
    assert factor == 1
    assert shift == pytest.approx(-0.1)


def test_a_value_just_inside_the_range_is_counted_inside():
    """-1 and the number below 1 differ by 2 in float32, which is the width of the range."""
    last = np.nextafter(np.float32(1), np.float32(0))
    values = jnp.array([-1.0, last, 1.0, np.nextafter(np.float32(1), np.float32(2)), np.nextafter(np.float32(-1), -2)])
    counts = diagnostics.histogram(values.astype(jnp.float32), jnp.array([-1.0, 1.0]), 50)
    assert counts[jnp.array([0, 1, 50, 51])].tolist() == [1, 1, 2, 1]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        *[(-0.0, "+.2f", "0.00"), (-0.001, ".2f", "0.00"), (0.5, "+.2f", "+0.50")],
        *[(0.99996, ".1%", ">99.9%"), (0.0004, ".1%", "<0.1%"), (1.0, ".1%", "100.0%")],
    ],
)
def test_numbers_in_messages_have_no_sign_of_zero_and_parts_are_neither_none_nor_all(value, form, text):
    assert rounded(value, form) == text
    if form.endswith("%"):
        assert text in ENGLISH.say("headline.dead", share=value)
        assert share(ENGLISH, value) == text


@pytest.mark.parametrize(("value", "text"), [(-0.0, "0"), (999.96, "1,000"), (0.000012, "1.2e-05"), (1234.5, "1,234")])
def test_numbers_in_cells_and_on_bars_are_written_out(value, text):
    assert number(ENGLISH, value) == concise(value) == text


def test_counts_keep_their_digits_in_csv_files(tmp_path):
    write_tables(tmp_path, {"summary": pd.DataFrame({"parameters": [105984.0, 13565952.0], "x": [0.123456, -0.0]})}, {})
    assert (tmp_path / "summary.csv").read_text().split() == ["parameters,x", "105984,0.12346", "13565952,0"]


def test_a_level_that_is_missing_equals_itself():
    assert [analysis.level_of(value) for value in (np.nan, None, 0.1, "a")] == [None, None, 0.1, "a"]
    colours = style.colours_of(map(analysis.level_of, [0.9, np.nan, float("nan")]))
    assert len(colours) == 2
    variants = pd.DataFrame({"rate": [0.1, 0.1], "momentum": [np.nan, 0.9], "variant_id": ["a", "b"]})
    pairs = list(analysis.design.partners(variants, ("rate",), "momentum", np.nan))
    assert [(row["variant_id"], start["variant_id"]) for row, start in pairs] == [("b", "a")]


@pytest.mark.parametrize("count", [8, 12, 40])
def test_as_many_levels_have_as_many_colours(count):
    assert len(set(style.colours_of(f"x{index}" for index in range(count)).values())) == count


def test_colours_beyond_the_palette_look_as_different_as_the_palettes_own():
    def nearest(count):
        colours = hues.oklab(np.array([to_rgb(one) for one in style.colours_of(map(str, range(count))).values()]))
        return min(np.linalg.norm(one - other) for one, other in itertools.combinations(colours, 2))

    assert nearest(14) > 0.8 * nearest(8)


def test_small_losses_keep_their_digits_on_a_logarithmic_axis():
    assert lines._decimals("train_loss", np.array([1.0, 4e-6])) == 8
    assert lines._decimals("train_loss", np.array([2.3, np.nan])) == 5
    assert lines._decimals("test_accuracy", np.array([1e-6])) == 4


def test_each_variant_has_its_own_last_epoch():
    replicas = pd.DataFrame({"replica_id": ["a-0", "b-0"], "variant_id": ["a", "b"]})
    rows = [("a-0", 0, 1.0), ("a-0", 1, 2.0), ("b-0", 0, 1.0), ("b-0", 5, 3.0)]
    layers = pd.DataFrame(rows, columns=["replica_id", "epoch", "gradient_norm"]).assign(layer="output", layer_index=0)
    drawn = [panels.Line(name, name, "k") for name in "ab"]
    ax = Figure().subplots()
    panels.by_layer(ax, {"replicas": replicas, "layers": layers}, drawn, last=True)
    assert [line.get_ydata().tolist() for line in ax.lines[:2]] == [[2.0], [3.0]]


def test_each_replica_ends_at_its_own_last_epoch():
    table = pd.DataFrame({"replica_id": ["a", "a", "b", "b"], "epoch": [0, 1, 0, 5]})
    assert panels.at_end(table)["epoch"].tolist() == [1, 5]


@pytest.mark.parametrize("missing", [0.5, np.nan])
def test_a_level_has_the_shades_of_its_own_rates_if_it_is_missing_too(missing):
    def look(rates):
        rows = {
            "momentum": [missing, missing, 0.9, 0.9],
            "learning_rate": [0.1, 0.2, *rates],
            "variant_id": list("abcd"),
        }
        summary = pd.DataFrame(rows)
        place = analysis.Comparison("mine", "main", "moons", "momentum", ())
        return lines._looks(SimpleNamespace(comparison=place, summary=summary, chosen=summary[:0]))["a"]

    assert look([0.1, 0.2]) == look([0.01, 0.02])


def test_the_users_matplotlibrc_changes_no_picture():
    def picture():
        return style.png(style.styled(lambda: style.sheet(1, "title", "note")[0])())

    before = picture()
    with matplotlib.rc_context({"text.usetex": True, "axes.xmargin": 0.4, "font.size": 20, "axes.facecolor": "red"}):
        assert picture() == before


def test_the_mean_loss_of_many_steps_is_right_to_float32():
    """A plain float32 sum of 20,000 equal losses is wrong by 1e-4 or more."""
    steps = 20_000
    recipe = make_recipe(models.mlp(hidden=(2,), classes=2), optimizer="sgd", clip=False)
    hparams = make_hparams(0.0, total_steps=steps)
    train = Batch(jnp.ones((steps, 2)), jnp.zeros(steps, jnp.int32))
    few = jax.tree.map(lambda leaf: leaf[:1], train)
    data = segment.Data(train, few, few, few, few, (jnp.ones(()), jnp.zeros(())))
    ranges = segment.activation_ranges("relu")
    window = segment.Window(0, steps, 1, 1, jnp.array([segment.FIGURES]))
    carry = segment.init_carry(recipe, jnp.int32(3), hparams, data)
    _, rows = jax.jit(
        lambda carry: segment.train_segment(recipe, carry, data, jnp.int32(3), hparams, ranges, window, batch_size=1)
    )(carry)
    assert rows["figures"]["train_loss"][0] == pytest.approx(float(rows["figures"]["validation_loss"][0]), rel=2e-7)


def test_an_infinite_loss_makes_the_mean_infinite_not_unknown():
    total, excess = segment._add(jnp.float32(1), jnp.float32(0), jnp.float32(jnp.inf))
    assert segment._add(total, excess, jnp.float32(1))[0] == jnp.inf
