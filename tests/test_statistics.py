"""Statistics against SciPy, closed forms, brute force, and simulations whose coverage is known."""

import itertools

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from jaxcompare import analysis
from jaxcompare.analysis.curves import jumps_and_spikes, late_deviation
from jaxcompare.execution.compare import compare

STUDIES = 2000


def coverage(n, draw, truth):
    """The share of simulated studies of `n` seeds whose interval holds the true mean."""
    studies = draw(np.random.default_rng(n), (STUDIES, n))
    intervals = np.array([analysis.mean_interval(study)[1:] for study in studies])
    return np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1]))


@pytest.mark.parametrize("n", [5, 10])
def test_the_interval_covers_what_it_says_on_normal_data(n):
    assert 0.93 <= coverage(n, lambda random, size: random.normal(0.9, 0.01, size), 0.9) <= 0.97


@pytest.mark.parametrize(("n", "low", "high"), [(5, 0.78, 0.86), (10, 0.80, 0.88)])
def test_the_interval_covers_less_on_skewed_data(n, low, high):
    """docs/statistics.md states what was found: lognormal with deviation 1 of the logarithm."""
    assert low <= coverage(n, lambda random, size: random.lognormal(0, 1, size), np.exp(0.5)) <= high


@pytest.mark.parametrize("n", [5, 7, 10, 12])
def test_interquartile_mean_is_scipys_trimmed_mean(n):
    values = np.random.default_rng(n).normal(size=n)
    assert analysis.interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


def test_interquartile_mean_ranks_failed_runs_last():
    values = np.array([0.5, 0.7, 0.9, 0.8, np.nan])
    assert analysis.interquartile_mean(values) == pytest.approx(np.mean([0.5, 0.7, 0.8]))
    assert analysis.interquartile_mean(values, worst=np.inf) == pytest.approx(np.mean([0.7, 0.8, 0.9]))
    assert np.isnan(analysis.interquartile_mean(np.array([0.5, np.nan, 0.9, 0.8, np.nan])))


@pytest.mark.parametrize("mean", [0.0, 0.02, -0.3, 1.0, -40.0])
def test_effect_size_inverts_the_noncentral_t(mean):
    differences = np.random.default_rng(1).normal(mean, 0.05, 6)
    effect, low, high = analysis.effect_size(differences)
    assert effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert low < effect < high
    t = abs(effect) * np.sqrt(6)
    ends = sorted(np.array([low, high]) * np.sign(effect) * np.sqrt(6))
    assert stats.nct.cdf(t, 5, ends[0]) == pytest.approx(0.975, abs=1e-6)
    assert stats.nct.cdf(t, 5, ends[1]) == pytest.approx(0.025, abs=1e-6)


def test_effect_sizes_interval_covers_what_it_says():
    random = np.random.default_rng(3)
    found = [analysis.effect_size(random.normal(0.8, 1.0, 5)) for _ in range(250)]
    assert 0.92 <= np.mean([one.low <= 0.8 <= one.high for one in found]) <= 0.98


def test_effect_size_without_spread_or_seeds():
    assert analysis.effect_size(np.full(5, 0.5)).mean == np.inf
    assert analysis.effect_size(np.full(5, -0.5)).mean == -np.inf
    assert np.isnan(analysis.effect_size(np.zeros(5)).mean)
    assert np.isnan(analysis.effect_size(np.arange(4.0)).mean)
    assert np.isnan(analysis.effect_size(1e6 + np.arange(6.0)).low)


@pytest.mark.parametrize("seed", range(3))
def test_holm_is_the_closed_test_of_bonferroni(seed):
    p = np.random.default_rng(seed).uniform(0, 0.2, 5)
    subsets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
    closed = [max(min(1.0, len(s) * p[list(s)].min()) for s in subsets if i in s) for i in range(5)]
    np.testing.assert_allclose(analysis.holm(p), closed)


def test_holm_counts_claims_that_could_not_be_tested():
    found = analysis.holm(np.array([0.01, np.nan, 0.02]))
    np.testing.assert_allclose(found, [0.03, np.nan, 0.04])
    assert analysis.holm(np.array([])).size == 0


