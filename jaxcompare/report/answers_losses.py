"""Questions of comparison A: the speed of losses, losses in mixed precision, gradients at large batches."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from jaxcompare import analysis
from jaxcompare.plots import style
from jaxcompare.plots.charts import Panel, Point, Series
from jaxcompare.report.answer_parts import by_precision, chart, table
from jaxcompare.report.blocks import Block, Chart, Items, Paragraph
from jaxcompare.report.cells import number
from jaxcompare.report.evidence import Evidence, Study


def speed_of_losses(evidence: Evidence) -> list[Block]:
    """Why losses converge at different speeds: the size of their gradients, and of the first step at their best rates."""
    words = evidence.words
    studies = evidence.studies("loss", lacking=("precision", "batch_size")) or evidence.studies("loss")
    if not studies or "last_initial" not in evidence.summary:
        return []
    rows, texts = [], []
    first_step, at_common, common_rates = [], [], []
    for study in studies:
        chosen = evidence.best(study.rows, ("loss", *study.others))
        common = analysis.common_rate(study.rows, "loss", study.others).set_index("variant_id", drop=False)
        for _, row in chosen.iterrows():
            rows.append((study, row))
            first_step.append(number(words, row["last_initial"] * row["learning_rate"]))
            alike = common[common["loss"] == row["loss"]]
            at_common.append(number(words, alike["steps_to_target_median"].iloc[0] if len(alike) else np.nan))
            common_rates.append(number(words, alike["learning_rate"].iloc[0] if len(alike) else np.nan))
        for first, second in itertools.combinations([row for _, row in chosen.iterrows()], 2):
            texts.append(_speeds(evidence, evidence.where(study, studies), first, second, study.others))
    columns = ("learning_rate", "n", "gradient_start", "gradient_end", "steps_to_target")
    more = [("first_step", first_step), ("common", common_rates), ("steps_at_common", at_common)]
    keys = ("loss", *dict.fromkeys(name for study in studies for name in study.others))
    shown = table(evidence, studies, rows, keys, columns, more)
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
    return words.say("answer.losses", **values)


def _gradients(evidence: Evidence, studies: list[Study], rows: list[tuple[Study, pd.Series]]) -> Chart:
    """The last layer's gradient over the training, at each loss's best rate."""
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
    """How stable each loss is in mixed precision."""
    if not evidence.studies("loss", "precision"):
        return []
    columns = (
        "learning_rate",
        "n",
        "failed",
        "test_accuracy",
        "late_deviation",
        "spikes",
        "skipped_steps",
        "underflow",
    )
    return by_precision(evidence, "mixed_losses", "loss", columns)


def large_batches(evidence: Evidence) -> list[Block]:
    """Whether the gradient vanishes at large batches: first over last layer, by batch size."""
    words = evidence.words
    studies = evidence.studies("batch_size")
    if not studies or "gradient_ratio_final" not in evidence.summary:
        return []
    rows, texts, series = [], [], []
    names_of = [evidence.where(study, studies) for study in studies]
    for study, where in zip(studies, names_of, strict=True):
        chosen = evidence.best(study.rows, (*study.others, "batch_size"))
        chosen = chosen.sort_values([*study.others, "batch_size"], kind="stable")
        rows += [(study, row) for _, row in chosen.iterrows()]
        texts.append(_vanishing(evidence, where, chosen))
        cells = chosen.groupby(list(study.others), sort=False, dropna=False) if study.others else [((), chosen)]
        for number_of, (_, cell) in enumerate(cells):
            colour = style.PALETTE[(number_of + studies.index(study)) % len(style.PALETTE)]
            name = evidence.name(cell.iloc[0], study.others)
            label = words.say("chart.series", name=name, where=where) if name else where
            for when, dash in (("initial", ":"), ("final", "-")):
                points = tuple(
                    Point(row["batch_size"], row[f"gradient_ratio_{when}"], failed=bool(row["n_failed"]))
                    for _, row in cell.iterrows()
                )
                series.append(Series(words.say(f"chart.{when}", name=label), colour, points, dash))
    sizes = sorted({int(row["batch_size"]) for _, row in rows})
    ends = (Point(sizes[0], analysis.VANISHED), Point(sizes[-1], analysis.VANISHED))
    series.append(Series(words.say("chart.vanished"), style.INK, ends, "--", plain=True))
    panel = Panel(
        words.say("chart.large_batches"),
        words.say("chart.medians_note"),
        words.factor("batch_size"),
        words.say("axis.gradient_ratio"),
        tuple(series),
        tuple((float(size), str(size)) for size in sizes),
        log_x=True,
        log_y=True,
    )
    keys = tuple(dict.fromkeys((*(name for study in studies for name in study.others), "batch_size")))
    columns = ("learning_rate", "n", "failed", "ratio_initial", "ratio_final", "gradient_start", "gradient_end")
    shown = table(evidence, studies, rows, keys, (*columns, "test_accuracy"))
    note = Paragraph(words.say("answer.batches_probe"))
    return [Items(tuple(texts)), note, shown, chart(evidence, "large_batches", panel)]


def _vanishing(evidence: Evidence, where: str, rows: pd.DataFrame) -> str:
    words = evidence.words
    ratios = rows["gradient_ratio_final"]
    gone = rows[ratios < analysis.VANISHED]
    sizes = ", ".join(str(int(size)) for size in sorted((gone if len(gone) else rows)["batch_size"].unique()))
    values = {"where": where, "sizes": sizes, "threshold": analysis.VANISHED}
    values |= {"low": number(words, ratios.min()), "high": number(words, ratios.max())}
    if len(gone):
        return words.say("answer.batches_vanish", **values, k=len(gone), count=len(rows))
    return words.say("answer.batches_stay" if ratios.notna().all() else "answer.batches_partly", **values)
