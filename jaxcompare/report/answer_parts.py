"""Parts that answers share: tables and sentences over studies, and the chart of an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from jaxcompare import analysis
from jaxcompare.config import names
from jaxcompare.plots import style
from jaxcompare.plots.charts import Panel, Point, Series, Sheet
from jaxcompare.report.blocks import Block, Chart, Items, Paragraph, Table
from jaxcompare.report.cells import Cell, accuracy, cut_note, number, share
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.findings import p_value
from jaxcompare.report.measured import Judged, Study, others_of
from jaxcompare.words import localised

# Columns of an answer's table: the column of the summary, and its text. A column that the run lacks is left out.
CELLS: dict[str, tuple[str, Callable[[Evidence, pd.Series], str]]] = {
    "learning_rate": ("learning_rate", lambda e, row: e.rate(row)),
    "n": ("n", lambda e, row: str(row["n"])),
    "failed": ("n_failed", lambda e, row: e.failures(row) or "0"),
    "test_accuracy": ("test_accuracy_mean", lambda e, row: accuracy(e.words, row)),
    "steps_to_target": ("steps_to_target_median", lambda e, row: number(e.words, row["steps_to_target_median"])),
    "gradient_start": ("last_initial", lambda e, row: number(e.words, row["last_initial"])),
    "gradient_end": ("last_final", lambda e, row: number(e.words, row["last_final"])),
    "ratio_initial": ("gradient_ratio_initial", lambda e, row: number(e.words, row["gradient_ratio_initial"])),
    "ratio_final": ("gradient_ratio_final", lambda e, row: number(e.words, row["gradient_ratio_final"])),
    "late_deviation": ("late_deviation_median", lambda e, row: number(e.words, 100 * row["late_deviation_median"])),
    "spikes": ("spikes_median", lambda e, row: number(e.words, row["spikes_median"])),
    "skipped_steps": ("skipped_steps", lambda e, row: number(e.words, row["skipped_steps"])),
    "loss_scale": ("loss_scale", lambda e, row: number(e.words, row["loss_scale"])),
    "underflow": ("underflow", lambda e, row: share(e.words, row["underflow"])),
    "dead_first": ("dead_fraction_initial", lambda e, row: share(e.words, row["dead_fraction_initial"])),
    "dead_last": ("dead_fraction_final", lambda e, row: share(e.words, row["dead_fraction_final"])),
}


def table(
    evidence: Evidence,
    studies: Sequence[Study],
    rows: Sequence[tuple[Study, pd.Series]],
    keys: Sequence[str],
    columns: Sequence[str],
    more: Mapping[str, Cell] | None = None,
) -> Table:
    """Return a table with a row per variant.

    Args:
        evidence: the tables.
        studies: the source of the rows.
        rows: each with its study.
        keys: factors that name a row.
        columns: of `CELLS`.
        more: further columns.
    """
    words = evidence.words
    known = [name for name in columns if CELLS[name][0] in evidence.measured.summary]
    kept = {name: CELLS[name][1] for name in known if any(_told(row, name) for _, row in rows)}
    more = more or {}
    heads = [words.say("column.dataset"), *map(words.factor, keys)]
    heads += [words.say(f"column.{name}") for name in (*kept, *more)]
    body = [
        (
            evidence.where(study, studies),
            *(words.level(row[key], key) for key in keys),
            *(cell(evidence, row) for cell in kept.values()),
            *(cell(row) for cell in more.values()),
        )
        for study, row in rows
    ]
    return Table("", tuple(heads), tuple(body))


def _told(row: pd.Series, name: str) -> bool:
    return name in ("failed", "n", "test_accuracy") or not pd.isna(row[CELLS[name][0]])


def difference_text(evidence: Evidence, judged: Judged) -> str:
    """Return a paired difference in points, with its interval."""
    if not np.isfinite(judged.difference):
        return evidence.words.say("number.none")
    return evidence.words.interval(judged.difference, judged.low, judged.high, "+.2f")


def verdict(evidence: Evidence, key: str, judged: Judged, failures: str, **names_of: str) -> str:
    """Return the verdict on a difference, as the sentence `key`.above, .below, .none, .few or .failed."""
    words = evidence.words
    p = p_value(words, judged.p, "number.p_is")
    if judged.family > 1:
        p = words.say("difference.corrected" if judged.claimed else "answer.corrected", p=p, family=judged.family)
    n = words.say("picture.n_fresh" if judged.fresh else "picture.n", n=judged.n)
    values = {"difference": difference_text(evidence, judged), "n": n, "p": p, "failures": failures}
    return words.say(f"{key}.{judged.reading}", **values, **names_of)


def by_precision(evidence: Evidence, key: str, factor: str, columns: Sequence[str]) -> list[Block]:
    """Compare each level of a factor in every precision with itself in float32: sentences, table, chart.

    Args:
        evidence: the tables.
        key: of the question.
        factor: that varies together with the precision.
        columns: of the table, from `CELLS`.
    """
    words, studies = evidence.words, evidence.measured.studies(factor, "precision")
    rows, names = [], {}
    points: dict[tuple, list[pd.Series]] = {}
    anywhere, pairs = {}, {}
    for study in studies:
        keys = (factor, *study.others)
        chosen = evidence.measured.best(study.rows, (*keys, "precision"))
        told_by = (*keys, *rate_of(evidence, chosen, (*keys, "precision")))
        named_by = (*keys, *rate_of(evidence, study.rows, (*keys, "precision")))
        chosen = in_order(chosen, told_by)
        for _, row in chosen.iterrows():
            variant = row["variant_id"]
            alike = same(study.rows, row, (*keys, "precision"))
            rows.append((study, row))
            anywhere[variant] = words.say("table.wins", wins=alike["n_failed"].sum(), n=alike["n"].sum())
            base = same(chosen[chosen["precision"] == "float32"], row, told_by)
            place = (evidence.where(study, studies), evidence.name(row, told_by), row[factor])
            points.setdefault(place, []).append(row)
            if row["precision"] != "float32" and len(base):
                pairs[variant] = (variant, base.iloc[0]["variant_id"])
                names[variant] = evidence.name(row, named_by)
    judged = dict(zip(pairs, evidence.measured.judge(list(pairs.values())), strict=True))
    texts = []
    for study, row in rows:
        if row["variant_id"] in judged:
            failures = evidence.failures(row) or words.say("answer.other_failed")
            told = {"precision": words.level(row["precision"]), "where": evidence.where(study, studies)}
            told |= {"name": names[row["variant_id"]]}
            texts.append(verdict(evidence, "answer.precision", judged[row["variant_id"]], failures, **told))
    keys = (factor, *others_of(studies), "precision")
    more: dict[str, Cell] = {
        "minus_float32": minus(evidence, judged),
        "failed_anywhere": lambda row: anywhere[row["variant_id"]],
    }
    note = Paragraph(words.say("answer.precision_note"))
    shown = table(evidence, studies, rows, keys, columns, more)
    return [Items(tuple(texts)), note, shown, *cut_note(words, shown), precision_chart(evidence, key, points)]


def minus(evidence: Evidence, judged: Mapping[str, Judged]) -> Cell:
    """Return the column of differences from a base, by the ids of variants; a word for none where a row has no base."""
    none = evidence.words.say("number.none")
    texts = {variant: difference_text(evidence, verdict) for variant, verdict in judged.items()}
    return lambda row: texts.get(row["variant_id"], none)


def rate_of(evidence: Evidence, rows: pd.DataFrame, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the learning rate as a further key, where a cell of `keys` has several rates that were set."""
    several = (
        evidence.measured.rates_set(rows)
        and (rows.groupby(list(keys), dropna=False)["learning_rate"].nunique() > 1).any()
    )
    return ("learning_rate",) if several else ()


