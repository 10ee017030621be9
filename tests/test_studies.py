"""Studies beside the main ones: what is compared in them, their pictures, CSVs and blocks of the report."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import synthetic
import synthetic_studies

from jaxcompare import analysis, plots, words
from jaxcompare.plots import groups
from jaxcompare.report import environment, findings, markdown, sections, view
from jaxcompare.report.blocks import Heading, Note, Picture, Table
from jaxcompare.report.content import content
from jaxcompare.report.records import records
from jaxcompare.report.views import comparison_csvs

PICTURES = {
    "a": {
        "experiment_a_study_precision_digits.png",
        "experiment_a_study_precision_digits_loss_scale.png",
        "experiment_a_study_batch_size_fashion_mnist.png",
    },
    "b": {"experiment_b_study_precision_moons.png", "experiment_b_study_precision_moons_loss_scale.png"},
    "c": {
        "experiment_c_study_clipping_digits.png",
        "experiment_c_study_clipping_digits_loss_scale.png",
        "experiment_c_study_memory_digits.png",
    },
}


@pytest.fixture(scope="module")
def tables():
    found = synthetic_studies.tables()
    return found | analysis.results(found, synthetic.TARGETS)


@pytest.fixture(scope="module")
def views(tables):
    return {name: view.views(words.ENGLISH, tables, name, synthetic.TARGETS) for name in "abc"}


def comparison(tables, experiment, study):
    mine = tables["replicas"][tables["replicas"]["experiment"] == experiment]
    return next(one for one in analysis.comparisons(mine) if one.study == study)


def view_of(views, experiment, study):
    return next(one for one in views[experiment] if one.comparison.study == study)


def test_what_is_compared_and_what_is_kept_apart(tables):
    expected = {
        ("a", "precision"): ("precision", ("loss",)),  # the rate follows from the loss
        ("b", "precision"): ("precision", ("activation",)),
        ("c", "clipping"): ("clip_norm", ("optimizer", "precision", "learning_rate")),
        ("c", "memory"): ("learning_rate", ("precision", "remat")),  # accuracies are not compared
        ("a", "batch_size"): ("batch_size", ("loss", "learning_rate_rule")),
    }
    for (experiment, study), (factor, apart) in expected.items():
        one = comparison(tables, experiment, study)
        assert (one.factor, set(one.apart), one.rates_set) == (factor, set(apart), True)


def test_studies_with_set_rates_are_never_the_main_ones(tables):
    main = analysis.main_comparisons(tables["replicas"], "c")
    assert list(main) == ["fashion_mnist"]
    alone = tables["replicas"][tables["replicas"]["study"] == "memory"]
    assert list(analysis.main_comparisons(alone, "c")) == ["digits"]


@pytest.mark.parametrize("experiment", PICTURES)
def test_every_study_has_pictures_that_are_labelled_and_full(experiment, tables):
    drawn = synthetic.pictures(experiment, tables)
    assert {name for name in drawn if "_study_" in name} == PICTURES[experiment]
    for name in PICTURES[experiment]:
        figure = drawn[name]()
        for ax in figure.axes:
            assert all((ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left"))), name
            assert ax.has_data(), name
        texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        note = " ".join(text.get_text() for text in figure.texts)
        assert any("n = " in text for text in (*texts, note)), name


def test_a_study_that_varies_something_else_has_learning_curves(tables):
    mine = synthetic.tables("mine")
    mine["replicas"] = mine["replicas"].assign(study="other")
    both = {name: synthetic_studies.pd.concat([synthetic.tables("mine")[name], mine[name]]) for name in mine}
    both["replicas"]["variant_id"] = both["replicas"]["study"] + both["replicas"]["variant_id"]
    both["replicas"]["replica_id"] = both["replicas"]["study"] + both["replicas"]["replica_id"]
    assert "experiment_mine_study_other_digits.png" in synthetic.pictures("mine", both)


def test_differences_from_float32_are_paired(tables):
    one = comparison(tables, "a", "precision")
    runs = analysis.finals(tables["replicas"], tables["history"])
    found = analysis.against(runs, one, "precision", "float32")
    assert len(found) == 4
    row = found[(found["precision"] == "bfloat16") & (found["loss"] == "mse")].iloc[0]
    sides = {
        name: analysis.rows_of(runs, one)
        .query("loss == 'mse' and precision == @name")
        .set_index("seed")["test_accuracy"]
        for name in ("bfloat16", "float32")
    }
    paired = (sides["bfloat16"] - sides["float32"]).to_numpy()
    assert row["difference"] == pytest.approx(paired.mean())
    assert row["low"] < row["difference"] < row["high"]
    assert row["n"] == 5


def test_costs_are_those_of_the_programs(tables):
    found = analysis.costs(tables["replicas"], tables["timing"])
    known = tables["replicas"].drop_duplicates("variant_id").merge(found, on="variant_id")
    mine = known[(known["study"] == "memory") & (known["precision"] == "float16")].set_index("remat")
    assert mine["temporary_bytes"].to_dict() == {False: 15 * 2**20, True: 6 * 2**20}
    assert mine["step_seconds"].iloc[0] == pytest.approx(0.3 / 1.5 / 100)
    assert known[known["study"] == "main"]["temporary_bytes"].isna().all()


def test_seconds_with_an_unknown_part_are_unknown(tables):
    timing = tables["timing"].reset_index(drop=True)
    at = timing["program"].isin(tables["replicas"]["program"]).idxmax()
    first = timing.loc[at, ["experiment", "program"]]
    seconds = timing["train_seconds"].mask(timing.index == at)
    timing = pd.concat([timing, timing.loc[[at]]]).assign(train_seconds=[*seconds, 1.0])  # another tile of the program
    found = analysis.costs(tables["replicas"], timing).set_index("variant_id")["step_seconds"]
    of_first = (tables["replicas"].set_index("variant_id")[first.index] == first).all(axis=1)
    of_first = of_first[~of_first.index.duplicated()]
    assert of_first.any()
    assert found[~of_first].notna().any()
    assert found[of_first].isna().all()
    programs = environment.by_program(timing).set_index(["experiment", "program"])
    assert np.isnan(programs.loc[tuple(first), "train_seconds"])
    assert programs.loc[tuple(first), "wall_seconds"] > 0
    told = {text for row in environment.timing(words.ENGLISH, timing)[2].blocks[0].rows for text in row}
    assert "nan" not in told


def test_the_memory_picture_has_the_bytes_and_their_share(tables):
    figure = synthetic.pictures("c", tables)["experiment_c_study_memory_digits.png"]()
    temporaries = figure.axes[1]
    assert sorted({round(bar.get_height(), 3) for bar in temporaries.patches}) == [5.6, 6.0, 8.0, 14.0, 15.0, 20.0]
    texts = {text.get_text() for text in temporaries.texts}
    assert {"20", "14\n70%", "5.6\n70%"} <= texts


def test_a_variant_that_diverged_has_a_cross_and_its_count(tables):
    figure = synthetic.pictures("c", tables)["experiment_c_study_clipping_digits.png"]()
    panels = {ax.get_title(loc="left"): ax for ax in figure.axes}
    assert list(panels) == [f"{name}, learning rate {rate}" for name in ("SGD", "momentum") for rate in ("0.05", "1")]
    for name, ax in panels.items():  # each with an axis of its own; without clipping runs diverge at the high rate
        count = 3 if name.endswith("rate 1") else 0
        assert [text.get_text() for text in ax.texts] == ["3/5"] * count
        assert len([line for line in ax.lines if line.get_marker() == "x"]) == count


def test_rules_stand_side_by_side_and_failed_runs_are_counted_by_rule(tables):
    name = "experiment_a_study_batch_size_fashion_mnist.png"
    summary = tables["summary"].copy()
    failing = (summary["study"] == "batch_size") & (summary["batch_size"] == 2048)
    failing &= summary["learning_rate_rule"].isin(["linear", "square_root"])
    assert failing.sum() == 4
    summary.loc[failing, ["n_failed", "n_stuck"]] = 2
    ax = synthetic.pictures("a", tables | {"summary": summary})[name]().axes[0]
    dots = {round(float(line.get_xdata()[0]), 3) for line in ax.lines if line.get_marker() == "o"}
    assert len([x for x in dots if 400 < x < 640]) == 3  # a place for each rule
    counts = [text for text in ax.texts if "failed" in text.get_text()]
    assert [text.get_text() for text in counts] == ["linear: 2/3 failed", "square root: 2/3 failed"]
    assert len({text.xy[1] for text in counts}) == 2  # one above the other
    marks = [float(line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    foot = max(text.xy[1] for text in counts)
    low, high = ax.get_ylim()
    assert min(y for y in marks if np.isfinite(y)) > low + (foot + 0.02) * (high - low)


def test_csvs_of_main_studies_are_as_they_were_and_studies_have_their_own(tables):
    alone = synthetic.tables("a")
    summary = analysis.results(alone, synthetic.TARGETS)["summary"]
    expected = comparison_csvs("a", alone["replicas"], summary)
    found = comparison_csvs("a", tables["replicas"], tables["summary"])
    assert expected.keys() < found.keys()
    for name, rows in expected.items():
        assert found[name].equals(rows)
    mine = found["experiment_a_study_precision_digits.csv"]
    assert len(mine) == 6
    assert "best_rate" not in mine
    assert {"precision", "loss", "learning_rate", "test_accuracy_mean"} <= set(mine)


@pytest.fixture(scope="module")
def blocks(tables):
    found = {name: plots.by_file(plots.pictures(name, tables).values(), synthetic.PATTERNS[name]) for name in "abc"}
    return content(tables, records({}, "abc"), found)


def test_pictures_stand_under_their_own_study(tables, blocks):
    names = {name: list(synthetic.pictures(name, tables)) for name in "abc"}
    found, where, inside = {}, "", False
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2:
            inside = block.anchor.startswith("comparison-")  # answers show some of them again
        if isinstance(block, Heading) and block.level == 3:
            where = block.text
        if isinstance(block, Picture) and inside:
            found.setdefault(block.name, []).append(where)
    assert found.keys() == {name for each in names.values() for name in each}
    assert all(len(places) == 1 for places in found.values())
    assert found["experiment_a_study_precision_digits_loss_scale.png"] == ["Precision study (digits)"]
    assert found["experiment_a_results_digits.png"] == ["digits"]
    assert found["experiment_c_study_memory_digits.png"] == ["Memory study (digits)"]


def test_of_rates_that_were_set_nothing_is_said_to_be_chosen(tables, views):
    for experiment, study in (("a", "precision"), ("c", "clipping"), ("a", "batch_size"), ("c", "memory")):
        one = view_of(views, experiment, study)
        told = [*findings.findings(one), *findings.limits(one), *sections.protocol(one, tables["history"])]
        text = " ".join([*told, *(block.caption for block in sections.tables(one) if isinstance(block, Table))])
        for silly in (
            "was not tuned",
            "only one",
            "only rate",
            "its best rate",
            "the best rate",
            "common rate",
            "is selected on",
            "was selected on",
            "were selected on",
        ):
            assert silly not in text, (study, silly)
        assert "preset" in text


def test_claims_are_counted_over_the_cells(tables):
    declared = {("a", "precision"): [{"factor": "precision", "better": "float32", "than": "bfloat16"}]}
    found = synthetic_studies.tables((), ("a",))
    found |= analysis.results(found, synthetic.TARGETS, declared)
    (one, *_) = view.views(words.ENGLISH, found, "a", synthetic.TARGETS)
    one = dataclasses.replace(one, main=False)
    (tally,) = findings.tallies(one)
    assert tally.startswith("float32 versus bfloat16, test accuracy: ")
    assert "in 2 of 2" in tally or "in 1 of 2" in tally
    assert findings.leaders(one, "Losses") == [f"Losses, Precision study (digits): {tally}"]


def test_many_overflows_are_told_of_together_and_a_rate_is_said_once(views):
    told = findings.findings(view_of(views, "c", "clipping"))
    assert "float16 overflowed in 8 of 8 variants, and loss scaling skipped 1 to 1 steps (medians over seeds)." in told
    assert any(one.startswith("No clipping (SGD, float32) at rate 1: 3 of 5 diverged; reached") for one in told)


def test_costs_are_a_table_of_the_report(views):
    blocks = sections.costs(view_of(views, "c", "memory"))
    assert blocks[0].columns[:2] == ("precision", "remat")
    assert ("float16", "yes", "3", "3", "6", "2") in blocks[0].rows
    assert not sections.costs(view_of(views, "a", "batch_size"))


def test_what_auto_came_to_is_in_the_report(tables, views):
    told = [
        {"key": "precision", "value": "float32", "device": "cpu"},
        {"key": "batch_size", "study": "main", "dataset": "digits", "value": 512, "most": 4096},
    ]
    one = [view_of(views, "a", "precision")]
    blocks = sections.comparison_blocks(words.ENGLISH, "a", one, tables, {"auto": told}, {})
    notes = [block.text for block in blocks if isinstance(block, Note)]
    assert notes[0].startswith('Precision = "auto" is float32 on this device (cpu)')
    assert "is 512 on digits" in notes[1]
    assert "Batch size changes training itself" in notes[1]


def test_the_whole_report_is_made(blocks, views):
    assert "nan" not in markdown.render(blocks).lower()
    assert json.loads(findings.records([one for each in views.values() for one in each]))


def test_numbers_are_named_where_nothing_else_says_what_they_are():
    say = words.ENGLISH.value
    assert (say(512, "batch_size"), say(np.inf, "clip_norm"), say(1.0, "clip_norm")) == (
        "batch size 512",
        "no clipping",
        "clip norm 1",
    )
    assert (say(True, "remat"), say(np.bool_(False), "remat"), say("relu", "activation")) == (
        "remat",
        "no remat",
        "ReLU",
    )


def test_studies_are_named_in_the_reader_s_language(tables, views):
    one = dataclasses.replace(view_of(views, "a", "batch_size"), words=words.KOREAN)
    assert one.where() == "배치 크기 실험(Fashion-MNIST)"
    with words.speaking(words.KOREAN):
        figure = synthetic.pictures("a", tables)["experiment_a_study_batch_size_fashion_mnist.png"]()
    assert "배치 크기 실험" in figure.get_suptitle()


def test_a_factor_is_not_named_twice_on_an_axis(tables):
    figure = synthetic.pictures("c", tables)["experiment_c_study_memory_digits.png"]()
    for ax in figure.axes:
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["no remat", "remat"]
        assert ax.get_xlabel() == words.ENGLISH.say("axis.groups_remat")


def test_failed_runs_are_counted_below_every_mark(tables):
    summary = tables["summary"].copy()
    mine = (summary["study"] == "batch_size") & (summary["batch_size"] == 2048)
    summary.loc[mine & (summary["learning_rate_rule"] != "fixed"), "n_failed"] = 2  # of two rules
    draw = synthetic.pictures("a", tables | {"summary": summary})["experiment_a_study_batch_size_fashion_mnist.png"]
    ax = draw().axes[0]
    low, high = ax.get_ylim()
    marks = [y for line in ax.lines if line.get_transform() == ax.transData for y in line.get_ydata()]
    foot = low + (groups.FOOT + 0.1) * (high - low)  # of the cross with its count above it
    assert foot < np.nanmin(marks)
    crosses = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "x"]
    assert len(set(crosses)) == len(crosses) == 2  # side by side
