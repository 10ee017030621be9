"""Questions about activations: dead units, activations in mixed precision, distributions in constant memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis import mean_interval
from jaxcompare.plots import style
from jaxcompare.plots.charts import Panel, Point, Series
from jaxcompare.report.answer_parts import by_precision, chart, table
from jaxcompare.report.blocks import Block, Details, Items, Paragraph, Table
from jaxcompare.report.cells import share
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.measured import Study, others_of
from jaxcompare.report.pictures import picture

DYING = "relu"  # its units die: they give zero and get no gradient on every example
# Grids that would vary a factor.
EXAMPLES = {
    "hidden": "hidden = [[64, 64], [64, 64, 64, 64]]",
    "precision": 'precision = ["float32", "float16"]',
}
NUMBER = 4  # bytes of a float32 and of a count


def dead_units(evidence: Evidence) -> list[Block]:
    """Answer how dead ReLUs behave: by learning rate, layer, depth, precision and device."""
    words = evidence.words
    studies = _dying(evidence)
    if not studies:
        return []
    texts = [_by_rate(evidence, evidence.where(study, studies), study.rows) for study in studies]
    rows, series = [], []
    for index, study in enumerate(studies):
        where = evidence.where(study, studies)
        ordered = study.rows.sort_values([*study.others, "learning_rate"], kind="stable")
        for number, cell in enumerate(analysis.cells(ordered, study.others)):
            rows += [(study, row) for _, row in cell.iterrows()]
            label = evidence.label(cell.iloc[0], study.others, where)
            colour = style.PALETTE[(index + number) % len(style.PALETTE)]
            points = tuple(_share(evidence, row) for _, row in cell.iterrows())
            series.append(Series(label, colour, points, style.DASHES[number % len(style.DASHES)]))
    texts += [_by_factor(evidence, studies, factor) for factor in ("hidden", "precision")]
    device = next((str(about["device"].get("kind")) for about in evidence.measured.told.values() if _kind(about)), None)
    texts.append(words.say("answer.dead_device", device=device) if device else words.say("answer.dead_no_device"))
    shown = table(
        evidence, studies, rows, others_of(studies), ("learning_rate", "n", "failed", "dead_first", "dead_last")
    )
    panel = Panel(
        words.say("chart.dead_units"),
        words.say("chart.dead_note"),
        words.say("axis.learning_rate"),
        words.say("axis.dead_mean"),
        tuple(series),
        ticks=tuple((rate, words.level(rate)) for rate in sorted({row["learning_rate"] for _, row in rows})),
        log_x=True,
    )
    folded = Details(words.say("answer.dead_rows", count=len(shown.rows)), (shown,))
    return [Items(tuple(texts)), chart(evidence, "dead_units", panel), _layers(evidence, studies), folded]


def _kind(about: object) -> bool:
    return isinstance(about, dict) and isinstance(about.get("device"), dict)


def _dying(evidence: Evidence) -> list[Study]:
    """Return the studies of several learning rates, reduced to their variants with ReLU."""
    if "dead_fraction_final" not in evidence.measured.summary or "activation" not in evidence.measured.summary:
        return []
    found = []
    for study in evidence.measured.studies("learning_rate"):
        rows = _relus(study)
        others = tuple(name for name in study.others if name in rows and rows[name].nunique(dropna=False) > 1)
        if len(rows) and rows["learning_rate"].nunique() > 1:
            found.append(study._replace(rows=rows, others=others))
    return [study for study in found if _asked(evidence, study.experiment)]


def _relus(study: Study) -> pd.DataFrame:
    """Return the variants with ReLU that were measured."""
    return study.rows[(study.rows["activation"] == DYING) & study.rows["dead_fraction_initial"].notna()]


def _asked(evidence: Evidence, experiment: str) -> bool:
    """Return whether an experiment varies the activation."""
    return any(study.experiment == experiment for study in evidence.measured.studies("activation"))


def _share(evidence: Evidence, row: pd.Series) -> Point:
    values = evidence.measured.runs.loc[evidence.measured.runs["variant_id"] == row["variant_id"], "dead_last"]
    mean, low, high = mean_interval(values)
    return Point(row["learning_rate"], mean, max(low, 0.0) if math.isfinite(low) else low, high, bool(row["n_failed"]))


def _by_rate(evidence: Evidence, where: str, rows: pd.DataFrame) -> str:
    """Say the share at the best rate, and where the share is highest."""
    words = evidence.words
    best = analysis.ranked(rows).iloc[0]
    worst = rows.sort_values("dead_fraction_final", na_position="first").iloc[-1]
    values = {
        "where": where,
        "first": share(words, best["dead_fraction_initial"]),
        "best": share(words, best["dead_fraction_final"]),
    }
    values |= {"best_rate": best["learning_rate"], "worst_rate": worst["learning_rate"]}
    lost = int(rows["dead_fraction_final"].isna().sum())
    if evidence.measured.rates_set(rows):
        least = rows.sort_values("dead_fraction_final", na_position="last").iloc[0]
        values |= {"best": share(words, least["dead_fraction_final"]), "best_rate": least["learning_rate"]}
    key = "answer.dead_set" if evidence.measured.rates_set(rows) else "answer.dead"
    told = words.say(key, worst=share(words, worst["dead_fraction_final"]), **values)
    return f"{told} {words.say('answer.dead_lost', k=lost, count=len(rows))}" if lost else told


def _by_factor(evidence: Evidence, studies: Sequence[Study], factor: str) -> str:
    """Say the share at the best rate by another factor, or that no study varied the factor."""
    words, found, was_set = evidence.words, [], True
    for study in (one for one in evidence.measured.studies(factor) if _asked(evidence, one.experiment)):
        rows = _relus(study)
        was_set &= evidence.measured.rates_set(study.rows)
        for _, row in evidence.measured.best(rows, (factor, *study.others)).iterrows() if len(rows) else ():
            told = {
                "level": evidence.name(row, (factor, *study.others)),
                "share": share(words, row["dead_fraction_final"]),
            }
            found.append(words.say("answer.dead_level", where=words.level(study.dataset), n=row["n"], **told))
    if not found:
        values = (
            {value for one in studies for value in one.rows[factor].unique()}
            if factor in evidence.measured.summary
            else set()
        )
        had = "; ".join(words.level(value, factor) for value in sorted(values, key=str)) or words.say("number.none")
        missing = words.say("answer.dead_not_varied", factor=words.factor(factor), values=had, example=EXAMPLES[factor])
        return f"{missing} {words.say('answer.dead_by_place')}" if factor == "hidden" else missing
    key = "answer.dead_by_set" if was_set else "answer.dead_by"
    return words.say(key, factor=words.factor(factor), levels="; ".join(found))


def _layers(evidence: Evidence, studies: Sequence[Study]) -> Table:
    """Return the share by layer after the last epoch, at the best rate and at the highest rate without a diverged run."""
    words, body, names = evidence.words, [], []
    layers = evidence.measured.tables["layers"]
    for study in studies:
        whole = study.rows[study.rows["n_diverged"] == 0]
        ends = [analysis.ranked(study.rows).iloc[0]]
        ends += [whole.sort_values("learning_rate").iloc[-1]] if len(whole) else []
        for row in {row["variant_id"]: row for row in ends}.values():
            ids = evidence.measured.runs.loc[evidence.measured.runs["variant_id"] == row["variant_id"], "replica_id"]
            mine = layers[layers["replica_id"].isin(ids)]
            mine = mine[mine["epoch"] == mine["epoch"].max()]
            groups = mine.groupby(["layer_index", "layer"])["dead_fraction"]
            shares = groups.mean().where(groups.count() == len(ids)).dropna().reset_index()
            names += [name for name in shares["layer"] if name not in names]
            told = dict(zip(shares["layer"], shares["dead_fraction"], strict=True))
            label = evidence.name(row, study.others)
            body.append(
                ((evidence.where(study, studies), label, words.level(row["learning_rate"]), str(row["n"])), told)
            )
    heads = [words.say(f"column.{name}") for name in ("dataset", "variant", "learning_rate", "n")]
    columns = (*heads, *(words.level(name, "layer") for name in names))
    rows = tuple((*front, *(share(words, told.get(name)) for name in names)) for front, told in body)
    if all(not row[1] for row in rows):  # nothing but the rate varies
        columns, rows = (columns[0], *columns[2:]), tuple((row[0], *row[2:]) for row in rows)
    return Table(words.say("answer.dead_layers"), columns, rows)


def mixed_activations(evidence: Evidence) -> list[Block]:
    """Answer what mixed precision does to each activation."""
    if not evidence.measured.studies("activation", "precision"):
        return []
    columns = ("learning_rate", "n", "failed", "test_accuracy", "dead_last", "skipped_steps", "underflow")
    return by_precision(evidence, "mixed_activations", "activation", columns)


def distributions(evidence: Evidence) -> list[Block]:
    """Answer how distributions are gathered in constant memory: counts in fixed bins, for any number of examples."""
    words = evidence.words
    kept = evidence.measured.tables.get("histograms")
    if kept is None or not len(kept) or not any(_asked(evidence, name) for name in evidence.measured.told):
        return []
    kept = kept[kept["kind"] != "gradient"]  # gradients are of parameters, not of examples
    runs = kept[["replica_id"]].drop_duplicates().merge(evidence.measured.replicas, on="replica_id")
    body: list[tuple[str, ...]] = []
    networks: dict[str, list[tuple[int, float, float]]] = {}
    for _, run in runs.drop_duplicates(["experiment", "dataset"]).iterrows():
        experiment, dataset, hidden = (run[name] for name in ("experiment", "dataset", "hidden"))
        one = kept[kept["replica_id"] == run["replica_id"]]
        units = sum(int(width) for width in str(hidden).split("-"))
        kinds, layers, snapshots = one["kind"].nunique(), one["layer"].nunique(), one["epoch"].nunique()
        bins = len(one["counts"].iloc[0]) + 2  # and what lies below and above
        examples = _examples(run, one.iloc[0])
        histogram, example = layers * kinds * bins * NUMBER, units * kinds * NUMBER
        name = words.say("chart.series", name=words.level(experiment, "experiment"), where=words.level(dataset))
        train = int(run["train_examples"])
        numbers = (layers, bins, snapshots, examples)
        sizes = (histogram / 1024, example * examples / 1024, example * train / 1024)
        body.append((name, *(f"{value:,}" for value in numbers), *(f"{value:,.1f}" for value in sizes)))
        networks.setdefault(str(hidden), []).append((train, histogram / 1024, example / 1024))
    series = _memory(evidence, networks)
    heads = ("variant", "layers", "bins", "snapshots", "examples", "kept_bytes", "probe_bytes", "train_bytes")
    shown = Table("", tuple(words.say(f"column.{name}") for name in heads), tuple(body))
    labels = (words.say("axis.examples"), words.say("axis.kibibytes"))
    note = words.say("chart.reckoned")
    panel = Panel(words.say("chart.distributions"), note, *labels, series, log_x=True, log_y=True)
    return [
        Paragraph(words.say("answer.distributions")),
        shown,
        chart(evidence, "distributions", panel),
        *_drawn(evidence),
    ]


def _memory(evidence: Evidence, networks: dict[str, list[tuple[int, float, float]]]) -> tuple[Series, ...]:
    """Return the memory of each network's counts, and of all its activations up to the largest training set."""
    words, series = evidence.words, []
    for index, (hidden, found) in enumerate(networks.items()):
        train, histogram, example = max(found)
        colour = style.PALETTE[index % len(style.PALETTE)]
        name = f"{words.factor('hidden')} {hidden}"
        for key, dash, kibibytes in (("bins", "-", [histogram] * 2), ("everything", ":", [example, example * train])):
            points = tuple(Point(count, size) for count, size in zip((1.0, float(train)), kibibytes, strict=True))
            series.append(Series(words.say(f"chart.{key}", name=name), colour, points, dash))
    return tuple(series)


def _examples(run: pd.Series, row: pd.Series) -> int:
    """Return the number of examples that a run's histogram of the first hidden layer counts."""
    if not pd.isna(run.get("probe_size", math.nan)):
        return int(run["probe_size"])
    counted = int(sum(row["counts"])) + int(row["below"]) + int(row["above"])
    return counted // int(str(run["hidden"]).split("-")[0])


def _drawn(evidence: Evidence) -> list[Block]:
    """Return the report's pictures of distributions."""
    return [
        picture(evidence.words, name, plot)
        for every in evidence.pictures.values()
        for name, plot in every.items()
        if plot.kind == "activation_distributions"
    ]
