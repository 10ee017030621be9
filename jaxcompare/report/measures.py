"""What else was measured of a comparison, each table folded away: effects, convergence, stability, gradients, rates, trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis.curves import LATE, SPIKE
from jaxcompare.analysis.runs import AREA, SECONDS, seconds_to_target
from jaxcompare.report.blocks import Block, Details, Paragraph, Table
from jaxcompare.report.cells import count, figure, number
from jaxcompare.report.findings import effect_cell, p_value
from jaxcompare.report.view import View

Tables = Mapping[str, pd.DataFrame]


def table(view: View, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], caption: str = "") -> Table:
    """Return a table with columns named by their keys."""
    return Table(caption, tuple(view.words.say(f"column.{name}") for name in columns), tuple(rows))


def rate(view: View, row: pd.Series) -> str:
    """A row's learning rate."""
    return number(view.words, row["learning_rate"])


def caption_of(view: View) -> str:
    """Return the key of the caption above the chosen rows: rates that were set were not chosen."""
    return "report.set" if view.comparison.rates_set else "report.best"


def effects(view: View, tables: Tables) -> list[Block]:
    """Return the effect of each factor kept separate at every level and rate: paired differences."""
    words = view.words
    mine = analysis.rows_of(tables["effects"], view.comparison) if len(tables["effects"]) else tables["effects"]
    rows = {row["variant_id"]: row for _, row in view.summary.iterrows()}
    body = []
    for _, one in mine.iterrows():
        row, factor = rows[one["first_id"]], one["factor"]
        others = [name for name in (view.comparison.factor, *view.comparison.apart) if name != factor]
        told = [name for name in others if name != "learning_rate" and not pd.isna(row[name])]
        where = ", ".join(words.level(row[name], name) for name in told)
        sides = (words.level(rows[one[key]][factor], factor) for key in ("first_id", "second_id"))
        body.append(
            (
                words.say("cell.minus", **dict(zip(("first", "second"), sides, strict=True))),
                where,
                rate(view, row),
                words.interval(100 * one["difference"], 100 * one["low"], 100 * one["high"], "+.2f"),
                words.say("table.wins_ties" if one["ties"] else "table.wins", **one[["wins", "ties", "n"]]),
                effect_cell(words, one["effect"], one["effect_low"], one["effect_high"]),
                p_value(words, one["p_t_holm"]),
                words.say(f"reading.{one['reading']}"),
            )
        )
    columns = ("effect_of", "at", "learning_rate", "points", "wins", "effect", "p_t_holm", "reading")
    return [Paragraph(words.say("measure.effects_note")), table(view, columns, body)] if body else []


def convergence(view: View, tables: Tables) -> list[Block]:
    """How soon the target was reached, and the area under the curve."""
    words, blocks = view.words, []
    seconds = seconds_to_target(view.runs).set_index("variant_id")[f"{SECONDS}_median"]
    timed = seconds.notna().any()
    for key, chosen in ((caption_of(view), view.chosen), ("measure.at_common", view.common)):
        if not len(chosen):
            continue
        body = []
        for _, row in chosen.iterrows():
            cells = [view.name(row), rate(view, row), str(row["n"])]
            if view.target is not None:
                cells += [number(words, row[f"{name}_median"]) for name in analysis.STEPS]
                cells += [number(words, seconds[row["variant_id"]])] if timed else []
                cells.append(count(words, row["reached"], row["n"]))
            body.append((*cells, figure(words, row, AREA)))
        steps = ("steps_to_target", "examples_to_target", *(("seconds_to_target",) if timed else ()), "reached")
        columns = ("variant", "learning_rate", "n", *(steps if view.target is not None else ()), "area")
        blocks.append(table(view, columns, body, words.say(key)))
    noted = "measure.convergence_note" if view.target is not None else "measure.area_note"
    return [Paragraph(words.say(noted, target=view.target)), *blocks] if blocks else []


