"""Rules on tables: each speaks where its threshold is passed, with evidence, and is silent otherwise."""

import inspect
import json
import re

import numpy as np
import pandas as pd
import pytest
import synthetic

from jaxcompare import analysis
from jaxcompare.analysis.estimates import binomial_error
from jaxcompare.analysis.finding import Finding
from jaxcompare.analysis.rules import RULES
from jaxcompare.analysis.tuning import SPECIAL_CASES
from jaxcompare.components.optimizers import OPTIMIZERS
from jaxcompare.config import names
from jaxcompare.report import cells, sections
from jaxcompare.report import findings as told
from jaxcompare.report.blocks import Table
from jaxcompare.report.headlines import headlines
from jaxcompare.report.view import views
from jaxcompare.words import ENGLISH, KOREAN


@pytest.fixture(scope="module")
def tables():
    found = synthetic.tables()
    return found | analysis.results(found, synthetic.TARGETS)


def cases(tables, experiment):
    return analysis.every_case(tables, synthetic.TARGETS, experiments=[experiment])[experiment]


def found_by(tables, experiment, rule):
    return [one for case in cases(tables, experiment) for one in analysis.findings(case) if one.rule == rule]


def quiet():
    """Comparison A with every run well and both best rates inside their grids."""
    found = synthetic.tables("a")
    return found | {"replicas": found["replicas"].assign(first_nonfinite_step=np.nan)}


def test_every_rule_has_evidence_that_is_in_its_table(tables):
    views_of = [one for name in "abc" for one in views(ENGLISH, tables, name, synthetic.TARGETS)]
    records = json.loads(told.records(views_of))
    assert {record["rule"] for record in records} >= {
        *("vanishing_gradient", "dead_units", "divergence", "stuck_at_chance", "rate_at_edge", "order"),
        *("difference_shown", "no_difference_shown"),
    }
    for record in records:
        assert record["sentence"]
        assert record["threshold"]
        assert record["evidence"]["rows"]
        table = tables[record["evidence"]["table"]]
        for row in record["evidence"]["rows"]:
            key = next(name for name in ("variant_id", "replica_id", "first_id") if name in row)
            assert row[key] in set(table[key])


def test_vanishing_gradients_name_the_layer(tables):
    found = found_by(tables, "b", "vanishing_gradient")
    assert {one.values["name"]["activation"] for one in found} == {"sigmoid"}
    assert found[0].values["layer"] == "hidden_1"
    assert found[0].rows[0]["gradient_ratio_initial"] < 1e-3
    assert not found_by(tables, "a", "vanishing_gradient")


@pytest.mark.parametrize(("factor", "epoch", "key"), [(1e4, 0, "exploding"), (1e5, 5, "exploding_later")])
def test_exploding_gradients(factor, epoch, key):
    found = quiet()
    layers = found["layers"].copy()
    mine = layers["replica_id"].str.startswith("a-digits-mse-0.1") & (layers["epoch"] == epoch)
    layers.loc[mine & (layers["layer_index"] == 0), "gradient_norm"] *= factor
    made = found | {"layers": layers}
    (one,) = found_by(made | analysis.results(made), "a", "exploding_gradient")
    assert one.key == f"finding.{key}"
    assert one.rows[0]["variant_id"] == "a-digits-mse-0.1"
    assert not found_by(found | analysis.results(found), "a", "exploding_gradient")


def test_dead_units_from_a_hundredth_on(tables):
    shares = [one.values["share"] for one in found_by(tables, "b", "dead_units")]
    assert shares
    assert min(shares) >= 0.01
    assert {one.values["name"]["activation"] for one in found_by(tables, "b", "dead_units")} == {"relu"}


