"""The blocks of one comparison: protocol, tables, pictures, what they show, limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from jaxcompare.plots.plot import Plot
from jaxcompare.report.blocks import Block, Heading, Items, Note, Paragraph, Table
from jaxcompare.report.cells import Cell, accuracy, count, cut_note, each, levels, table, whole
from jaxcompare.report.curves import curves
from jaxcompare.report.failures import attempt
from jaxcompare.report.findings import capital, claim_cells, findings, limits
from jaxcompare.report.fixed import fixed
from jaxcompare.report.measures import ACCURACIES, measures
from jaxcompare.report.pictures import picture
from jaxcompare.report.view import View
from jaxcompare.words import Words


def comparison_blocks(
    words: Words,
    experiment: str,
    found: list[View],
    every: Mapping[str, pd.DataFrame],
    about: Mapping[str, Any],
    pictures: Mapping[str, Plot],
) -> list[Block]:
    """Return everything about one experiment.

    Args:
        words: the language.
        experiment: its name.
        found: its comparisons.
        every: the tables.
        about: its record in the manifest.
        pictures: its pictures by file name.
    """
    blocks: list[Block] = []
    if about.get("question"):
        blocks.append(Paragraph(str(about["question"])))
    blocks += [Note(capital(words, words.say(f"auto.{one['key']}", **one) + ".")) for one in about.get("auto") or ()]
    given = about.get("protocol") or ()
    stated = [given] if isinstance(given, str) else [str(one) for one in given]
    for index, view in enumerate(found):
        mine = {name: plot for name, plot in pictures.items() if plot.comparison == view.comparison}
        anchor = f"comparison-{experiment}-{index + 1}"
        blocks.append(Heading(3, view.where(), anchor))
        parts = (
            partial(_protocol, view, stated, every["history"], f"{anchor}-protocol"),
            *(partial(tables, view), partial(curves, view, anchor), partial(_pictures, words, mine)),
            *(partial(findings_blocks, view, anchor), partial(measures, view, every)),
        )
        for make in parts:
            blocks += attempt(words, anchor, make)
    return blocks


def _protocol(view: View, stated: Iterable[str], history: pd.DataFrame, anchor: str) -> list[Block]:
    head = Heading(4, view.words.say("report.protocol"), anchor)
    return [head, Items((*stated, *protocol(view, history)))]


def _pictures(words: Words, plots: Mapping[str, Plot]) -> list[Block]:
    return [picture(words, name, plot) for name, plot in plots.items()]


def protocol(view: View, history: pd.DataFrame) -> list[str]:
    """Return how the comparison was made: grid, seeds, selection, budget, target, and fixed factors."""
    words, summary = view.words, view.summary
    factor, apart, rates_set = view.comparison.factor, view.comparison.apart, view.comparison.rates_set
    found = [words.say("report.rates_set" if rates_set else "report.grid", grids="; ".join(grids(view)))]
    levels = [f"about.{value}" for name in (factor, *apart) for value in summary[name].unique()]
    found += [words.say(key) for key in levels if key in words.catalogue]
    if apart:
        factors = ", ".join(words.factor(name) for name in apart)
        found.append(words.say("report.told_apart" if rates_set else "report.apart", factors=factors))
    low, high = summary["n"].min(), summary["n"].max()
    found.append(words.say("report.seeds" if low == high else "report.seeds_differ", n=low, low=low, high=high))
    unvalidated = summary["validation_accuracy_median"].isna().all() and (summary["n_failed"] < summary["n"]).any()
    if not rates_set:
        found.append(words.say("report.selection_train" if unvalidated else "report.selection"))
    if len(view.confirmed):
        found.append(words.say("report.confirmed", n=view.confirmed["n"].min()))
    elif not rates_set:
        found.append(words.say("report.same_seeds"))
    reached = history.loc[history["replica_id"].isin(view.runs["replica_id"]), "epoch"]
    epochs, evaluated = reached.max(), reached[reached > 0].nunique()  # untrained networks are evaluated, too
    steps = ", ".join(f"{value:g}" for value in sorted(view.runs["steps_per_epoch"].unique()))
    key = "report.budget" if evaluated == epochs else "report.budget_some"
    found.append(words.say(key, epochs=epochs, steps=steps, count=evaluated))
    if view.target is not None:
        found.append(words.say("report.target", target=view.target))
    kept = fixed(view)
    return [*found, words.say("report.fixed", values=", ".join(kept))] if kept else found


def grids(view: View) -> list[str]:
    """Return the learning rates of each level; one line where all levels have the same rates."""
    words, one = view.words, view.comparison
    every = {
        name: {
            value: tuple(sorted(rows["learning_rate"].unique()))
            for value, rows in view.summary.groupby(name, sort=False, dropna=False)
        }
        for name in one.varied()
        if name != "learning_rate" or one.factor == name
    }
    factor, same = one.factor, False
    if one.rates_set:  # rates may follow from another factor than the compared one: each loss has its rate, say
        factor = min(every, key=lambda name: max(map(len, every[name].values())))
        same = len(set(every[factor].values())) == 1
    found = []
    for value, rates in list(every[factor].items())[: 1 if same else None]:
        name = "" if same or factor == "learning_rate" else words.level(value, factor)
        text = ", ".join(words.level(rate) for rate in rates)
        found.append(words.say("report.grid_level", name=name, rates=text).strip())
    return found


def tables(view: View) -> list[Block]:
    """Return figures at the best rates and at a common rate, and the differences; for rates that were set, costs."""
    words = view.words
    rates_set = view.comparison.rates_set
    blocks: list[Block] = figures(view, view.chosen, words.say("report.set" if rates_set else "report.best"))
    if len(view.confirmed):
        # Confirmed rows come first: the claims rest on them, and they selected nothing.
        blocks = [*figures(view, view.confirmed, words.say("report.fresh")), *blocks]
    if len(view.claims):
        blocks.append(differences(view))
    if rates_set:
        return [*blocks, *costs(view)]
    if view.comparison.factor == "learning_rate":
        return blocks
    rates = view.common["learning_rate"].unique()
    if len(rates) == 0:
        return [*blocks, Paragraph(words.say("report.no_common"))]
    caption = words.say("report.common", rate=rates[0]) if len(rates) == 1 else words.say("report.common_rates")
    return [*blocks, *figures(view, view.common, caption), Paragraph(words.say("report.common_rule"))]


COSTS = {"tile_replicas": 1.0, "argument_bytes": 2**-20, "temporary_bytes": 2**-20, "step_seconds": 1e3}


def costs(view: View) -> list[Block]:
    """Return bytes and step time of each program, where precisions or memories are compared and the bytes are known."""
    words, one = view.words, view.comparison
    rows = view.summary.merge(view.costs, on="variant_id")
    if not {"precision", "remat"} & {*one.varied()} or rows["argument_bytes"].isna().all():
        return []
    programs = [part for _, part in rows.groupby(list(COSTS), sort=False, dropna=False)]  # whose variants cost the same
    keys = [name for name in one.varied("learning_rate") if all(part[name].nunique() == 1 for part in programs)]

    def cost(row: pd.Series, name: str) -> str:
        return words.say("number.none") if pd.isna(row[name]) else f"{row[name] * COSTS[name]:.4g}"

    columns = levels(words, keys) | each(COSTS, cost)
    firsts = [part.iloc[0] for part in programs]
    shown = table(words, firsts, columns, words.say("report.costs"), keys)
    return [shown, Paragraph(words.say("report.costs_note"))]


def figures(view: View, rows: pd.DataFrame, caption: str) -> list[Block]:
    """Return a row per variant: rate, n, failed runs, accuracies, steps to the target; and the meaning of marks."""
    words = view.words
    keys = view.comparison.varied("learning_rate")
    columns: dict[str, Cell] = {
        **levels(words, keys),
        "learning_rate": lambda row: words.say(f"table.edge_{row.get('edge', '')}", rate=row["learning_rate"]),
        "n": lambda row: str(row["n"]),
        "failed": lambda row: view.failures(row) or "0",
        **each(ACCURACIES, lambda row, name: accuracy(words, row, name)),
    }
    if view.target is not None:
        columns["steps_to_target"] = lambda row: whole(words, row["steps_to_target_median"])
        columns["reached"] = lambda row: count(words, row["reached"], row["n"])
    shown = table(words, rows, columns, caption, (*keys, "learning_rate"))
    return [shown, *cut_note(words, shown)]


def differences(view: View) -> Table:
    """Return a row per claim: the mean difference with its interval, wins, effect size, p, and the reading."""
    words = view.words
    names = {row["variant_id"]: view.name(row) for _, row in view.summary.iterrows()}
    columns = each(("first", "second"), lambda one, side: names[one[f"{side}_id"]])
    caption = words.say("report.differences_set" if view.comparison.rates_set else "report.differences")
    return table(words, view.claims, columns | claim_cells(words), caption)


def findings_blocks(view: View, anchor: str) -> list[Block]:
    """Return what the tables show, and what they cannot show."""
    found: list[Block] = []
    for key, texts in (("findings", findings(view)), ("limits", limits(view))):
        if texts:
            found += [Heading(4, view.words.say(f"report.{key}"), f"{anchor}-{key}"), Items(tuple(texts))]
    return found
