"""Other measurements of a comparison, each table folded: effects, convergence, stability, gradients, rates, trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis.curves import LATE, SPIKE
from jaxcompare.analysis.runs import AREA, SECONDS, seconds_to_target
from jaxcompare.report.blocks import Block, Details, Paragraph
from jaxcompare.report.cells import Cell, count, each, figure, number, numbers, table
from jaxcompare.report.findings import claim_cells
from jaxcompare.report.view import View
from jaxcompare.words import Words

Tables = Mapping[str, pd.DataFrame]
ACCURACIES = ("validation_accuracy", "test_accuracy")


def rate(view: View, row: pd.Series) -> str:
    """Return a row's learning rate."""
    return number(view.words, row["learning_rate"])


def variant_cells(view: View) -> dict[str, Cell]:
    """Return the columns that name a variant."""
    return {"variant": view.name, "learning_rate": lambda row: rate(view, row), "n": lambda row: str(row["n"])}


def accuracy_cells(words: Words) -> dict[str, Cell]:
    """Return the columns of the accuracies, with their intervals."""
    return each(ACCURACIES, lambda row, name: figure(words, row, name))


def caption_of(view: View) -> str:
    """Return the key of the caption above the chosen rows: rates that were set were not chosen."""
    return "report.set" if view.comparison.rates_set else "report.best"


