"""Questions about optimizers: clipping in mixed precision, the rate against the batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from jaxcompare import analysis
from jaxcompare.config import names
from jaxcompare.plots import style
from jaxcompare.plots.charts import Panel, Point, Series, Sheet
from jaxcompare.report.answer_parts import (
    accuracy_point,
    chart,
    in_order,
    minus,
    rate_of,
    same,
    table,
    verdict,
)
from jaxcompare.report.blocks import Block, Chart, Items, Paragraph, Table
from jaxcompare.report.cells import cut_note, number, numbers
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.measured import Judged, Study, others_of
from jaxcompare.words import rounded


def clipping(evidence: Evidence) -> list[Block]:
    """Answer when clipping is needed in mixed precision: its effect at each rate, and the failures without it."""
    words = evidence.words
    studies = evidence.measured.studies("precision", "clip_norm")
    if not studies:
        return []
    rows, texts = [], []
    points: dict[tuple[str, str], dict[float, list[pd.Series]]] = {}  # a panel each, a line a norm
    pairs: dict[str, tuple[str, str]] = {}
    cells: dict[tuple, list[tuple[pd.Series, pd.Series]]] = {}  # a sentence each: where, and what is clipped
    for study in studies:
        keys = (*study.others, "precision")
        chosen = evidence.measured.best(study.rows, (*keys, "clip_norm"))
        by_rate = rate_of(evidence, study.rows, (*keys, "clip_norm"))
        chosen = in_order(chosen, (*study.others, *by_rate, "clip_norm"))
        where = evidence.where(study, studies)
        for _, row in chosen.iterrows():
            rows.append((study, row))
            name = evidence.name(row, (*study.others, *by_rate))
            points.setdefault((where, name), {}).setdefault(row["clip_norm"], []).append(row)
            base = same(chosen[np.isinf(chosen["clip_norm"].astype(float))], row, (*keys, *by_rate))
            if np.isinf(float(row["clip_norm"])) or not len(base):
                continue
            pairs[row["variant_id"]] = (row["variant_id"], base.iloc[0]["variant_id"])
            clip = words.level(row["clip_norm"], "clip_norm")
            cells.setdefault((where, evidence.name(row, keys), clip), []).append((row, base.iloc[0]))
    judged = dict(zip(pairs, evidence.measured.judge(list(pairs.values())), strict=True))
    for (where, name, clip), compared in cells.items():
        told = [_clipped(evidence, judged[row["variant_id"]], row, base) for row, base in compared]
        readings = {judged[row["variant_id"]].reading for row, _ in compared}
        key = "above" if "above" in readings else "below" if "below" in readings else "none"
        texts.append(words.say(f"answer.clipping_{key}", where=where, name=name, clip=clip, told="; ".join(told)))
    keys = (*others_of(studies), "precision", "clip_norm")
    columns = ("learning_rate", "n", "failed", "test_accuracy", "skipped_steps", "loss_scale")
    shown = table(evidence, studies, rows, keys, columns, {"minus_unclipped": minus(evidence, judged)})
    note = Paragraph(words.say("answer.clipping_note"))
    return [Items(tuple(texts)), note, shown, *cut_note(words, shown), _clipping_chart(evidence, points)]


def _clipping_chart(evidence: Evidence, points: dict[tuple[str, str], dict[float, list[pd.Series]]]) -> Chart:
    """Return a chart of test accuracy by precision: a panel with its own range for each setting, a line per norm."""
    words = evidence.words
    colours = style.colours_of(norm for lines in points.values() for norm in lines)
    used = {row["precision"] for lines in points.values() for rows in lines.values() for row in rows}
    order = [name for name in names.PRECISIONS if name in used]
    ticks = tuple((float(place), words.level(name)) for place, name in enumerate(order))
    panels = []
    for (where, name), lines in points.items():
        series = tuple(
            Series(
                words.value(norm, "clip_norm"),
                colours[norm],
                tuple(accuracy_point(row, order.index(row["precision"])) for row in rows),
            )
            for norm, rows in lines.items()
        )
        title = words.say("chart.series", name=name, where=where) if name else where
        panels.append(Panel(title, "", words.factor("precision"), words.say("axis.test_accuracy"), series, ticks))
    note = words.say("chart.note")
    return chart(evidence, "clipping", Sheet(words.say("chart.clipping"), note, tuple(panels), panels[0].y))


def _clipped(evidence: Evidence, judged: Judged, row: pd.Series, base: pd.Series) -> str:
    """Say the effect of clipping at one rate, seed by seed, and how many runs failed on either side."""
    words = evidence.words
    told = verdict(
        evidence, "answer.clip", judged, words.say("answer.other_failed"), rate=words.level(row["learning_rate"])
    )
    if not row["n_failed"] and not base["n_failed"]:
        return told
    counts = {"k": base["n_failed"], "n": base["n"], "k_clipped": row["n_failed"], "n_clipped": row["n"]}
    return words.say("answer.clip_failed_runs", told=told, **{key: int(value) for key, value in counts.items()})


def rate_by_batch(evidence: Evidence) -> list[Block]:
    """Answer how the learning rate must change with the batch: the best rate by batch size, and its slope.

    The answer needs sizes trained at several rates, with one rate chosen. A rate that was set is no answer: for such studies
    the report has the accuracy of each size and rule.
    """
    studies = evidence.measured.studies("batch_size")
    tuned = [study for study in map(partial(_tuned, evidence), studies) if study is not None]
    if tuned:
        return _tuned_rates(evidence, tuned)
    return _set_rates(evidence, studies) if studies else []


def _tuned(evidence: Evidence, study: Study) -> Study | None:
    """Return the part of a study with several rates at each batch size; None where it has less than two sizes."""
    if evidence.measured.rates_set(study.rows):
        return None
    cells = study.rows.groupby([*study.others, "batch_size"], dropna=False)["learning_rate"]
    rows = study.rows[cells.transform("nunique") > 1]
    return study._replace(rows=rows) if rows["batch_size"].nunique() > 1 else None


def _cells(evidence: Evidence, studies: Sequence[Study]) -> list[tuple[Study, str, pd.DataFrame]]:
    """Return the best rows by batch size of each cell of each study, with the cell's name and the rates used."""
    cells = []
    for study in studies:
        where, keys = evidence.where(study, studies), (*study.others, "batch_size")
        chosen = evidence.measured.best(study.rows, keys)
        chosen = chosen.assign(effective=_effective(chosen)).sort_values(list(keys), kind="stable")
        for cell in analysis.cells(chosen, study.others):
            cells.append((study, evidence.label(cell.iloc[0], study.others, where), cell))
    return cells