def in_order(rows: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """Sort rows so that those that differ only in precision follow each other, the widest first."""
    cells = rows.groupby(list(keys), sort=False, dropna=False).ngroup()
    widths = rows["precision"].map({name: place for place, name in enumerate(names.PRECISIONS)})
    return rows.assign(cell=cells, width=widths).sort_values(["cell", "width"], kind="stable", ignore_index=True)


def same(rows: pd.DataFrame, row: pd.Series, keys: Iterable[str]) -> pd.DataFrame:
    """Return the rows that agree with `row` in `keys`."""
    keep = pd.Series(True, index=rows.index)
    for key in keys:
        keep &= analysis.at_level(rows[key], row[key])
    return rows[keep]


def precision_chart(evidence: Evidence, key: str, points: dict[tuple, list[pd.Series]]) -> Chart:
    """Return a chart of test accuracy by precision, a line for each data set and level."""
    words = evidence.words
    order = [
        name for name in names.PRECISIONS if any(row["precision"] == name for rows in points.values() for row in rows)
    ]
    colours = style.colours_of(level for _, _, level in points)
    places = list(dict.fromkeys(place for place, _, _ in points))
    many: dict[tuple, int] = {}
    series = []
    for (place, name, level), rows in points.items():
        dash = many.setdefault((place, level), 0) + places.index(place)
        many[place, level] += 1
        label = words.say("chart.series", name=name, where=place)
        found = tuple(accuracy_point(row, order.index(row["precision"])) for row in rows)
        series.append(Series(label, colours[level], found, style.DASHES[dash % len(style.DASHES)]))
    ticks = tuple((float(index), words.level(name)) for index, name in enumerate(order))
    labels = (words.factor("precision"), words.say("axis.test_accuracy"))
    return chart(
        evidence, key, Panel(words.say(f"chart.{key}"), words.say("chart.note"), *labels, tuple(series), ticks)
    )


def accuracy_point(row: pd.Series, x: float) -> Point:
    """Return a variant's test accuracy with its interval; its median where a run diverged."""
    mean = row["test_accuracy_mean"]
    middle = mean if np.isfinite(mean) else row["test_accuracy_median"]
    low, high = float(row["test_accuracy_low"]), float(row["test_accuracy_high"])  # Student's t may leave 0 to 1
    return Point(x, middle, low if np.isnan(low) else max(low, 0.0), min(high, 1.0), bool(row["n_failed"]))


def chart(evidence: Evidence, key: str, panel: Panel | Sheet) -> Chart:
    """Return the picture of an answer, by its file name."""
    return Chart(
        localised(f"answer_{key}.png", evidence.words.language),
        evidence.words.say("alt.chart", title=panel.title, y=panel.y),
        panel.title,
        panel,
    )
