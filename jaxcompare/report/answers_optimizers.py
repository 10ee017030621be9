"""Questions of comparison C: optimizers on the device, clipping in mixed precision, the rate against the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from jaxcompare.analysis.pairs import SIGNIFICANT
from jaxcompare.plots import style
from jaxcompare.plots.charts import Panel, Point, Series
from jaxcompare.report.answer_parts import chart, difference_text, in_order, precision_chart, same, table, verdict
from jaxcompare.report.blocks import Block, Chart, Items, Paragraph, Table
from jaxcompare.report.cells import number, size
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.findings import p_value
from jaxcompare.report.programs import SHARED


def scaling(evidence: Evidence) -> list[Block]:
    """How each optimizer scales on the device: replicas and batch, from what the clock said of each program."""
    words = evidence.words
    programs = evidence.programs
    if programs.empty:
        return []
    varied = programs.groupby("alike_batch")["batch_size"].transform("nunique") > 1
    programs = programs[(programs["experiment"] == "c") | varied]
    if programs.empty:
        return []
    keys = [name for name in SHARED if programs[name].nunique(dropna=False) > 1 or name == "optimizer"]
    bytes_known = "argument_bytes" in programs and "temporary_bytes" in programs
    body = []
    for _, row in programs.iterrows():
        cells = [words.level(row[key], key) for key in keys]
        cells += [
            f"{row['replicas']:,}",
            number(words, row["side_by_side"]),
            number(words, row["replica_steps_per_second"]),
        ]
        cells += [number(words, row["examples_per_second"]), number(words, row["compile_seconds"])]
        cells += [size(words, row[name]) for name in ("argument_bytes", "temporary_bytes")] if bytes_known else []
        body.append(tuple(cells))
    heads = ["replicas", "side_by_side", "replica_steps_per_second", "examples_per_second", "compile_seconds"]
    heads += ["argument_bytes", "temporary_bytes"] if bytes_known else []
    columns = (
        *(words.factor(key) for key in keys),
        *(words.say(f"column.{one}") for one in heads),
    )
    shown = Table("", columns, tuple(body))
    texts = [*_by_batch(evidence, programs), *_replicas(evidence, programs), *_remat(evidence, programs)]
    return [Items(tuple(texts)), shown, _speed_chart(evidence, programs)]


def _by_batch(evidence: Evidence, programs: pd.DataFrame) -> list[str]:
    """From the smallest batch to the largest: how examples a second grow, for programs that are alike in all else."""
    words, texts = evidence.words, []
    for _, rows in programs.groupby("alike_batch", sort=False):
        ordered = rows.sort_values("batch_size")
        if ordered["batch_size"].nunique() < 2:
            continue
        low, high = ordered.iloc[0], ordered.iloc[-1]
        values = {"name": words.level(low["optimizer"]), "where": words.level(low["dataset"])}
        values |= {"low": f"{low['batch_size']:g}", "high": f"{high['batch_size']:g}"}
        values |= {"times": number(words, high["batch_size"] / low["batch_size"])}
        values |= {"faster": number(words, high["examples_per_second"] / low["examples_per_second"])}
        texts.append(words.say("answer.scaling_batch", **values))
    return texts or [words.say("answer.scaling_no_batch")]


def _replicas(evidence: Evidence, programs: pd.DataFrame) -> list[str]:
    counts = sorted({int(value) for value in programs["side_by_side"].dropna()})
    words = evidence.words
    if not counts:
        return [words.say("answer.scaling_replicas_unknown")]
    return [words.say("answer.scaling_replicas", counts=", ".join(map(str, counts)))]


def _remat(evidence: Evidence, programs: pd.DataFrame) -> list[str]:
    """What it costs, and saves, to compute activations anew."""
    words, texts = evidence.words, []
    if "temporary_bytes" not in programs:
        return []
    for _, rows in programs.groupby("alike_remat", sort=False):
        on, off = (rows[rows["remat"].astype(str) == text] for text in ("True", "False"))
        if len(on) != 1 or len(off) != 1:
            continue
        kept, anew = off.iloc[0], on.iloc[0]
        values = {"name": evidence.name(kept, ("optimizer", "precision"))}
        values |= {"bytes": number(words, anew["temporary_bytes"] / kept["temporary_bytes"])}
        values |= {"speed": number(words, anew["replica_steps_per_second"] / kept["replica_steps_per_second"])}
        texts.append(words.say("answer.scaling_remat", **values))
    return texts


def _speed_chart(evidence: Evidence, programs: pd.DataFrame) -> Chart:
    """Examples a second by batch size where it varies, else by optimizer."""
    words = evidence.words
    title, note, y = words.say("chart.scaling"), words.say("chart.once"), words.say("axis.examples_per_second")
    if programs["batch_size"].nunique() > 1:
        colours = style.colours_of(programs["optimizer"])
        series = []
        for index, (_, rows) in enumerate(programs.groupby("alike_batch", sort=False)):
            ordered = rows.sort_values("batch_size")
            first = ordered.iloc[0]
            name = words.say("chart.series", name=words.level(first["optimizer"]), where=words.level(first["dataset"]))
            points = tuple(Point(row["batch_size"], row["examples_per_second"]) for _, row in ordered.iterrows())
            series.append(Series(name, colours[first["optimizer"]], points, style.DASHES[index % len(style.DASHES)]))
        ticks = tuple((float(value), f"{value:g}") for value in sorted(programs["batch_size"].unique()))
        panel = Panel(title, note, words.factor("batch_size"), y, tuple(series), ticks, log_x=True, from_zero=True)
        return chart(evidence, "scaling", panel)
    order = list(dict.fromkeys(programs["optimizer"]))
    series = []
    for index, (dataset, rows) in enumerate(programs.groupby("dataset", sort=False)):
        points = tuple(Point(order.index(row["optimizer"]), row["examples_per_second"]) for _, row in rows.iterrows())
        series.append(Series(words.level(dataset), style.PALETTE[index % len(style.PALETTE)], points, "none"))
    ticks = tuple((float(index), words.level(name)) for index, name in enumerate(order))
    return chart(
        evidence, "scaling", Panel(title, note, words.factor("optimizer"), y, tuple(series), ticks, from_zero=True)
    )


def clipping(evidence: Evidence) -> list[Block]:
    """When clipping is needed under mixed precision: what fails without it, and what it changes."""
    words = evidence.words
    studies = evidence.studies("precision", "clip_norm")
    if not studies:
        return []
    rows, minus, anywhere, texts = [], [], [], []
    points: dict[tuple, list[pd.Series]] = {}
    for study in studies:
        keys = (*study.others, "precision")
        chosen = in_order(evidence.best(study.rows, (*keys, "clip_norm")), (*study.others, "clip_norm"))
        where = evidence.where(study, studies)
        for _, row in chosen.iterrows():
            alike = same(study.rows, row, (*keys, "clip_norm"))
            rows.append((study, row))
            anywhere.append(words.say("table.wins", wins=alike["n_failed"].sum(), n=alike["n"].sum()))
            points.setdefault((where, evidence.name(row, (*study.others, "clip_norm")), row["clip_norm"]), []).append(
                row
            )
            base = same(chosen[np.isinf(chosen["clip_norm"].astype(float))], row, keys)
            if np.isinf(float(row["clip_norm"])) or not len(base):
                minus.append(words.say("number.none"))
                continue
            paired = evidence.difference(row["variant_id"], base.iloc[0]["variant_id"])
            minus.append(difference_text(evidence, paired))
            without = same(study.rows[np.isinf(study.rows["clip_norm"].astype(float))], row, keys)
            counts = (int(without["n_failed"].sum()), int(without["n"].sum()))
            with_it = (int(alike["n_failed"].sum()), int(alike["n"].sum()))
            key, p = _need(counts, with_it)
            failed: dict[str, Any] = {"k": counts[0], "n": counts[1], "k_clipped": with_it[0], "n_clipped": with_it[1]}
            failed["p"] = p_value(words, p, "number.p_is")
            name = evidence.name(row, keys)
            told = verdict(evidence, "answer.clip", paired, words.say("answer.other_failed"))
            clip = words.level(row["clip_norm"], "clip_norm")
            texts.append(words.say(f"answer.clip_{key}", name=name, clip=clip, where=where, told=told, **failed))
    keys = (*dict.fromkeys(name for study in studies for name in study.others), "precision", "clip_norm")
    columns = ("learning_rate", "n", "failed", "test_accuracy", "skipped_steps", "loss_scale")
    more = [("minus_unclipped", minus), ("failed_anywhere", anywhere)]
    shown = table(evidence, studies, rows, keys, columns, more)
    return [Items(tuple(texts)), shown, precision_chart(evidence, "clipping", points)]


def _need(without: tuple[int, int], clipped: tuple[int, int]) -> tuple[str, float]:
    """What failed runs (k of n) say of clipping: `needed`, `fewer` (not shown) or `not_needed`; Fisher's exact p."""
    counts = [[k, n - k] for k, n in (without, clipped)]
    p = float(stats.fisher_exact(counts).pvalue)
    if without[0] / without[1] <= clipped[0] / clipped[1]:
        return "not_needed", p
    return ("needed" if p < SIGNIFICANT else "fewer"), p


