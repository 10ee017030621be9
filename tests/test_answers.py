"""The nine questions: unanswered where nothing was measured, and answered from studies found by what varies in them."""

import re

import numpy as np
import pandas as pd
import pytest
import synthetic

from jaxcompare import analysis
from jaxcompare.report import environment, html, markdown
from jaxcompare.report.answers import QUESTIONS, answers
from jaxcompare.report.blocks import Chart, Heading, Items, Paragraph, Table
from jaxcompare.report.claimed import claimed
from jaxcompare.report.content import content
from jaxcompare.report.curves import LIMIT, curves, fit
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.fixed import fixed
from jaxcompare.report.measured import Measured
from jaxcompare.report.records import records
from jaxcompare.report.view import views
from jaxcompare.words import ENGLISH

EN = ENGLISH.catalogue
EVERY = list(QUESTIONS)
STUDIED = ("mixed_losses", "large_batches", "mixed_activations", "clipping", "rate_by_batch")
EXTRA = {"precision": "float32", "clip_norm": np.inf, "learning_rate_rule": "fixed", "reference_batch_size": 128}
COMMON = {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "cosine"}
EXTRA |= {"remat": False, "probe_size": 512, "matmul_precision": "float32"}


def study(experiment, name, dataset, seeds=5, epochs=2, **lists):
    """The tables of one more study, each program a precision, a batch size and a kind of memory."""
    parts = {table: [] for table in ("replicas", "history", "layers", "units", "histograms", "timing")}
    base = synthetic.PLANS[experiment].base | EXTRA | {"epochs": epochs}
    plan = synthetic.Plan(experiment, (dataset,), synthetic.grid(**lists), seeds, epochs, base)
    for cell in plan.cells:
        for seed in range(seeds):  # with a cosine none of comparison C's diverges
            synthetic._replica(parts, plan, dataset, COMMON | cell, seed)
    found = {table: pd.DataFrame(rows) for table, rows in parts.items()}
    replicas = found["replicas"]
    replicas["study"] = name
    shared = ["optimizer", "precision", "batch_size", "remat"]
    replicas["program"] = [f"{name} " + " ".join(map(str, row)) for row in replicas[shared].to_numpy()]
    rows = []
    for program, mine in replicas.groupby("program", sort=False):
        row = {"program": program, "experiment": experiment, "replicas": len(mine), "steps": 100}
        row |= {"compile_seconds": 5.0, "train_seconds": 8.0, "evaluate_seconds": 2.0, "wall_seconds": 10.0}
        speed = 2.0 if mine["precision"].iloc[0] == "bfloat16" else 1.0
        row["replica_steps_per_second"] = len(mine) * 100 / 10.0
        row |= {"wall_seconds": 10.0 / speed, "argument_bytes": 2.0**20}
        rows.append(row | {"temporary_bytes": 2.0**20 * (1 if mine["remat"].iloc[0] else 3)})
    return found | {"timing": pd.DataFrame(rows)}


def together(*every):
    names_of = dict.fromkeys(name for one in every for name in one)
    return {name: pd.concat([one[name] for one in every if name in one], ignore_index=True) for name in names_of}


def evidence(tables, manifest=synthetic.MANIFEST):
    told = records(manifest, tables["replicas"]["experiment"].unique())
    targets = {name: about.get("target") for name, about in told.items()}
    found = {name: table for name, table in tables.items() if len(table)}
    return Evidence(ENGLISH, Measured(found | analysis.results(found, targets), told), {})


def asked(tables, *keys):
    """The blocks of each question by its key; of one alone where one is asked for."""
    found = sections(answers(evidence(tables), keys or None))
    return found[keys[0]] if len(keys) == 1 else found


def sections(blocks):
    """The blocks of each question by its key."""
    found, key = {}, None
    for block in blocks:
        if isinstance(block, Heading):
            key = block.anchor.removeprefix("question-")
        found.setdefault(key, []).append(block)
    return found


def text_of(blocks):
    return " ".join(
        " ".join(block.items) if isinstance(block, Items) else block.text
        for block in blocks
        if isinstance(block, Items | Paragraph)
    )


def table_of(blocks):
    table = next(block for block in blocks if isinstance(block, Table))
    return pd.DataFrame(list(table.rows), columns=list(table.columns))