def test_failures_are_told_apart(tables):
    diverged = found_by(tables, "a", "divergence")
    assert [one.values["failures"][:3] for one in diverged] == [(5, 1, 0)]
    stuck = found_by(tables, "b", "stuck_at_chance")
    assert {one.values["name"]["activation"] for one in stuck} == {"sigmoid"}
    assert {(one.values["failures"].reached, one.values["failures"].target) for one in stuck} == {(0, 0.9)}
    assert ENGLISH.failures(10, 0, 5, 1, 0.9) == "5 of 10 stuck at chance; reached 0.9: 1 of 10"
    assert ENGLISH.failures(10, 0, 0, 10, 0.9) == ""


def optimizers(**accuracy):
    """Comparison C where each optimizer's test accuracy is what is given, and a little by seed."""
    found = synthetic.tables("c")
    replicas = found["replicas"].assign(first_nonfinite_step=np.nan)
    level = found["history"]["replica_id"].map(replicas.set_index("replica_id")["optimizer"])
    seed = found["history"]["replica_id"].map(replicas.set_index("replica_id")["seed"])
    history = found["history"].assign(test_accuracy=level.map(accuracy) + 0.001 * seed * (level == "sgd"))
    made = {"replicas": replicas, "history": history}
    return made | analysis.results(made)


def test_an_optimizer_that_loses_to_its_special_case_is_under_tuned():
    found = found_by(optimizers(sgd=0.9, momentum=0.8, adamw=0.95), "c", "under_tuned")
    assert {(one.values["name"]["optimizer"], one.values["special"]["optimizer"]) for one in found} == {
        ("momentum", "sgd")
    }
    assert len(found) == 2  # with either schedule
    assert len(found[0].rows) == 2
    assert not found_by(optimizers(sgd=0.8, momentum=0.9, adamw=0.95), "c", "under_tuned")


def test_overflow_is_told_where_it_was_recorded(tables):
    assert not found_by(tables, "a", "overflow_float16")  # nothing of the kind was
    found = quiet()
    half = found["replicas"]["loss"] == "mse"
    replicas = found["replicas"].assign(precision=np.where(half, "float16", "float32"))
    ids = set(replicas[replicas["variant_id"] == "a-digits-mse-1.0"]["replica_id"])
    mine = found["history"]["replica_id"].isin(ids)
    history = found["history"].assign(skipped_steps=np.where(mine, 3, 0), loss_scale=1024.0)
    made = found | {"replicas": replicas, "history": history}
    made |= analysis.results(made)
    (one,) = found_by(made, "a", "overflow_float16")
    assert (one.values["skipped"], one.values["k"], one.values["n"]) == (3, 5, 5)
    assert one.table == "history"
    (view,) = [v for v in views(ENGLISH, made, "a", {}) if v.comparison.dataset == "digits"]
    assert "MSE on probabilities at rate 1: float16 overflowed" in told.sentence(view, one)


def test_no_rule_speaks_of_a_quiet_comparison_but_of_its_claims():
    found = quiet()
    found = {name: found[name] for name in ("replicas", "history")}
    rules = {one.rule for case in cases(found | analysis.results(found), "a") for one in analysis.findings(case)}
    assert rules <= {"difference_shown", "no_difference_shown", "order", "divergence"}
    assert len(RULES) == 10


def test_records_are_strict_json(tables):
    broken = tables | {"claims": tables["claims"].assign(effect=np.inf, effect_low=np.nan)}
    text = told.records(views(ENGLISH, broken, "a", {}))
    assert pd.notna(json.loads(text)[0]["values"]["p"])
    assert b"NaN" not in text
    assert b"Infinity" not in text