def rate_by_batch(evidence: Evidence) -> list[Block]:
    """How the learning rate must change with the batch: the best rate by batch size, and its slope."""
    words = evidence.words
    studies = evidence.studies("batch_size", "learning_rate")
    if not studies:
        return []
    rows, effective, texts = [], [], []
    series: list[Series] = []
    for study in studies:
        where = evidence.where(study, studies)
        chosen = evidence.best(study.rows, (*study.others, "batch_size"))
        chosen = chosen.assign(effective=_effective(chosen)).sort_values([*study.others, "batch_size"], kind="stable")
        cells = chosen.groupby(list(study.others), sort=False, dropna=False) if study.others else [((), chosen)]
        for _, cell in cells:
            rows += [(study, row) for _, row in cell.iterrows()]
            effective += [number(words, value) for value in cell["effective"]]
            name = evidence.name(cell.iloc[0], study.others)
            label = words.say("chart.series", name=name, where=where) if name else where
            texts.append(_slope(evidence, label, cell))
            points = tuple(
                Point(row["batch_size"], row["effective"], failed=bool(row["n_failed"])) for _, row in cell.iterrows()
            )
            place = len(series)
            series.append(Series(label, style.PALETTE[place % len(style.PALETTE)], points, style.DASHES[place % 4]))
    sizes = sorted({int(row["batch_size"]) for _, row in rows})
    series += _guides(evidence, sizes, series)
    panel = Panel(
        words.say("chart.rate_by_batch"),
        words.say("chart.rates_note"),
        words.factor("batch_size"),
        words.say("axis.effective_rate"),
        tuple(series),
        ticks=tuple((float(one), str(one)) for one in sizes),
        log_x=True,
        log_y=True,
    )
    keys = (*dict.fromkeys(name for study in studies for name in study.others), "batch_size")
    columns = ("learning_rate", "n", "failed", "test_accuracy", "steps_to_target")
    shown = table(evidence, studies, rows, keys, columns, [("effective_rate", effective)])
    notes = Paragraph(words.say("answer.rate_note"))
    return [Items(tuple(texts)), notes, shown, chart(evidence, "rate_by_batch", panel)]