def test_holm_keeps_the_error_of_the_whole_family():
    """Under three true nulls some claim is made in at most 5% of the studies."""
    random = np.random.default_rng(0)
    differences = random.normal(size=(STUDIES, 3, 8))
    p = stats.ttest_1samp(differences, 0, axis=-1).pvalue
    wrong = np.mean([analysis.holm(one).min() < 0.05 for one in p])
    assert 0.03 <= wrong <= 0.06


@pytest.mark.parametrize("drawn", [1, 2, 3, 4])
def test_expected_best_is_the_mean_over_every_draw(drawn):
    values, reported = np.array([0.3, 0.9, 0.5, 0.7]), np.array([0.2, 0.6, 0.8, 0.1])
    draws = list(itertools.product(range(4), repeat=drawn))
    expected = np.mean([max(values[list(draw)]) for draw in draws])
    assert analysis.expected_best(values)[drawn - 1] == pytest.approx(expected)
    sets = list(itertools.combinations(range(4), drawn))
    chosen = [max(one, key=lambda i: values[i]) for one in sets]
    found = analysis.expected_best(values, replacement=False)[drawn - 1]
    assert found == pytest.approx(np.mean(values[chosen]))
    found = analysis.expected_best(values, reported, replacement=False)[drawn - 1]
    assert found == pytest.approx(np.mean(reported[chosen]))


def test_failed_trials_count_as_chance():
    with_failure = analysis.expected_best(np.array([0.9, np.nan]), worst=0.1)
    np.testing.assert_allclose(with_failure, [0.5, 0.1 * 0.25 + 0.9 * 0.75])
    assert analysis.weights_of_best(6, 4).sum() == pytest.approx(1.0)
    assert analysis.weights_of_best(6, 4, replacement=False).sum() == pytest.approx(1.0)


def curve(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"replica_id": "x", "epoch": range(count), "examples": np.arange(count) * 100} | columns)


def test_area_is_that_of_the_trapezoids():
    history = curve(validation_accuracy=[0.1, 0.5, 0.7, 0.9])
    assert analysis.area_under_curve(history)["x"] == pytest.approx(np.trapezoid([0.1, 0.5, 0.7, 0.9]) / 3)
    uneven = history.assign(examples=[0, 100, 400, 500])
    expected = np.trapezoid([0.1, 0.5, 0.7, 0.9], [0, 100, 400, 500]) / 500
    assert analysis.area_under_curve(uneven.sample(frac=1, random_state=0))["x"] == pytest.approx(expected)
    assert np.isnan(analysis.area_under_curve(curve(validation_accuracy=[0.1, np.nan, 0.7]))["x"])
    assert analysis.area_under_curve(curve(validation_accuracy=[0.4, 0.4, 0.4]))["x"] == pytest.approx(0.4)


def test_late_deviation_is_over_the_last_quarter():
    accuracy = np.random.default_rng(0).uniform(0.8, 0.9, 21)
    assert late_deviation(curve(validation_accuracy=accuracy))["x"] == pytest.approx(accuracy[-5:].std(ddof=1))
    short = curve(validation_accuracy=[0.1, 0.5, 0.7, 0.9])
    assert late_deviation(short)["x"] == pytest.approx(np.std([0.5, 0.7, 0.9], ddof=1))
    assert np.isnan(late_deviation(short.head(3))["x"])


@pytest.mark.parametrize(
    ("losses", "jump", "spikes"),
    [
        ([2.0, 1.0, 0.5, 0.4], 0.0, 0),
        ([2.0, 1.0, 1.4, 0.9], 0.4, 0),  # a rise, but not by half of the lowest
        ([2.0, 1.0, 1.6, 1.7, 0.9], 0.6, 1),  # one spike, two epochs long
        ([2.0, 1.0, 1.6, 0.9, 1.5], 0.6, 2),
        ([2.0, 0.001, 0.003, 0.001], 0.002, 0),  # tremor at the bottom
        ([2.0, np.nan, 1.0], np.nan, np.nan),
    ],
)
def test_jumps_and_spikes(losses, jump, spikes):
    found = jumps_and_spikes(curve(train_loss=[np.nan, *losses])).loc["x"]
    assert tuple(found) == pytest.approx((jump, spikes), nan_ok=True)