@pytest.fixture(scope="module")
def plain():
    return sections(answers(evidence(synthetic.tables())))


def test_every_question_stands_and_says_what_it_did_not_measure(plain):
    assert list(plain) == ["questions", *EVERY]
    for key in STUDIED:
        assert text_of(plain[key]) == EN["answer.unmeasured"].format(missing=EN[f"missing.{key}"])
    for key in ("losses", "dead_units", "distributions"):
        assert any(isinstance(block, Table) for block in plain[key])
        assert any(isinstance(block, Chart) for block in plain[key])


def test_questions_about_factors_that_no_main_study_compares_are_not_asked():
    found = asked(synthetic.tables("a"))
    assert [key for key in found if key in EVERY] == ["losses", "mixed_losses", "large_batches"]
    found = asked(synthetic.tables("mine"))  # its batch sizes answer two of them
    assert [key for key in found if key in EVERY] == ["large_batches", "rate_by_batch"]


def test_a_user_s_activations_on_moons_are_asked_and_answered_like_the_shipped_ones():
    mine = synthetic.tables("my_moons")
    found = asked(mine)
    assert [key for key in found if key in EVERY] == ["dead_units", "mixed_activations", "distributions"]
    assert re.search(r"moons, by learning rate: \d\.\d% of hidden units are dead", text_of(found["dead_units"]))
    assert any(isinstance(block, Chart) for block in found["distributions"])
    assert text_of(found["mixed_activations"]).startswith(EN["answer.unmeasured"].split("{")[0].strip())


def test_losses_are_told_by_the_size_of_their_gradients(plain):
    rows = table_of(plain["losses"])
    assert list(rows["loss"]) == ["cross-entropy", "MSE on probabilities"] * 2
    assert "times as large with" in text_of(plain["losses"])
    for _, row in rows.iterrows():
        assert float(row["rate x gradient, first step"]) == pytest.approx(
            float(row["learning rate"].split()[0]) * float(row["last layer's gradient, initial"]), rel=0.01
        )


def precision_study(experiment="a", dataset="digits", lower=0.05, **lists):
    """In float16 accuracy is lower by so much, steps are skipped and gradients underflow."""
    found = study(experiment, "zzz", dataset, precision=["float32", "float16"], learning_rate=[0.1, 1.0], **lists)
    half = found["replicas"].loc[found["replicas"]["precision"] == "float16", "replica_id"]
    keep = found["history"]["replica_id"].isin(half)
    for name in ("validation_accuracy", "test_accuracy"):
        found["history"].loc[keep, name] -= lower
    found["history"]["skipped_steps"] = np.where(keep, 3.0, np.nan)
    found["history"]["loss_scale"] = np.where(keep, 1024.0, np.nan)
    found["layers"]["gradient_underflow"] = np.where(found["layers"]["replica_id"].isin(half), 0.25, np.nan)
    return found


@pytest.mark.parametrize(
    ("key", "experiment", "dataset", "levels"),
    [
        ("mixed_losses", "a", "digits", {"loss": ["cross_entropy", "mse"]}),
        ("mixed_activations", "b", "moons", {"activation": ["relu", "sigmoid"]}),
    ],
)
def test_mixed_precision_is_held_against_float32(key, experiment, dataset, levels):
    tables = together(synthetic.tables(experiment), precision_study(experiment, dataset, **levels))
    blocks = asked(tables, key)
    told = text_of(blocks)
    assert (
        len(re.findall(r"in float16: -\d\.\d\d \[-\d+\.\d\d, -\d\.\d\d\] points, below float32 \(n = 5, p ", told)) == 2
    )
    rows = table_of(blocks)
    assert len(rows) == 4
    assert set(rows.loc[rows["precision"] == "float32", "minus float32 (points)"]) == {"-"}
    assert set(rows["skipped steps (median)"]) == {"-", "3"}
    assert set(rows["underflowing gradients (median)"]) == {"-", "25.0%"}
    chart = next(block for block in blocks if isinstance(block, Chart))
    assert [text for _, text in chart.panel.ticks] == ["float32", "float16"]


def test_no_difference_is_not_called_one():
    tables = precision_study("a", "digits", lower=0.0, loss=["cross_entropy", "mse"])
    told = text_of(asked(tables, "mixed_losses"))
    assert told.count("no difference from float32 shown") == 2