def stability(view: View, tables: Tables) -> list[Block]:
    """How steady a run is once it has learnt, and how often its loss jumps."""
    words = view.words
    body = [
        (
            *(view.name(row), rate(view, row), str(row["n"]), number(words, 100 * row["late_deviation_median"])),
            number(words, row["largest_jump_median"]),
            number(words, row["spikes_median"]),
        )
        for _, row in view.chosen.iterrows()
    ]
    columns = ("variant", "learning_rate", "n", "late_deviation", "largest_jump", "spikes")
    note = Paragraph(words.say("measure.stability_note", late=LATE, spike=SPIKE))
    return [note, table(view, columns, body, words.say(caption_of(view)))]


def gradients(view: View, tables: Tables) -> list[Block]:
    """How much of the gradient arrives at the first layer, and where it vanishes."""
    words = view.words
    if "gradient_ratio_initial" not in view.chosen:
        return []
    body = []
    for _, row in view.chosen.iterrows():
        cells = [view.name(row), rate(view, row), str(row["n"])]
        for when in ("initial", "final"):
            layer = row[f"vanished_layer_{when}"]
            gone = words.level(layer, "layer") if isinstance(layer, str) else words.say("cell.nowhere")
            ratio = row[f"gradient_ratio_{when}"]
            cells += [number(words, ratio), gone if ratio == ratio else words.say("number.none")]
        body.append((*cells, number(words, row["gradient_growth"])))
    columns = ("variant", "learning_rate", "n", "ratio_initial", "vanished_initial", "ratio_final", "vanished_final")
    note = Paragraph(words.say("measure.gradients_note", threshold=analysis.VANISHED))
    return [
        note,
        table(
            view,
            (*columns, "gradient_growth"),
            body,
            words.say(caption_of(view)),
        ),
    ]


def sensitivity(view: View, tables: Tables) -> list[Block]:
    """Every rate of every level, with what failed."""
    words = view.words
    if not len(tables["sensitivity"]):
        return []
    rows = {row["variant_id"]: row for _, row in view.summary.iterrows()}
    body = []
    for _, one in analysis.rows_of(tables["sensitivity"], view.comparison).iterrows():
        name = view.name(rows[one["variant_id"]]) if view.comparison.factor != "learning_rate" else ""
        best = "cell.chosen" if one["best"] and not view.comparison.rates_set else "cell.plain"
        cells = [name, words.say(best, value=rate(view, one)), str(one["n"]), view.failures(one) or "0"]
        cells += [figure(words, one, part) for part in ("validation_accuracy", "test_accuracy")]
        body.append((*cells, number(words, 100 * one["below_best"])))
    columns = ("variant", "learning_rate", "n", "failed", "validation_accuracy", "test_accuracy", "below_best")
    return [Paragraph(words.say("measure.sensitivity_note")), table(view, columns, body)] if body else []


def trials(view: View, tables: Tables) -> list[Block]:
    """Return the accuracy that tuning with each number of trials is expected to find."""
    words = view.words
    if not len(tables["trials"]):
        return []
    names = {}
    for _, row in view.summary.iterrows():
        kept = [name for name in view.comparison.apart if name != "learning_rate"]
        names[str(row[view.comparison.factor]), ", ".join(f"{name} {row[name]}" for name in kept)] = view.name(row)
    body = []
    for _, one in analysis.rows_of(tables["trials"], view.comparison).iterrows():
        name = names.get((one["level"], one["apart"]), words.level(one["level"]))
        figures = (figure(words, one, part) for part in ("validation_accuracy", "test_accuracy"))
        body.append((name, str(one["trials"]), str(one["n"]), *figures))
    columns = ("variant", "trials", "n", "validation_accuracy", "test_accuracy")
    return [Paragraph(words.say("measure.trials_note")), table(view, columns, body)] if body else []


MEASURES: dict[str, tuple[Callable[[View, Tables], list[Block]], str]] = {  # with the table that each needs
    "effects": (effects, "effects"),
    "convergence": (convergence, "summary"),
    "stability": (stability, "summary"),
    "gradients": (gradients, "layers"),
    "sensitivity": (sensitivity, "sensitivity"),
    "trials": (trials, "trials"),
}


def measures(view: View, tables: Tables) -> list[Block]:
    """Every measure that the tables allow, each under a line that unfolds it."""
    found: list[Block] = []
    for name, (made, needed) in MEASURES.items():
        blocks = made(view, tables) if needed in tables else []
        if blocks:
            found.append(Details(view.words.say(f"measure.{name}"), tuple(blocks)))
    return found