def test_seconds_are_the_programs_over_its_replicas():
    replicas = pd.DataFrame({"experiment": ["a", "a", "b"], "program": ["p", "q", "p"]})
    timing = pd.DataFrame(
        {"experiment": "a", "program": ["p", "p"], "replicas": [4, 2], "steps": 100, "wall_seconds": [8.0, 4.0]}
    )
    found = analysis.seconds_per_step(replicas, timing)
    assert found[0] == pytest.approx(12 / 600)
    assert found[1:].isna().all()


@pytest.fixture(scope="module")
def tables():
    return synthetic.tables()


@pytest.fixture(scope="module")
def results(tables):
    return analysis.results(tables, synthetic.TARGETS)


def test_seconds_to_target_follow_the_steps(tables):
    replicas = tables["replicas"].assign(program=tables["replicas"]["experiment"] + "-0")
    timed = analysis.finals(replicas, tables["history"], synthetic.TARGETS, tables["timing"])
    rate = 58.9 / (60 * 3440)  # comparison A: its wall seconds over 60 replicas of 3,440 steps
    mine = timed[timed["experiment"] == "a"]
    missed = np.isinf(mine["steps_to_target"])
    assert np.isinf(mine["seconds_to_target"][missed]).all()
    np.testing.assert_allclose(mine["seconds_to_target"][~missed], mine["steps_to_target"][~missed] * rate)
    medians = analysis.seconds_to_target(mine).set_index("variant_id")
    one = mine[mine["variant_id"] == "a-digits-mse-1.0"]
    assert tuple(medians.loc["a-digits-mse-1.0"]) == pytest.approx((5, 5, np.median(one["seconds_to_target"])))


def test_a_diverged_run_has_no_area_and_an_infinite_jump(tables):
    runs = analysis.finals(tables["replicas"], tables["history"]).set_index("replica_id")
    gone = runs.loc["a-digits-mse-10.0-s2"]
    assert gone["largest_jump"] == np.inf
    assert gone[["validation_accuracy_area", "late_deviation", "spikes"]].isna().all()


def test_summary_has_the_layers_figures(results, tables):
    summary = results["summary"].set_index("variant_id")
    assert summary.loc["b-moons-sigmoid-0.1", "vanished_layer_initial"] == "hidden_1"
    assert pd.isna(summary.loc["b-moons-relu-0.1", "vanished_layer_initial"])
    assert (summary["gradient_growth"].dropna() < 2).all()


def test_the_vanished_layer_is_the_first_one_met_going_back():
    rows = {"hidden_1": 1e-9, "hidden_2": 1e-5, "hidden_3": 0.1, "output": 1.0}
    layers = pd.DataFrame(
        {"replica_id": "x", "epoch": 0, "layer": list(rows), "layer_index": range(4), "gradient_norm": rows.values()}
    )
    flow = analysis.gradient_flow(layers, pd.DataFrame({"replica_id": ["x"], "variant_id": ["v"]}))
    assert analysis.vanished_layer(flow)["layer"].tolist() == ["hidden_2"]
    assert analysis.vanished_layer(flow, 1e-8)["layer"].tolist() == ["hidden_1"]
    assert analysis.vanished_layer(flow, 1e-10).empty


def test_growth_is_over_the_start():
    norms = [1.0, 2.0, 50.0, 1.0, 5.0, 4.0]
    layers = pd.DataFrame(
        {"replica_id": "x", "layer_index": [0, 1] * 3, "epoch": [0, 0, 1, 1, 2, 2], "gradient_norm": norms}
    )
    assert analysis.gradient_growth(layers)["x"] == 50.0
    assert np.isnan(analysis.gradient_growth(layers.assign(gradient_norm=[*norms[:5], np.nan]))["x"])


def test_every_pair_is_a_claim_where_none_is_declared(results):
    claims = results["claims"]
    moons = claims[(claims["experiment"] == "b") & (claims["dataset"] == "moons")]
    assert len(moons) == 3
    assert set(moons["family"]) == {6}  # on both data sets
    optimizers = claims[claims["experiment"] == "c"]
    assert optimizers.groupby("factor").size().to_dict() == {"optimizer": 6, "schedule": 3}
    assert not claims["declared"].any()
    assert (claims["p_t_holm"] >= claims["p_t"]).all()