def test_runs_that_diverge_in_float16_are_counted_and_have_no_mean():
    tables = precision_study("a", "digits", loss=["cross_entropy", "mse"])
    replicas = tables["replicas"]
    gone = (replicas["precision"] == "float16") & (replicas["loss"] == "mse") & (replicas["seed"] == 0)
    replicas.loc[gone, "first_nonfinite_step"] = 5.0
    blocks = asked(tables, "mixed_losses")
    assert "no mean difference from float32, because runs diverged (1 of 5 diverged; reached" in text_of(blocks)
    rows = table_of(blocks)
    assert "2 of 10" in set(rows["failed, all rates"])


def clipping_study(stuck=(), diverged=()):
    """Of SGD in float16 at rate 1 some seeds without clipping stay at chance, some diverge; the rates were set."""
    tables = precision_study("c", "digits", optimizer=["sgd", "adamw"], clip_norm=[np.inf, 1.0])
    replicas = tables["replicas"].assign(compared="clip_norm precision", tuned="", fixed="optimizer learning_rate")
    gone = (replicas["precision"] == "float16") & np.isinf(replicas["clip_norm"]) & (replicas["optimizer"] == "sgd")
    gone &= replicas["learning_rate"] == 1.0
    replicas.loc[gone & replicas["seed"].isin(diverged), "first_nonfinite_step"] = 5.0
    ids = replicas.loc[gone & replicas["seed"].isin(stuck), "replica_id"]
    for name in ("validation_accuracy", "test_accuracy"):
        tables["history"].loc[tables["history"]["replica_id"].isin(ids), name] = 0.1
    return tables | {"replicas": replicas}


def test_clipping_is_judged_at_each_rate_by_its_claim():
    blocks = asked(clipping_study(stuck=range(5)), "clipping")
    told = text_of(blocks)
    line = next(one for one in told.split("digits, ") if one.startswith("SGD, float16: clipping at 1 helps"))
    assert re.search(
        r"at rate 0\.1, no difference is shown, \S+ \[.*?\] points \(n = 5, p = \S+ after correction for", line
    )
    assert "at rate 1, clipping is better, +" in line
    assert "where 5 of 5 runs fail without clipping and 0 of 5 with clipping" in line
    assert "AdamW, float16: clipping at 1 had no detectable effect" in told
    assert "Fisher" not in told
    rows = table_of(blocks)
    assert set(rows["learning rate"]) == {"0.1", "1"}  # each of them set: none is the best, none at an edge
    assert "helps" not in text_of(asked(clipping_study(), "clipping"))


def test_clipping_has_no_mean_where_runs_diverged_but_counts_them():
    told = text_of(asked(clipping_study(diverged=(0, 1)), "clipping"))
    assert (
        "at rate 1, there is no mean difference, because runs diverged (n = 5), where 2 of 5 runs fail without" in told
    )


def test_differences_that_nobody_claimed_are_corrected_over_the_answer():
    found = evidence(precision_study("a", "digits", lower=0.0, loss=["cross_entropy", "mse"])).measured
    ids = [str(name) for name in found.summary["variant_id"].iloc[:3]]
    bare = evidence({**found.tables, "claims": found.claims.iloc[:0]}).measured
    first, second = bare.judge([(ids[0], ids[1]), (ids[2], ids[1])])
    alone = [analysis.paired_variants(bare.runs.reset_index(drop=True), one, ids[1]).p_t for one in (ids[0], ids[2])]
    assert [first.p, second.p] == pytest.approx(list(analysis.holm(alone)))
    assert (first.family, first.claimed) == (2, False)
    claim = found.claims.iloc[0]
    pair = (claim["first_id"], claim["second_id"])
    forth, back = found.judge([pair, pair[::-1]])
    assert (forth.reading, forth.p, forth.claimed) == (claim["reading"], claim["p_t_holm"], True)
    assert (back.difference, back.low, back.high) == pytest.approx((-forth.difference, -forth.high, -forth.low))


