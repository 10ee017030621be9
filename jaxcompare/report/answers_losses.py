"""Questions about losses: their speed, losses in mixed precision, gradients at large batches."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd

from jaxcompare import analysis
from jaxcompare.plots import style
from jaxcompare.plots.charts import Panel, Point, Series, Sheet
from jaxcompare.report.answer_parts import by_precision, chart, table
from jaxcompare.report.blocks import Block, Chart, Items, Paragraph
from jaxcompare.report.cells import Cell, cut_note, number
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.measured import Study, others_of


def speed_of_losses(evidence: Evidence) -> list[Block]:
    """Answer why losses converge at different speeds: by their gradients, and by the first step at their best rates."""
    words = evidence.words
    measured = evidence.measured
    studies = measured.studies("loss", lacking=("precision", "batch_size")) or measured.studies("loss")
    if not studies or "last_initial" not in evidence.measured.summary:
        return []
    rows, texts = [], []
    common: dict[str, pd.Series] = {}  # the row of the same loss at the common rate, by variant
    for study in studies:
        chosen = evidence.measured.best(study.rows, ("loss", *study.others))
        rates = analysis.common_rate(study.rows, "loss", study.others)
        for _, row in chosen.iterrows():
            rows.append((study, row))
            alike = rates[rates["loss"] == row["loss"]]
            common |= {row["variant_id"]: alike.iloc[0]} if len(alike) else {}
        for first, second in itertools.combinations([row for _, row in chosen.iterrows()], 2):
            texts.append(_speeds(evidence, evidence.where(study, studies), first, second, study.others))
    columns = ("learning_rate", "n", "gradient_start", "gradient_end", "steps_to_target")

    def at_common(row: pd.Series, name: str) -> str:
        alike = common.get(row["variant_id"])
        return number(words, None if alike is None else alike[name])

    more: dict[str, Cell] = {
        "first_step": lambda row: number(words, row["last_initial"] * row["learning_rate"]),
        "common": lambda row: at_common(row, "learning_rate"),
        "steps_at_common": lambda row: at_common(row, "steps_to_target_median"),
    }
    shown = table(evidence, studies, rows, ("loss", *others_of(studies)), columns, more)
    return [Paragraph(words.say("answer.losses_why")), Items(tuple(texts)), shown, _gradients(evidence, studies, rows)]


def _speeds(evidence: Evidence, where: str, first: pd.Series, second: pd.Series, others: tuple[str, ...]) -> str:
    larger, smaller = sorted((first, second), key=lambda row: -row["last_initial"])
    words = evidence.words
    values = {
        "where": where,
        "larger": evidence.name(larger, ("loss", *others)),
        "smaller": evidence.name(smaller, ("loss", *others)),
        "ratio": number(words, larger["last_initial"] / smaller["last_initial"]),
        "rates": number(words, smaller["learning_rate"] / larger["learning_rate"]),
        "steps_larger": number(words, larger["steps_to_target_median"]),
        "steps_smaller": number(words, smaller["steps_to_target_median"]),
    }
    was_set = evidence.measured.rates_set(pd.DataFrame([first, second]))
    return words.say("answer.losses_set" if was_set else "answer.losses", **values)


def _gradients(evidence: Evidence, studies: list[Study], rows: list[tuple[Study, pd.Series]]) -> Chart:
    """Return a chart of the last layer's gradient over the training, at each loss's best rate."""
    words, found = evidence.words, evidence.measured.last_gradients
    colours = style.colours_of(row["loss"] for _, row in rows)
    places = [(study.name, study.dataset) for study in studies]
    series = []
    for study, row in rows:
        band = found[found["variant_id"] == row["variant_id"]]
        whole = max(1, int(band["epoch"].max()))
        points = tuple(
            Point(one.epoch / whole, one.median, one.least, one.greatest, bool(row["n_failed"]))
            for one in band.itertuples()
        )
        name = words.say("picture.at_rate", name=words.level(row["loss"]), rate=row["learning_rate"])
        label = words.say("chart.series", name=name, where=evidence.where(study, studies))
        dash = style.DASHES[places.index((study.name, study.dataset)) % len(style.DASHES)]
        series.append(Series(label, colours[row["loss"]], points, dash))
    labels = (words.say("axis.share_of_training"), words.say("axis.gradient_last"))
    panel = Panel(words.say("chart.losses"), words.say("chart.median_note"), *labels, tuple(series), log_y=True)
    return chart(evidence, "losses", panel)


def mixed_losses(evidence: Evidence) -> list[Block]:
    """Answer how stable each loss is in mixed precision."""
    if not evidence.measured.studies("loss", "precision"):
        return []
    columns = (
        *("learning_rate", "n", "failed", "test_accuracy"),
        *("late_deviation", "spikes", "skipped_steps", "underflow"),
    )
    return by_precision(evidence, "mixed_losses", "loss", columns)


def large_batches(evidence: Evidence) -> list[Block]:
    """Answer whether the gradient vanishes at large batches: first over last layer, by batch size."""
    words = evidence.words
    studies = evidence.measured.studies("batch_size")
    if not studies or "gradient_ratio_final" not in evidence.measured.summary:
        return []
    rows, texts, panels = [], [], []
    for study in studies:
        where = evidence.where(study, studies)
        chosen = evidence.measured.best(study.rows, (*study.others, "batch_size"))
        chosen = chosen.sort_values([*study.others, "batch_size"], kind="stable")
        rows += [(study, row) for _, row in chosen.iterrows()]
        texts.append(_vanishing(evidence, study, where, chosen))
        panels.append(_arriving(evidence, study, where, chosen))
    keys = (*others_of(studies), "batch_size")
    columns = ("learning_rate", "n", "failed", "ratio_initial", "ratio_final", "gradient_start", "gradient_end")
    shown = table(evidence, studies, rows, keys, (*columns, "test_accuracy"))
    note = Paragraph(words.say("answer.batches_probe"))
    sheet = Sheet(words.say("chart.large_batches"), words.say("chart.medians_note"), tuple(panels), panels[0].y)
    return [Items(tuple(texts)), note, shown, *cut_note(words, shown), chart(evidence, "large_batches", sheet)]


def _arriving(evidence: Evidence, study: Study, where: str, chosen: pd.DataFrame) -> Panel:
    """Return a panel of first over last layer by batch size, a line per cell: colour by first factor, dash by the others."""
    words = evidence.words
    cells = analysis.cells(chosen, study.others)
    colours = style.colours_of(str(cell[study.others[0]].iloc[0]) for cell in cells) if len(study.others) > 1 else {}
    dashes: dict[tuple, Any] = {}
    series = []
    for place, cell in enumerate(cells):
        first = cell.iloc[0]
        rest = tuple(str(first[name]) for name in study.others[1:])
        dash = dashes.setdefault(rest, style.DASHES[len(dashes) % len(style.DASHES)]) if colours else "-"
        colour = colours[str(first[study.others[0]])] if colours else style.PALETTE[place % len(style.PALETTE)]
        points = tuple(
            Point(row["batch_size"], row["gradient_ratio_final"], failed=bool(row["n_failed"]))
            for _, row in cell.iterrows()
        )
        name = evidence.name(first, study.others) or words.say("chart.at_end")
        series.append(Series(name, colour, points, dash))
    sizes = sorted({int(size) for size in chosen["batch_size"]})
    ends = (Point(sizes[0], analysis.VANISHED), Point(sizes[-1], analysis.VANISHED))
    series.append(Series(words.say("chart.vanished"), style.INK, ends, "--", plain=True))
    labels = (words.factor("batch_size"), words.say("axis.gradient_ratio"))
    ticks = tuple((float(size), str(size)) for size in sizes)
    return Panel(where, "", *labels, tuple(series), ticks, log_x=True, log_y=True)


def _vanishing(evidence: Evidence, study: Study, where: str, rows: pd.DataFrame) -> str:
    """Say whether the gradient vanishes, by settings without failed runs: a failure shows the rate, not the batch size."""
    words = evidence.words
    whole = rows[(rows["n_failed"] == 0) & rows["gradient_ratio_final"].notna()]
    ratios = whole["gradient_ratio_final"]
    gone = whole[ratios < analysis.VANISHED]
    sizes = ", ".join(str(int(size)) for size in sorted((gone if len(gone) else whole)["batch_size"].unique()))
    values = {"where": where, "sizes": sizes, "threshold": analysis.VANISHED, "k": len(gone), "count": len(whole)}
    values |= {"low": number(words, ratios.min()), "high": number(words, ratios.max())}
    key = "vanish" if len(gone) else "stay" if len(whole) else "unknown"
    key += "_set" if key == "stay" and evidence.measured.rates_set(rows) else ""
    told = words.say(f"answer.batches_{key}", **values)
    left = rows[~rows.index.isin(whole.index)]
    if not len(left):
        return told
    keys = (*study.others, "batch_size")
    names = [
        words.say("name.apart", name=evidence.name(row, keys), apart=evidence.failures(row) or words.say("number.none"))
        for _, row in left.iterrows()
    ]
    kept = {"k": len(left), "count": len(rows), "names": "; ".join(names)}
    return f"{told} {words.say('answer.batches_left', **kept)}"
