"""What the tables show, in words. Each rule looks at numbers and gives sentences, or none."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from jaxcompare import analysis
from jaxcompare.report.view import Difference, View, cells
from jaxcompare.words import Words

VANISHED = 1e-3  # gradient norm of the first layer over the last, at initialisation
DEAD = 0.01  # share of hidden units
FORMS = {"above": ".4f"}  # where the words say which way, no sign does


def p_value(words: Words, p: float, key: str = "number.p") -> str:
    """A p-value as printed: alone, or after the letter p."""
    if math.isnan(p):
        return words.say("number.none")
    return words.say("number.p_small") if p < 1e-3 else words.say(key, p=p)


def capital(text: str) -> str:
    """A sentence with a capital first; a name that is code stays as it is."""
    return text[:1].upper() + text[1:] if text.split(" ")[0].rstrip(":,").replace("-", "").isalpha() else text


def sentence(view: View, difference: Difference) -> str:
    """A difference with its interval, wins and p, or why none is shown."""
    first, second, paired = difference
    failures = "; ".join(f"{view.name(row)}: {view.failures(row)}" for row in (first, second) if view.failures(row))
    told = view.words.say(
        f"difference.{difference.reading()}",
        first=view.name(first),
        second=view.name(second),
        difference=view.words.interval(paired.mean, paired.low, paired.high, FORMS.get(difference.reading(), "+.4f")),
        failures=failures,
        wins=paired.wins,
        n=paired.n,
        p_t=p_value(view.words, paired.p_t, "number.p_is"),
        p_sign_flip=p_value(view.words, paired.p_sign_flip),
    )
    # A mean over seeds of which some failed stands for neither kind.
    if failures and difference.reading() != "failed":
        told = view.words.say("difference.with_failures", told=told, failures=failures)
    return told


def differences(view: View) -> list[str]:
    """Which levels differ, and which values of the factors kept apart."""
    return [sentence(view, one) for one in (*view.by_level, *view.by_apart)]


def edges(view: View) -> list[str]:
    """Best rates at the end of their grid."""
    return [
        view.words.say(f"finding.edge_{row['edge']}", name=view.name(row), rate=row["learning_rate"])
        for _, row in view.chosen.iterrows()
        if row["edge"]
    ]


def failures(view: View) -> list[str]:
    """Variants with runs that diverged or stayed at chance, at whatever rate."""
    failed = view.summary[view.summary["n_failed"] > 0].sort_values([view.comparison.factor, "learning_rate"])
    return [
        view.words.say("finding.failed", name=view.name(row), rate=row["learning_rate"], failures=view.failures(row))
        for _, row in failed.iterrows()
    ]


def dead_units(view: View) -> list[str]:
    """Dead units at the best rates, and the rate with the most of them where it is another."""
    found = []
    for _, row in view.chosen.iterrows():
        level = view.summary[view.comparison.factor]
        mine = view.summary[
            (level == row[view.comparison.factor]) | (level.isna() & pd.isna(row[view.comparison.factor]))
        ]
        worst = mine.sort_values("dead_fraction_final", na_position="first").iloc[-1]
        rows = [("finding.dead", row)]
        rows += [("finding.dead_worst", worst)] if worst["learning_rate"] != row["learning_rate"] else []
        found += [
            view.words.say(
                key,
                name=view.name(one),
                share=one["dead_fraction_final"],
                first=one["dead_fraction_initial"],
                rate=one["learning_rate"],
            )
            for key, one in rows
            if one["dead_fraction_final"] >= DEAD
        ]
    return list(dict.fromkeys(found))


def vanishing(view: View) -> list[str]:
    """Levels whose gradient hardly reaches the first layer at initialisation."""
    return [
        view.words.say(
            "finding.vanishing", name=view.name(row), ratio=row["gradient_ratio_initial"], rate=row["learning_rate"]
        )
        for _, row in view.chosen.iterrows()
        if row["gradient_ratio_initial"] < VANISHED
    ]


def orders(view: View) -> list[str]:
    """Whether the order of the levels at the common rate is that at their best rates."""
    found = []
    apart = view.comparison.apart
    for shared in cells(view.common, apart):
        if len(shared) < 2:
            continue
        best = next(cell for cell in cells(view.chosen, apart) if _same(cell, shared, apart))
        names = [[view.name(row) for _, row in table.iterrows()] for table in (shared, best)]
        text = ", ".join(view.words.level(shared.iloc[0][key], key) for key in apart)
        where = view.words.say("finding.where", where=text) if text else ""
        key = "finding.same_order" if names[0] == names[1] else "finding.order"
        values = {"common": " > ".join(names[0]), "best": " > ".join(names[1])}
        found.append(view.words.say(key, rate=shared.iloc[0]["learning_rate"], where=where, **values))
    return found


def _same(first: pd.DataFrame, second: pd.DataFrame, keys: tuple[str, ...]) -> bool:
    """Whether two groups of rows have the same values of `keys`."""
    return all(str(first.iloc[0][key]) == str(second.iloc[0][key]) for key in keys)


RULES: tuple[Callable[[View], list[str]], ...] = (differences, orders, edges, failures)
INSIDE_RULES: tuple[Callable[[View], list[str]], ...] = (dead_units, vanishing)


def findings(view: View) -> list[str]:
    """Every sentence of every rule that the tables allow."""
    inside = INSIDE_RULES if "gradient_ratio_initial" in view.summary else ()
    return [capital(text) for rule in (*RULES, *inside) for text in rule(view)]


def limits(view: View) -> list[str]:
    """What the comparison cannot show."""
    tested = [one.paired.n for one in (*view.by_level, *view.by_apart)]
    found = [view.words.say("limit.selection"), view.words.say("limit.seeds")]
    found += [view.words.say("limit.sign_flip", n=n, floor=2 / 2**n) for n in sorted(set(tested)) if n]
    found += [view.words.say("limit.family", count=len(tested))] if len(tested) > 1 else []
    return [*found, view.words.say("limit.scope")]


def leaders(view: View, title: str) -> list[str]:
    """A line for each value of the factors kept apart: the leader's test accuracy, and how far the others are."""
    told = view.by_level
    found = []
    for cell in cells(view.chosen, view.comparison.apart):
        best = cell.iloc[0]
        name = view.name(best)
        if view.comparison.factor != "learning_rate":
            name = view.words.say("name.at_rate", name=name, rate=best["learning_rate"])
        runs = "; ".join(filter(None, (view.words.say("picture.n", n=best["n"]), view.failures(best))))
        accuracy = view.words.interval(*(best[f"test_accuracy_{part}"] for part in analysis.Interval._fields))
        lead = view.words.say("report.leader", title=title, where=view.where(), name=name, accuracy=accuracy, runs=runs)
        others = [sentence(view, one) for one in told if one.first["variant_id"] == best["variant_id"]]
        found.append(" ".join([lead, *map(capital, others or [view.words.say("report.alone")])]))
    return found