def _effective(rows: pd.DataFrame) -> pd.Series:
    """The rates that were used, at the batch size that each rule makes of them."""
    if "learning_rate_rule" not in rows or "reference_batch_size" not in rows:
        return rows["learning_rate"]
    power = rows["learning_rate_rule"].map({"fixed": 0.0, "linear": 1.0, "square_root": 0.5})
    return rows["learning_rate"] * (rows["batch_size"] / rows["reference_batch_size"]) ** power


def _slope(evidence: Evidence, name: str, cell: pd.DataFrame) -> str:
    """The exponent by which the best rate grows, through its logarithms; what edges leave of it."""
    words = evidence.words
    rates = "; ".join(
        words.say("answer.rate_at", batch=int(row["batch_size"]), rate=number(words, row["effective"]))
        for _, row in cell.iterrows()
    )
    edges = int((cell["edge"] != "").sum())
    slope = float(np.polyfit(np.log(cell["batch_size"].astype(float)), np.log(cell["effective"].astype(float)), 1)[0])
    told = words.say("answer.rate", name=name, rates=rates, slope=f"{slope:.2f}", count=len(cell))
    return f"{told} {words.say('answer.rate_edges', k=edges, count=len(cell))}" if edges else told


def _guides(evidence: Evidence, sizes: Sequence[int], series: Sequence[Series]) -> list[Series]:
    """What a linear and a square-root rule would be, from the lowest best rate at the smallest batch."""
    start = min(one.points[0].y for one in series)
    found = []
    for key, power, dash in (("linear", 1.0, "--"), ("square_root", 0.5, ":")):
        points = tuple(Point(one, start * (one / sizes[0]) ** power) for one in (sizes[0], sizes[-1]))
        found.append(Series(evidence.words.say(f"chart.{key}"), style.PALE, points, dash, plain=True))
    return found
