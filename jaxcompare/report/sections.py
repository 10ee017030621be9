"""The blocks of one comparison: protocol, tables, pictures, what they show, limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from jaxcompare.plots.plot import Plot
from jaxcompare.report.blocks import Block, Heading, Items, Note, Paragraph, Table
from jaxcompare.report.cells import accuracy, cut_note
from jaxcompare.report.curves import curves
from jaxcompare.report.failures import attempt
from jaxcompare.report.findings import capital, effect_cell, findings, limits, p_value
from jaxcompare.report.fixed import fixed
from jaxcompare.report.measures import measures
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
    """How the comparison was made: grid, seeds, selection, budget, target, and what was kept fixed."""
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
    """The learning rates that each level was tried at; all in one where they are the same for every level."""
    words, one = view.words, view.comparison
    every = {
        name: {
            value: tuple(sorted(rows["learning_rate"].unique()))
            for value, rows in view.summary.groupby(name, sort=False, dropna=False)
        }
        for name in (one.factor, *one.apart)
        if name != "learning_rate" or one.factor == name
    }
    factor, same = one.factor, False
    if one.rates_set:  # they may follow from another factor than the one compared: each loss has a rate of its own, say
        factor = min(every, key=lambda name: max(map(len, every[name].values())))
        same = len(set(every[factor].values())) == 1
    found = []
    for value, rates in list(every[factor].items())[: 1 if same else None]:
        name = "" if same or factor == "learning_rate" else words.level(value, factor)
        text = ", ".join(f"{rate:g}" for rate in rates)
        found.append(words.say("report.grid_level", name=name, rates=text).strip())
    return found


def tables(view: View) -> list[Block]:
    """Figures at the best rates and at a common one, and the differences; of rates that were set, what programs cost."""
    words = view.words
    rates_set = view.comparison.rates_set
    blocks: list[Block] = figures(view, view.chosen, words.say("report.set" if rates_set else "report.best"))
    if len(view.confirmed):
        # What was confirmed comes first: the claims rest on it, and it selected nothing.
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
    """A row a program: bytes and the time of a step, where several precisions or memories are compared and these are known."""
    words, one = view.words, view.comparison
    rows = view.summary.merge(view.costs, on="variant_id")
    varied = {one.factor, *one.apart}
    if not varied & {"precision", "remat"} or rows["argument_bytes"].isna().all():
        return []
    named = [name for name in (one.factor, *one.apart) if name != "learning_rate"]
    programs = [part for _, part in rows.groupby(list(COSTS), sort=False, dropna=False)]  # whose variants cost the same
    keys = [name for name in named if all(part[name].nunique() == 1 for part in programs)]
    columns = [words.factor(name) for name in keys] + [words.say(f"column.{name}") for name in COSTS]
    body = []
    for first in (part.iloc[0] for part in programs):
        shown = [
            f"{first[name] * scale:.4g}" if first[name] == first[name] else words.say("number.none")
            for name, scale in COSTS.items()
        ]
        body.append((*(words.level(first[name], name) for name in keys), *shown))
    return [Table(words.say("report.costs"), tuple(columns), tuple(body)), Paragraph(words.say("report.costs_note"))]


def figures(view: View, rows: pd.DataFrame, caption: str) -> list[Block]:
    """A row a variant: rate, n, failed runs, accuracies with their intervals, steps to the target; and what is marked."""
    words = view.words
    keys = [name for name in (view.comparison.factor, *view.comparison.apart) if name != "learning_rate"]
    columns = [words.factor(name) for name in (*keys, "learning_rate")]
    columns += [words.say(f"column.{name}") for name in ("n", "failed", "validation_accuracy", "test_accuracy")]
    if view.target is not None:
        columns += [words.say("column.steps_to_target"), words.say("column.reached")]
    body = []
    for _, row in rows.iterrows():
        cell = [words.level(row[name], name) for name in keys]
        cell += [words.say(f"table.edge_{row.get('edge', '')}", rate=row["learning_rate"]), str(row["n"])]
        cell.append(view.failures(row) or "0")
        for name in ("validation_accuracy", "test_accuracy"):
            cell.append(accuracy(words, row, name))
        if view.target is not None:
            missed = words.say("number.missed")
            steps = row["steps_to_target_median"]
            cell.append(f"{steps:.0f}" if steps < float("inf") else missed)
            cell.append(words.say("table.wins", wins=int(row["reached"]), n=row["n"]))
        body.append(tuple(cell))
    shown = Table(caption, tuple(columns), tuple(body))
    return [shown, *cut_note(words, shown)]


def differences(view: View) -> Table:
    """A row a claim: the mean difference in points with its interval, wins, effect size, p, and what may be claimed."""
    words = view.words
    rows = {row["variant_id"]: row for _, row in view.summary.iterrows()}
    names = ("first", "second", "difference", "wins", "effect", "p_t", "p_t_holm", "p_sign_flip_holm", "reading")
    body = []
    for _, one in view.claims.iterrows():
        key = "table.wins_ties" if one["ties"] else "table.wins"
        body.append(
            (
                view.name(rows[one["first_id"]]),
                view.name(rows[one["second_id"]]),
                words.interval(100 * one["difference"], 100 * one["low"], 100 * one["high"], "+.2f"),
                words.say(key, wins=one["wins"], ties=one["ties"], n=one["n"]),
                effect_cell(words, *(one[name] for name in ("effect", "effect_low", "effect_high"))),
                *(p_value(words, one[name]) for name in ("p_t", "p_t_holm", "p_sign_flip_holm")),
                words.say(f"reading.{one['reading']}"),
            )
        )
    columns = tuple(words.say(f"column.{name}") for name in names)
    caption = words.say("report.differences_set" if view.comparison.rates_set else "report.differences")
    return Table(caption, columns, tuple(body))


def findings_blocks(view: View, anchor: str) -> list[Block]:
    """What the tables show, and what they cannot."""
    found: list[Block] = []
    for key, texts in (("findings", findings(view)), ("limits", limits(view))):
        if texts:
            found += [Heading(4, view.words.say(f"report.{key}"), f"{anchor}-{key}"), Items(tuple(texts))]
    return found