def test_a_report_says_what_was_confirmed():
    found = synthetic.tables("a")
    replicas = found["replicas"].assign(confirms="")
    chosen = analysis.selected(replicas, analysis.summarise(replicas, found["history"]))
    again = replicas[replicas["variant_id"].isin(chosen)]
    rows = found["history"][found["history"]["replica_id"].isin(again["replica_id"])]
    fresh = again.assign(
        variant_id=again["variant_id"] + analysis.CONFIRMED,
        replica_id=again["replica_id"] + "-again",
        seed=again["seed"] + 5,
        study="main_confirm",
        confirms="main",
    )
    both = {
        "replicas": pd.concat([replicas, fresh]),
        "history": pd.concat(
            [found["history"], rows.assign(replica_id=rows["replica_id"] + "-again", test_accuracy=0.75)]
        ),
    }
    view, _ = views(ENGLISH, both | analysis.results(both), "a", {})
    assert len(view.confirmed) == 2
    assert "test accuracy 0.7500 [0.7500, 0.7500] (n = 5 new seeds)" in told.leaders(view, "A")[0]
    assert any("selected on other seeds" in limit for limit in told.limits(view))
    assert "n = 5 new seeds" in headlines([view], "A")[0]
    captions = [block.caption for block in sections.tables(view) if isinstance(block, Table)]
    assert captions.index("At its best rate, on new seeds") < captions.index("At its best rate")
    lines = sections.protocol(view, both["history"])
    assert any("retrained on 5 new seeds" in line for line in lines)
    assert not any("selected on the same seeds that are reported" in line for line in lines)


@pytest.mark.parametrize(("examples", "accuracy"), [(359, 0.97), (1000, 0.9), (9, 1.0)])
def test_the_test_set_s_own_error_is_the_spread_of_accuracies_on_other_examples(examples, accuracy):
    drawn = np.random.default_rng(0).binomial(examples, min(accuracy, 1 - 1 / examples), 100_000) / examples
    assert binomial_error(accuracy, examples) == pytest.approx(drawn.std(), rel=0.02)
    assert binomial_error(1.0, examples) == pytest.approx(binomial_error(0.0, examples))
    assert binomial_error(1.0, 1) == 0.5


@pytest.mark.parametrize("words", [ENGLISH, KOREAN])
def test_a_small_test_set_s_error_is_said_where_it_matters(words):
    tables = synthetic.tables("a")
    tables |= analysis.results(tables)
    found = {view.comparison.dataset: told.limits(view) for view in views(words, tables, "a", {})}
    best = tables["summary"].query("dataset == 'digits'")["test_accuracy_median"].max()
    error = f"{100 * np.sqrt(best * (1 - best) / 360):.2g}"
    (said,) = [one for one in found["digits"] if "360" in one]
    assert all(part in said for part in (error, f"{best:.4f}", "0.28"))
    assert not any("10000" in one for one in found["fashion_mnist"])
    less = tables | {"replicas": tables["replicas"].drop(columns="test_examples")}
    assert all("360" not in one for view in views(words, less, "a", {}) for one in told.limits(view))


def test_the_protocol_says_after_how_many_epochs_was_evaluated():
    tables = synthetic.tables("a")
    tables |= analysis.results(tables)
    view = views(ENGLISH, tables, "a", {})[0]
    history, last = tables["history"], tables["history"]["epoch"].max()
    assert any(line.endswith("evaluation after each epoch.") for line in sections.protocol(view, history))
    ends = history[history["epoch"].isin([0, last])]
    assert any(line.endswith("evaluation after 1 of these epochs.") for line in sections.protocol(view, ends))


def test_each_finding_is_said_in_every_language_that_is_asked_for(tables):
    found = views(ENGLISH, tables, "a", synthetic.TARGETS)
    plain, both = (json.loads(told.records(found, others)) for others in ((), (KOREAN,)))
    assert plain
    assert all("sentence_ko" not in one for one in plain)
    assert [{key: part for key, part in one.items() if key != "sentence_ko"} for one in both] == plain
    assert all(re.search("[가-힣]", one["sentence_ko"]) for one in both)