def of_comparison(view: View, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of an analysis table that belong to the comparison."""
    return analysis.rows_of(rows, view.comparison) if len(rows) else rows


def effects(view: View, tables: Tables) -> list[Block]:
    """Return the effect of each factor kept separate at every level and rate: paired differences."""
    words, comparison = view.words, view.comparison
    mine = of_comparison(view, tables["effects"])
    if not len(mine):
        return []
    rows = {row["variant_id"]: row for _, row in view.summary.iterrows()}

    def minus(one: pd.Series) -> str:
        factor = one["factor"]
        sides = {side: words.level(rows[one[f"{side}_id"]][factor], factor) for side in ("first", "second")}
        return words.say("cell.minus", **sides)

    def where(one: pd.Series) -> str:
        row, shown = rows[one["first_id"]], comparison.varied(one["factor"], "learning_rate")
        return ", ".join(words.level(row[name], name) for name in shown if not pd.isna(row[name]))

    claims = claim_cells(words)
    columns = {"effect_of": minus, "at": where, "learning_rate": lambda one: rate(view, rows[one["first_id"]])}
    columns |= {"points": claims["difference"]}
    columns |= {name: claims[name] for name in ("wins", "effect", "p_t_holm", "reading")}
    return [Paragraph(words.say("measure.effects_note")), table(words, mine, columns)]


def convergence(view: View, tables: Tables) -> list[Block]:
    """Return how soon the target was reached, and the area under the curve."""
    words, target = view.words, view.target
    columns = variant_cells(view)
    if target is not None:
        columns |= numbers(words, {name: f"{name}_median" for name in analysis.STEPS})
        seconds = seconds_to_target(view.runs).set_index("variant_id")[f"{SECONDS}_median"]
        if seconds.notna().any():
            columns[SECONDS] = lambda row: number(words, seconds[row["variant_id"]])
        columns["reached"] = lambda row: count(words, row["reached"], row["n"])
    columns["area"] = lambda row: figure(words, row, AREA)
    groups = {caption_of(view): view.chosen, "measure.at_common": view.common}
    blocks = [table(words, rows, columns, words.say(key)) for key, rows in groups.items() if len(rows)]
    note = "measure.area_note" if target is None else "measure.convergence_note"
    return [Paragraph(words.say(note, target=target)), *blocks] if blocks else []


def stability(view: View, tables: Tables) -> list[Block]:
    """Return how steady a run is once it has learnt, and how often its loss jumps."""
    words = view.words
    columns = variant_cells(view) | {"late_deviation": lambda row: number(words, 100 * row["late_deviation_median"])}
    columns |= numbers(words, {name: f"{name}_median" for name in ("largest_jump", "spikes")})
    note = Paragraph(words.say("measure.stability_note", late=LATE, spike=SPIKE))
    return [note, table(words, view.chosen, columns, words.say(caption_of(view)))]


def gradients(view: View, tables: Tables) -> list[Block]:
    """Return how much of the gradient arrives at the first layer, and where it vanishes."""
    words = view.words
    if "gradient_ratio_initial" not in view.chosen:
        return []

    def vanished(row: pd.Series, when: str) -> str:
        if pd.isna(row[f"gradient_ratio_{when}"]):
            return words.say("number.none")
        layer = row[f"vanished_layer_{when}"]
        return words.level(layer, "layer") if isinstance(layer, str) else words.say("cell.nowhere")

    columns = variant_cells(view)
    for when, cell in each(("initial", "final"), vanished).items():
        columns |= numbers(words, {f"ratio_{when}": f"gradient_ratio_{when}"}) | {f"vanished_{when}": cell}
    columns |= numbers(words, {"gradient_growth": "gradient_growth"})
    note = Paragraph(words.say("measure.gradients_note", threshold=analysis.VANISHED))
    return [note, table(words, view.chosen, columns, words.say(caption_of(view)))]


def sensitivity(view: View, tables: Tables) -> list[Block]:
    """Return every rate of every level, with its failed runs."""
    words, rates_set = view.words, view.comparison.rates_set
    mine = of_comparison(view, tables["sensitivity"])
    if not len(mine):
        return []
    names = {row["variant_id"]: view.name(row) for _, row in view.summary.iterrows()}
    named = view.comparison.factor != "learning_rate"
    columns: dict[str, Cell] = {
        "variant": lambda one: names[one["variant_id"]] if named else "",
        "learning_rate": lambda one: words.say(
            "cell.chosen" if one["best"] and not rates_set else "cell.plain", value=rate(view, one)
        ),
        "n": lambda one: str(one["n"]),
        "failed": lambda one: view.failures(one) or "0",
        **accuracy_cells(words),
        "below_best": lambda one: number(words, 100 * one["below_best"]),
    }
    return [Paragraph(words.say("measure.sensitivity_note")), table(words, mine, columns)]


def trials(view: View, tables: Tables) -> list[Block]:
    """Return the accuracy that tuning with each number of trials is expected to find."""
    words, comparison = view.words, view.comparison
    mine = of_comparison(view, tables["trials"])
    if not len(mine):
        return []
    kept = [name for name in comparison.apart if name != "learning_rate"]
    names = {
        (str(row[comparison.factor]), ", ".join(f"{name} {row[name]}" for name in kept)): view.name(row)
        for _, row in view.summary.iterrows()
    }
    columns: dict[str, Cell] = {
        "variant": lambda one: names.get((one["level"], one["apart"])) or words.level(one["level"]),
        "trials": lambda one: str(one["trials"]),
        "n": lambda one: str(one["n"]),
        **accuracy_cells(words),
    }
    return [Paragraph(words.say("measure.trials_note")), table(words, mine, columns)]


MEASURES: dict[str, tuple[Callable[[View, Tables], list[Block]], str]] = {  # with the table that each needs
    "effects": (effects, "effects"),
    "convergence": (convergence, "summary"),
    "stability": (stability, "summary"),
    "gradients": (gradients, "layers"),
    "sensitivity": (sensitivity, "sensitivity"),
    "trials": (trials, "trials"),
}


def measures(view: View, tables: Tables) -> list[Block]:
    """Return every measure that the tables allow, each folded under a line."""
    made = {name: make(view, tables) for name, (make, needed) in MEASURES.items() if needed in tables}
    return [Details(view.words.say(f"measure.{name}"), tuple(blocks)) for name, blocks in made.items() if blocks]