def test_declared_claims_take_their_place(tables, results):
    declared = {
        ("c", "main"): [
            {"factor": "optimizer", "better": "adamw", "than": "sgd"},
            {"factor": "schedule", "better": "cosine", "than": "constant"},
        ]
    }
    runs = analysis.finals(tables["replicas"], tables["history"])
    found = analysis.claims(tables["replicas"], results["summary"], runs, declared)
    mine = found[found["experiment"] == "c"]
    assert mine[["factor", "first", "second", "apart"]].to_numpy().tolist() == [
        ["optimizer", "adamw", "sgd", "schedule constant"],
        ["optimizer", "adamw", "sgd", "schedule cosine"],
        ["schedule", "cosine", "constant", "optimizer sgd"],
        ["schedule", "cosine", "constant", "optimizer momentum"],
        ["schedule", "cosine", "constant", "optimizer adamw"],
    ]
    assert mine["declared"].all()
    assert set(mine["family"]) == {5}
    one = mine.iloc[0]
    expected = analysis.paired_variants(runs, one["first_id"], one["second_id"])
    assert tuple(one[["difference", "low", "high", "p_t"]]) == pytest.approx(
        (expected.mean, expected.low, expected.high, expected.p_t)
    )
    np.testing.assert_allclose(mine["p_t_holm"], analysis.holm(mine["p_t"]))


def test_effects_are_at_every_level_and_rate(results, tables):
    effects = results["effects"]
    assert set(effects["experiment"]) == {"c"}
    assert len(effects) == 9
    assert set(effects["first"]) == {"cosine"}
    assert set(effects["second"]) == {"constant"}
    failed = effects[(effects["level"] == "adamw") & (effects["learning_rate"] == 0.1)].iloc[0]
    assert failed["reading"] == "failed"
    assert (failed["wins"], failed["n"]) == (5, 5)
    runs = analysis.finals(tables["replicas"], tables["history"])
    one = effects[(effects["level"] == "sgd") & (effects["learning_rate"] == 0.01)].iloc[0]
    cosine, constant = (
        runs[runs["variant_id"] == f"c-fashion_mnist-sgd-0.01-{name}-nan"].set_index("seed")["test_accuracy"]
        for name in ("cosine", "constant")
    )
    assert one["difference"] == pytest.approx((cosine - constant).mean())


def test_sensitivity_has_a_row_a_level_and_rate(results):
    table = results["sensitivity"]
    digits = table[(table["experiment"] == "a") & (table["dataset"] == "digits")]
    assert digits[["level", "learning_rate"]].to_numpy().tolist() == [
        *[["cross_entropy", rate] for rate in (0.01, 0.1, 1.0)],
        *[["mse", rate] for rate in (0.1, 1.0, 10.0)],
    ]
    assert digits["best"].tolist() == [False, True, False, False, True, False]
    assert digits["n_failed"].tolist() == [0, 0, 0, 0, 0, 1]
    assert digits["below_best"].min() == 0
    assert np.isnan(digits["below_best"].iloc[-1])  # no mean, for a run diverged


def test_trials_end_at_the_best_of_each_seed(results, tables):
    table = results["trials"]
    mine = table[(table["experiment"] == "a") & (table["dataset"] == "digits") & (table["level"] == "mse")]
    runs = analysis.finals(tables["replicas"], tables["history"])
    cell = runs[(runs["dataset"] == "digits") & (runs["loss"] == "mse")]
    best = cell.groupby("seed")["validation_accuracy"].max()
    last = mine[mine["trials"] == 3].iloc[0]
    assert last["validation_accuracy_mean"] == pytest.approx(best.mean())
    assert mine["validation_accuracy_mean"].is_monotonic_increasing
    chance = cell["validation_accuracy"].fillna(0.1).groupby(cell["seed"]).mean()  # the diverged run counts as chance
    assert mine.iloc[0]["validation_accuracy_mean"] == pytest.approx(chance.mean())
    assert (mine["validation_accuracy_drawn_mean"] <= mine["validation_accuracy_mean"] + 1e-12).all()


def with_roles(replicas, compared, tuned):
    return replicas.assign(compared=compared, tuned=tuned, confirms="")