def batches(power, rules=("fixed",)):
    """A study in which the best rate is 0.1 (batch / 128) ** power."""
    sizes = [32, 128, 512]
    rates = [0.025, 0.05, 0.1, 0.2, 0.4]
    tables = study("c", "qqq", "digits", batch_size=sizes, learning_rate=rates, learning_rate_rule=list(rules))
    replicas = tables["replicas"]
    ratio = (replicas["batch_size"] / 128).astype(float)
    scaled = np.where(replicas["learning_rate_rule"] == "linear", ratio, 1.0)
    off = np.abs(np.log10(replicas["learning_rate"] * scaled / (0.1 * ratio**power)))
    accuracy = 0.9 - 0.05 * off + 0.001 * replicas["seed"]
    values = tables["history"]["replica_id"].map(dict(zip(replicas["replica_id"], accuracy, strict=True)))
    for name in ("validation_accuracy", "test_accuracy"):
        tables["history"][name] = values
    return tables


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_power_by_which_the_best_rate_grows_is_found(power):
    blocks = asked(batches(power), "rate_by_batch")
    assert f"to the power {power:.2f}" in text_of(blocks)
    assert ("edge of its grid" in text_of(blocks)) == (power == 1.0)


def test_rates_are_those_that_a_rule_made():
    rows = table_of(asked(batches(1.0, ("linear",)), "rate_by_batch"))
    assert list(rows["learning rate"]) == ["0.1"] * 3
    assert list(rows["rate used"]) == ["0.025", "0.1", "0.4"]


def set_rates(tables):
    """The same study with rates that were set, one for each batch size."""
    replicas = tables["replicas"]
    replicas = replicas[replicas["learning_rate"] == replicas["batch_size"].map({32: 0.025, 128: 0.1, 512: 0.4})]
    return tables | {"replicas": replicas.assign(compared="", tuned="", fixed="learning_rate")}


def test_a_rate_that_was_set_is_not_the_best_one():
    blocks = asked(set_rates(batches(1.0)), "rate_by_batch")
    told = text_of(blocks)
    assert told.startswith("Not measured in this run: each batch size was trained at one rate")
    assert "to the power" not in told
    assert re.search(r"digits: 0\.\d+ \[.*?\] at batch 32; .* at batch 512 \(n = 5\)\.", told)
    assert list(table_of(blocks)["learning rate"]) == ["0.025", "0.1", "0.4"]  # no edges either
    assert not any(isinstance(block, Chart) for block in blocks)
    one_rate = batches(1.0)  # of which every size has one rate, though nobody said that it was set
    keep = one_rate["replicas"]["learning_rate"] == one_rate["replicas"]["batch_size"].map(
        {32: 0.025, 128: 0.1, 512: 0.4}
    )
    told = text_of(asked(one_rate | {"replicas": one_rate["replicas"][keep]}, "rate_by_batch"))
    assert told.startswith("Not measured in this run")


def test_settings_with_failed_runs_do_not_tell_whether_the_gradient_vanishes():
    tables = set_rates(batches(0.0))
    large = tables["replicas"].loc[tables["replicas"]["batch_size"] == 512, "replica_id"]
    first = tables["layers"]["replica_id"].isin(large) & (tables["layers"]["layer_index"] == 0)
    tables["layers"].loc[first, "gradient_norm"] *= 1e-6
    stuck = tables["history"]["replica_id"].isin(large[:3])
    tables["history"].loc[stuck, ["validation_accuracy", "test_accuracy"]] = 0.1
    told = text_of(asked(tables, "large_batches"))
    assert "digits: no. At the preset rates of each batch size (32, 128), 2 settings have no failed run." in told
    assert "Runs failed in 1 of 3 settings, which are left out" in told
    assert "batch size 512 (3 of 5 stuck at chance; reached" in told


def test_studies_of_several_comparisons_are_told_apart_by_them():
    one, other = batches(0.0), batches(0.0)
    for name in ("replicas", "history", "layers", "units", "histograms"):
        for key in ("replica_id", "variant_id"):
            if key in other[name]:
                other[name][key] = "x-" + other[name][key]
    other["replicas"]["experiment"] = other["timing"]["experiment"] = "a"
    other["replicas"]["study"] = one["replicas"]["study"] = "batch_size"
    blocks = asked(together(one, other), "large_batches")
    found = set(table_of(blocks)["data set"])
    assert found == {"C. Optimizers, digits", "A. Losses, digits"}
    chart = next(block for block in blocks if isinstance(block, Chart))
    assert {panel.title for panel in chart.panel.panels} == found
    other["replicas"]["experiment"], other["replicas"]["study"] = "c", "more_sizes"
    found = set(table_of(asked(together(one, other), "large_batches"))["data set"])
    assert found == {"Batch-size study (digits)", "more sizes study (digits)"}