def test_dead_units_at_their_worst_are_those_of_the_same_cell():
    tables = synthetic.tables("c")
    replicas, layers = tables["replicas"].assign(first_nonfinite_step=np.nan), tables["layers"].copy()
    of = layers["replica_id"].map(replicas.set_index("replica_id")["variant_id"])
    layers["dead_fraction"] = layers["dead_fraction"].where(layers["dead_fraction"].isna(), 0.0)
    hidden = layers["dead_fraction"].notna()
    for schedule, share in (("constant", 0.9), ("cosine", 0.5)):
        variant = replicas.loc[
            (replicas["optimizer"] == "adamw")
            & (replicas["learning_rate"] == 0.01)
            & (replicas["schedule"] == schedule),
            "variant_id",
        ].iloc[0]
        layers.loc[(of == variant) & hidden, "dead_fraction"] = share
    made = tables | {"replicas": replicas, "layers": layers}
    found = found_by(made | analysis.results(made), "c", "dead_units")
    told_of = {(one.values["name"]["schedule"], round(one.values["share"], 6)) for one in found}
    assert told_of == {("constant", 0.9), ("cosine", 0.5)}


def test_momentum_is_no_special_case_of_our_rmsprop():
    for general, specials in SPECIAL_CASES.items():
        assert {general, *specials} <= set(names.OPTIMIZERS)
        if "momentum" in specials:  # the general one averages gradients
            assert set(inspect.signature(OPTIMIZERS[general]).parameters) & {"momentum", "beta1"}


def test_decayed_momentum_is_no_special_case_of_adamw():
    tables = optimizers(sgd=0.7, momentum=0.9, adamw=0.8)
    pairs = {(one.values["name"]["optimizer"], one.values["special"]["optimizer"]) for one in
             found_by(tables, "c", "under_tuned")}  # fmt: skip
    assert pairs == {("adamw", "momentum")}
    decayed = {name: tables[name].copy() for name in ("replicas", "history")}
    of_momentum = decayed["replicas"]["optimizer"] == "momentum"
    decayed["replicas"]["weight_decay"] = np.where(of_momentum, 0.1, 0.0)
    assert not found_by(decayed | analysis.results(decayed), "c", "under_tuned")


def test_under_tuning_follows_the_claim_where_there_is_one():
    tables = optimizers(sgd=0.9, momentum=0.8, adamw=0.95)
    (one, _) = found_by(tables, "c", "under_tuned")
    assert one.key == "finding.under_tuned_claimed"
    silent = tables | {"claims": tables["claims"].assign(reading="none")}
    assert not found_by(silent, "c", "under_tuned")
    unclaimed = tables | {"claims": tables["claims"].iloc[:0]}
    assert found_by(unclaimed, "c", "under_tuned")[0].key == "finding.under_tuned"


def near_tie(gap):
    """Comparison A on digits: MSE's validation accuracy at two rates differs by so much; on test it does not."""
    tables = synthetic.tables("a")
    replicas = tables["replicas"].assign(first_nonfinite_step=np.nan)
    of = tables["history"]["replica_id"].map(replicas.set_index("replica_id")["variant_id"])
    seed = tables["history"]["replica_id"].map(replicas.set_index("replica_id")["seed"])
    noise = 0.002 * (seed % 3) - 0.002 * (seed % 2)
    history = tables["history"].copy()
    levels = {"a-digits-mse-1.0": (0.9, 0.90), "a-digits-mse-0.1": (0.9 - gap, 0.80), "a-digits-mse-10.0": (0.5, 0.5)}
    for variant, (validation, test) in levels.items():
        history.loc[of == variant, "validation_accuracy"] = validation + noise
        history.loc[of == variant, "test_accuracy"] = test + noise
    history.loc[of == "a-digits-cross_entropy-0.1", "test_accuracy"] = 0.9 - noise
    made = {"replicas": replicas, "history": history}
    return made | analysis.results(made)