def _rates_table(evidence: Evidence, studies: Sequence[Study], cells: list[tuple[Study, str, pd.DataFrame]]) -> Table:
    rows = [(study, row) for study, _, cell in cells for _, row in cell.iterrows()]
    columns = ("learning_rate", "n", "failed", "test_accuracy", "steps_to_target")
    more = numbers(evidence.words, {"effective_rate": "effective"})
    return table(evidence, studies, rows, (*others_of(studies), "batch_size"), columns, more)


def _set_rates(evidence: Evidence, studies: Sequence[Study]) -> list[Block]:
    """Report the accuracy of each batch size with each rule, at equal examples seen and at rates that nobody chose."""
    words, texts = evidence.words, []
    cells = _cells(evidence, studies)
    for _, label, cell in cells:
        told = [
            words.say("answer.accuracy_at", accuracy=evidence.accuracy(row), batch=int(row["batch_size"]))
            for _, row in cell.iterrows()
        ]
        n = "/".join(map(str, sorted(set(cell["n"]))))
        texts.append(words.say("answer.equal_examples", name=label, told="; ".join(told), n=n))
    shown = _rates_table(evidence, studies, cells)
    unmeasured = Paragraph(words.say("answer.rate_unmeasured"))
    return [unmeasured, Items(tuple(texts)), shown, *cut_note(words, shown)]


def _tuned_rates(evidence: Evidence, studies: Sequence[Study]) -> list[Block]:
    words = evidence.words
    cells = _cells(evidence, studies)
    texts = [_slope(evidence, label, cell) for _, label, cell in cells]
    series: list[Series] = []
    for place, (_, label, cell) in enumerate(cells):
        points = tuple(
            Point(row["batch_size"], row["effective"], failed=bool(row["n_failed"])) for _, row in cell.iterrows()
        )
        series.append(Series(label, style.PALETTE[place % len(style.PALETTE)], points, style.DASHES[place % 4]))
    sizes = sorted({int(size) for _, _, cell in cells for size in cell["batch_size"]})
    series += _guides(evidence, sizes, series)
    panel = Panel(
        words.say("chart.rate_by_batch"),
        words.say("chart.rates_note"),
        words.factor("batch_size"),
        words.say("axis.effective_rate"),
        tuple(series),
        ticks=tuple((float(size), str(size)) for size in sizes),
        log_x=True,
        log_y=True,
    )
    shown = _rates_table(evidence, studies, cells)
    note = Paragraph(words.say("answer.rate_note"))
    return [Items(tuple(texts)), note, shown, *cut_note(words, shown), chart(evidence, "rate_by_batch", panel)]


def _effective(rows: pd.DataFrame) -> pd.Series:
    """Return the rates used: each learning rate as its rule changes it for the batch size."""
    if "learning_rate_rule" not in rows or "reference_batch_size" not in rows:
        return rows["learning_rate"]
    power = rows["learning_rate_rule"].map({"fixed": 0.0, "linear": 1.0, "square_root": 0.5})
    return rows["learning_rate"] * (rows["batch_size"] / rows["reference_batch_size"]) ** power


def _slope(evidence: Evidence, name: str, cell: pd.DataFrame) -> str:
    """Say the exponent by which the best rate grows, fitted to logarithms, and how many rates are at an edge."""
    words = evidence.words
    rates = "; ".join(
        words.say("answer.rate_at", batch=int(row["batch_size"]), rate=number(words, row["effective"]))
        for _, row in cell.iterrows()
    )
    edges = int((cell["edge"] != "").sum())
    slope = float(np.polyfit(np.log(cell["batch_size"].astype(float)), np.log(cell["effective"].astype(float)), 1)[0])
    told = words.say("answer.rate", name=name, rates=rates, slope=rounded(slope, ".2f"), count=len(cell))
    return f"{told} {words.say('answer.rate_edges', k=edges, count=len(cell))}" if edges else told


def _guides(evidence: Evidence, sizes: Sequence[int], series: Sequence[Series]) -> list[Series]:
    """Return lines of a linear and a square-root rule, from the lowest best rate at the smallest batch."""
    start = min(one.points[0].y for one in series)
    found = []
    for key, power, dash in (("linear", 1.0, "--"), ("square_root", 0.5, ":")):
        points = tuple(Point(one, start * (one / sizes[0]) ** power) for one in (sizes[0], sizes[-1]))
        found.append(Series(evidence.words.say(f"chart.{key}"), style.PALE, points, dash, plain=True))
    return found