def test_a_gradient_that_vanishes_at_large_batches_is_told():
    tables = batches(0.0)
    blocks = asked(tables, "large_batches")
    assert re.search(
        r"digits: no\. At the best rate of each batch size \(32, 128, 512\), 3 settings have no failed run\.",
        text_of(blocks),
    )
    large = tables["replicas"].loc[tables["replicas"]["batch_size"] == 512, "replica_id"]
    first = tables["layers"]["replica_id"].isin(large) & (tables["layers"]["layer_index"] == 0)
    tables["layers"].loc[first, "gradient_norm"] *= 1e-6
    told = text_of(asked(tables, "large_batches"))
    assert re.search(
        r"digits: yes\. .* in 1 of 3 settings \(batch sizes 512\)\. Over all 3 settings without failed runs", told
    )


def test_dead_units_are_told_by_rate_and_precision(plain):
    told = text_of(plain["dead_units"])
    assert re.search(r"moons, by learning rate: \d\.\d% of hidden units are dead before the first step", told)
    assert "By precision: not measured" in told
    tables = together(synthetic.tables("b"), precision_study("b", "moons", activation=["relu", "sigmoid"]))
    told = text_of(asked(tables, "dead_units"))
    assert re.search(
        r"By precision, at the best rate of each: moons, float32, ReLU: \d+\.\d% \(n = 5\); moons, float16", told
    )


def test_optimizers_are_timed_by_batch_and_memory():
    tables = batches(0.0)
    told = text_of(asked(tables, "scaling"))
    assert (
        "digits, SGD: from batch 32 to 512, 16 times the examples per step give 16 times the examples per second "
        "(training 8 s, timed once)." in told
    )
    remat = study("c", "mem", "digits", precision=["float32", "bfloat16"], remat=[False, True])
    told = text_of(asked(remat, "scaling"))
    assert "temporary memory is 0.333 times the original, and its speed 1 times" in told
    brief = {name: remat[name].assign(train_seconds=0.2) if name == "timing" else remat[name] for name in remat}
    told = text_of(asked(brief, "scaling"))
    assert "0.333 times the original; too short to measure the effect on speed (0.2 s of training)" in told
    assert "its speed" not in told
    assert "By batch size: not measured" in told


def test_claims_of_others_are_held_against_programs_that_differ_in_precision_alone():
    rows = table_of(claimed(evidence(study("c", "mem", "digits", precision=["float32", "bfloat16"]))))
    measured = dict(zip(rows["claim"], rows["measured in this run"], strict=True))
    assert measured[EN["claimed.speed"]] == (
        "bfloat16: 2.00 times float32's steps per second (pairs of programs: 1, each timed once)"
    )
    assert measured[EN["claimed.memory"]].startswith("bfloat16: +0% (pairs of programs: 1")
    assert measured[EN["claimed.gpu"]] == measured[EN["claimed.loading"]] == "not measured"
    brief = study("c", "mem", "digits", precision=["float32", "bfloat16"])
    brief["timing"] = brief["timing"].assign(train_seconds=0.2)
    rows = table_of(claimed(evidence(brief)))
    assert rows["measured in this run"].iloc[1] == "too short to measure in 1 pair of programs (0.2 s of training)"
    silent = study("c", "mem", "digits", precision=["float32", "bfloat16"])
    silent["timing"] = silent["timing"].assign(argument_bytes=None, temporary_bytes=None)
    rows = table_of(claimed(evidence(silent)))
    assert rows["measured in this run"].iloc[0] == "not measured"
    none = table_of(claimed(evidence(synthetic.tables("a"))))
    assert set(none["measured in this run"]) == {"not measured"}
    assert len(none) == 6


