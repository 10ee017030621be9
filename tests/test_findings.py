"""Rules on tables: each speaks where its threshold is passed, with evidence, and is silent otherwise."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import synthetic

from jaxcompare import analysis
from jaxcompare.analysis.rules import RULES
from jaxcompare.report import findings as told
from jaxcompare.report import sections
from jaxcompare.report.blocks import Table
from jaxcompare.report.view import views
from jaxcompare.words import ENGLISH, KOREAN


@pytest.fixture(scope="module")
def tables():
    found = synthetic.tables()
    return found | analysis.results(found, synthetic.TARGETS)


def cases(tables, experiment):
    return analysis.cases(tables, experiment, synthetic.TARGETS)


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
    assert [one.values["failures"] for one in diverged] == [(5, 1, 0)]
    stuck = found_by(tables, "b", "stuck_at_chance")
    assert {one.values["name"]["activation"] for one in stuck} == {"sigmoid"}


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
    assert len(RULES) == 9


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
    assert "test accuracy 0.7500 [0.7500, 0.7500] (n = 5)" in told.leaders(view, "A")[0]
    assert any("chosen on other seeds" in limit for limit in told.limits(view))
    captions = [block.caption for block in sections.tables(view) if isinstance(block, Table)]
    assert "At its best rate, on fresh seeds" in captions
    assert any("trained again on 5 fresh seeds" in line for line in sections.protocol(view, both["history"]))


def test_each_finding_is_said_in_every_language_that_is_asked_for(tables):
    found = views(ENGLISH, tables, "a", synthetic.TARGETS)
    plain, both = (json.loads(told.records(found, others)) for others in ((), (KOREAN,)))
    assert plain
    assert all("sentence_ko" not in one for one in plain)
    assert [{key: part for key, part in one.items() if key != "sentence_ko"} for one in both] == plain
    assert all(re.search("[가-힣]", one["sentence_ko"]) for one in both)