def test_rates_that_are_as_good_on_validation_are_told_with_the_claim_at_each():
    tables = near_tie(0.0001)
    found = [one for one in found_by(tables, "a", "near_tie") if one.dataset == "digits"]
    assert {one.values["name"]["loss"] for one in found} == {"mse"}
    (one,) = found
    assert {one.values["rate"], one.values["near"]} == {1.0, 0.1}
    assert one.values["turns"]  # none at the one, ten points at the other
    view = next(v for v in views(ENGLISH, tables, "a", {}) if v.comparison.dataset == "digits")
    assert "points, less than one standard error, n = 5). The difference from cross-entropy is" in told.sentence(
        view, one
    )
    assert "this depends on a near-tie" in headlines([view], "A")[0]
    apart = [one for one in found_by(near_tie(0.05), "a", "near_tie") if one.dataset == "digits"]
    assert not apart


def test_a_headline_says_what_is_shown_how_much_and_why(tables):
    found = views(ENGLISH, tables, "b", synthetic.TARGETS)
    text = " ".join(headlines(found, "B"))
    claims = tables["claims"][tables["claims"]["experiment"] == "b"]
    for _, claim in claims[claims["reading"] == "above"].iterrows():
        assert f"by {100 * claim['difference']:.2f} points" in text
    assert text.count("n = 10") == 2
    assert "sigmoid: the first layer's gradient norm is" in text
    quiet = headlines([view for view in found if (view.claims["reading"] == "none").any()], "B")
    assert all("are undetectable here" in line for line in quiet)


def test_options_that_a_level_does_not_have_are_no_part_of_its_name():
    view = views(ENGLISH, quiet() | analysis.results(quiet()), "a", {})[0]
    assert view.named({"optimizer": "sgd", "schedule": "constant", "momentum": np.nan}) == "SGD (constant)"
    assert view.named({"optimizer": "sgd", "momentum": np.nan}) == "SGD"
    assert view.named({"momentum": np.nan}) == "-"


def test_an_interval_of_one_difference_alone_is_said_to_be_that():
    values = {"difference": 1.0, "low": 0.1, "high": 1.9, "wins": 5, "n": 5, "family": 9, "p": 0.2, "fresh": False}
    values |= {"effect": 1.0, "effect_low": 0.1, "effect_high": 1.9, "failures": []}
    view = views(ENGLISH, quiet() | analysis.results(quiet()), "a", {})[0]
    names_of = {"first": {"loss": "mse"}, "second": {"loss": "cross_entropy"}}
    finding = Finding(
        "no_difference_shown", "difference.none", "a", "main", "digits", values | names_of, "", "claims", ()
    )
    assert "The unadjusted interval excludes 0" in told.sentence(view, finding)
    within = finding._replace(values=finding.values | {"low": -0.1})
    assert "unadjusted" not in told.sentence(view, within)


def test_intervals_are_cut_where_accuracies_end():
    row = pd.Series({"test_accuracy_mean": 0.7, "test_accuracy_low": 0.28, "test_accuracy_high": 1.11})
    assert cells.accuracy(ENGLISH, row) == "0.7000 [0.2800, 1.0000]*"
    marked = Table("", ("test",), ((cells.accuracy(ENGLISH, row),),))
    assert cells.cut_note(ENGLISH, marked)[0].text.startswith("*: Student's t")
    row["test_accuracy_high"] = 0.9
    assert cells.accuracy(ENGLISH, row) == "0.7000 [0.2800, 0.9000]"
    assert cells.cut_note(ENGLISH, Table("", ("test",), ((cells.accuracy(ENGLISH, row),),))) == []


def test_what_rounds_to_zero_has_no_sign_and_one_has_no_plural():
    assert ENGLISH.interval(-1.2e-8, -0.5, 0.001, "+.2f") == "0.00 [-0.50, 0.00]"
    assert ENGLISH.say("report.budget", epochs=1, steps="106") == (
        "1 epoch of 106 steps, no early stopping, evaluation after each epoch."
    )
    assert ENGLISH.say("number.p_is", p=0.1) == "= 0.1"