def test_roles_say_what_is_compared():
    replicas = synthetic.tables("c")["replicas"]

    def found(compared, tuned):
        one = analysis.comparisons(with_roles(replicas, compared, tuned))[0]
        return one.factor, one.apart, one.compared

    assert found("optimizer schedule", "learning_rate") == ("optimizer", ("schedule",), ("optimizer", "schedule"))
    assert found("optimizer", "learning_rate") == ("optimizer", ("schedule",), ("optimizer",))
    assert found("optimizer", "learning_rate schedule") == ("optimizer", (), ("optimizer",))
    assert found("schedule", "learning_rate") == ("schedule", ("optimizer",), ("schedule",))
    rates = ("optimizer", ("schedule", "learning_rate"), ("optimizer", "learning_rate"))
    assert found("optimizer learning_rate", "") == rates
    assert found("learning_rate", "")[:2] == ("learning_rate", ("optimizer", "schedule"))


def test_a_second_nuisance_factor_is_tuned_with_the_rate():
    found = synthetic.tables("c")
    replicas = with_roles(found["replicas"], "optimizer", "learning_rate schedule")
    summary = analysis.summarise(replicas, found["history"])
    (one,) = analysis.comparisons(replicas)
    chosen = analysis.best_rates(summary, one.factor, one.apart)
    assert len(chosen) == 3
    assert set(chosen["schedule"]) == {"cosine"}
    common = analysis.common_rate(summary, one.factor, one.apart)
    assert len(common) == 3
    assert common["learning_rate"].nunique() == 1
    assert len(analysis.rate_sensitivity(summary, [one])) == 9


def test_claims_rest_on_fresh_seeds_where_there_are_any():
    found = synthetic.tables("a")
    replicas, history = found["replicas"].assign(confirms=""), found["history"]
    chosen = analysis.selected(replicas, analysis.summarise(replicas, history))
    again = replicas[replicas["variant_id"].isin(chosen)]
    fresh = again.assign(
        variant_id=again["variant_id"] + analysis.CONFIRMED,
        replica_id=again["replica_id"] + "-again",
        study="main_confirm",
        confirms="main",
        seed=again["seed"] + 5,
    )
    rows = history[history["replica_id"].isin(again["replica_id"])]
    rows = rows.assign(replica_id=rows["replica_id"] + "-again", test_accuracy=rows["test_accuracy"] / 2)
    both = {"replicas": pd.concat([replicas, fresh]), "history": pd.concat([history, rows])}
    plain = analysis.results({"replicas": replicas, "history": history})["claims"]
    claims = analysis.results(both)["claims"]
    assert claims["fresh_seeds"].all()
    np.testing.assert_allclose(claims["difference"], plain["difference"] / 2)
    assert len(claims) == len(plain)  # the confirming study makes no claims of its own


@pytest.mark.usefixtures("quick_compilation")
def test_a_confirmed_study_trains_its_choice_again():
    base = {
        "dataset": "moons", "samples": 200, "test_samples": 100, "hidden": [4], "epochs": 1, "seeds": 2, "snapshots": 2,
    }  # fmt: skip
    grid = {"learning_rate": [0.1, 0.01], "activation": ["relu", "tanh"]}
    claims = [{"factor": "activation", "better": "relu", "than": "tanh"}]
    study = {"name": "main", "grid": grid, "confirm": 3, "claims": claims}
    tables = compare({"base": base, "study": [study]})
    again = tables["replicas"][tables["replicas"]["confirms"] == "main"]
    assert set(again["seed"]) == {2, 3, 4}
    chosen = tables["sensitivity"].query("best")["variant_id"] + "-confirm"
    assert set(again["variant_id"]) == set(chosen)
    (claim,) = tables["claims"].itertuples()
    assert (claim.declared, claim.fresh_seeds, claim.n, claim.reading) == (True, True, 3, "few")
    assert len(tables["history"]["replica_id"].unique()) == 4 * 2 + 2 * 3
    timed = analysis.finals(tables["replicas"], tables["history"], {"comparison": 0.01}, tables["timing"])
    assert (timed["seconds_to_target"] == 0).all()  # before the first step
    assert analysis.seconds_per_step(tables["replicas"], tables["timing"]).gt(0).all()