def test_rows_of_one_program_are_added_up():
    row = {"program": "p", "experiment": "a", "replicas": 10, "steps": 100, "compile_seconds": 5.0}
    row |= {"train_seconds": 4.0, "evaluate_seconds": 1.0, "wall_seconds": 5.0, "replica_steps_per_second": 200.0}
    table = pd.DataFrame([row, row | {"compile_seconds": 0.0, "replicas": 30}])
    found = environment.by_program(table).iloc[0]
    assert (found["replicas"], found["compile_seconds"], found["wall_seconds"]) == (40, 5.0, 10.0)
    assert found["replica_steps_per_second"] == 40 * 100 / 10
    assert found["seconds_a_replica"] == 8 / 40
    silent = table.assign(argument_bytes=None, temporary_bytes=[None, 2.0**20])
    found = environment.by_program(silent).iloc[0]
    assert np.isnan(found["argument_bytes"])
    assert found["temporary_bytes"] == 2.0**20
    assert environment.timing(ENGLISH, silent)[-1].blocks[0].rows[0][-2:] == ("-", "1.00")


def test_only_what_acts_is_told_to_be_fixed():
    tables = study("a", "main", "digits", loss=["cross_entropy", "mse"], learning_rate=[0.1, 1.0])
    replicas = tables["replicas"].assign(momentum=0.9, loss_scale_initial=65536.0, kernel_size=5.0, init_scale=0.05)
    tables["replicas"] = replicas
    view = views(ENGLISH, evidence(tables).measured.tables, "a", {})[0]
    told = " ".join(fixed(view))
    assert "optimizer SGD" in told
    assert "model MLP" in told
    idle = (
        "momentum",
        "loss_scale_initial",
        "kernel_size",
        "init_scale",
        "clip_norm",
        "reference_batch_size",
        "probe_size",
    )
    for name in idle:
        assert ENGLISH.factor(name) not in told
    other = tables | {"replicas": replicas.assign(optimizer="momentum", precision="float16")}
    told = " ".join(fixed(views(ENGLISH, evidence(other).measured.tables, "a", {})[0]))
    assert "momentum 0.9" in told
    assert f"{ENGLISH.factor('loss_scale_initial')} 65536" in told


def test_the_folder_that_was_written_is_named():
    told = {"a": {"command": "python -m jaxcompare.run --out 'my results'", "out": "my results"}}
    blocks = environment.reproduce(ENGLISH, told, {"a": "A"})
    assert blocks[-1].text == "python -m jaxcompare.report 'my results'"
    assert environment.reproduce(ENGLISH, {"a": {}}, {"a": "A"})[-1].text == "python -m jaxcompare.report results"


def test_curves_stay_small():
    tables = evidence(synthetic.tables("b")).measured.tables
    found = [block for index, one in enumerate(views(ENGLISH, tables, "b", {})) for block in curves(one, str(index))]
    whole = fit(found)
    assert sum(map(len, whole.values())) < LIMIT
    assert all(text.count('"best":1') == 3 and text.count('"name"') == 9 + 3 for text in whole.values())
    limit = sum(map(len, whole.values())) // 2
    less = fit(found, limit)
    assert sum(map(len, less.values())) <= limit
    assert all(text.count('"best":1') == 3 for text in less.values())
    least = fit(found, 0)  # cannot be had: both ends of every curve stay
    assert all('"epochs":[[0,8]]' in text for text in least.values())


def test_tables_are_folded_away_with_everything_that_was_analysed():
    tables = synthetic.tables("c")
    told = records(synthetic.MANIFEST, ["c"])
    blocks = content(tables | analysis.results(tables, {"c": 0.85}), told, {})
    text, page = markdown.render(blocks), html.render(blocks, {"answer_scaling.png": b""})
    for key in ("effects", "convergence", "stability", "gradients", "sensitivity", "trials"):
        assert f"<summary>{EN[f'measure.{key}']}</summary>" in text
        assert f"<summary>{EN[f'measure.{key}']}</summary>" in page
    assert "| cosine - constant | SGD | 0.1 |" in text
    assert text.count("<details>") == text.count("</details>") == page.count("<details>")
    assert "reached target" in text


def test_the_questions_are_nine_and_their_words_are_there():
    assert len(EVERY) == 9
    for key in EVERY:
        assert {f"question.{key}", f"missing.{key}", f"chart.{key}"} <= set(EN)
