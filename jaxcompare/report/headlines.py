"""The summary's first lines: what each comparison shows, by how much, over how many seeds, and the reason where measured."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis.finding import Finding, failures_of
from jaxcompare.analysis.rules import leaders
from jaxcompare.report.findings import widest
from jaxcompare.report.view import View
from jaxcompare.words import rounded

MANY_DEAD = 0.1  # of hidden units: a smaller share, or one below twice the winner's, is no reason
MOST_PAIRS = 6  # of a cell; a cell with more shows the pairs of its leader alone
REASONS = {"vanishing_gradient": ("headline.vanishing", "ratio"), "dead_units": ("headline.dead", "share")}


def headlines(found: Sequence[View], title: str) -> list[str]:
    """Return a sentence for each cell of the main comparisons: what is shown; none where nothing is claimed."""
    return [_told(view, claims, title) for view in found if view.main for claims in _cells(view)]


def _cells(view: View) -> list[pd.DataFrame]:
    """Return the claims about the factor compared, by the cells of the factors kept separate."""
    mine = view.claims[view.claims["factor"] == view.comparison.factor]
    cells = [rows for _, rows in mine.groupby("apart", sort=False)]
    best = {str(row["variant_id"]) for row in leaders(view)}
    led = [rows[rows["first_id"].isin(best) | rows["second_id"].isin(best)] for rows in cells]
    return [few if len(rows) > MOST_PAIRS else rows for rows, few in zip(cells, led, strict=True)]


def _told(view: View, claims: pd.DataFrame, title: str) -> str:
    """Say what is shown in one cell, and what is not."""
    words = view.words
    told = [_shown(view, claim) for _, claim in claims.iterrows() if claim["reading"] in ("above", "below")]
    for key in ("none", "few", "failed"):
        rows = claims[claims["reading"] == key]
        if len(rows):
            told.append(words.say(f"headline.{key}", pairs=", ".join(_pair(view, row) for _, row in rows.iterrows())))
    told += _why(view, claims)
    told += _turns(view, claims)
    fresh = bool(claims["fresh_seeds"].all())
    n = words.say("picture.n_fresh" if fresh else "picture.n", n="/".join(map(str, sorted(set(claims["n"])))))
    row = view.variant(claims["first_id"].iloc[0])
    others = [name for name in view.comparison.apart if name != "learning_rate" and not pd.isna(row[name])]
    where = view.where()
    if others:
        where = words.say("name.apart", name=where, apart=", ".join(words.value(row[name], name) for name in others))
    half = widest(claims)
    key = "headline.told_seen" if half == half else "headline.told"
    return words.say(key, title=title, where=where, told="; ".join(told), n=n, half=half)


def _level(view: View, variant_id: object) -> str:
    factor = view.comparison.factor
    return view.words.value(view.variant(str(variant_id))[factor], factor)


def _pair(view: View, claim: pd.Series) -> str:
    names = {side: _level(view, claim[f"{side}_id"]) for side in ("first", "second")}
    if claim["reading"] == "failed":
        return view.words.say("headline.pair_plain", **names)
    return view.words.say("headline.pair", **names, difference=rounded(100 * claim["difference"], "+.2f"))


def _sides(claim: pd.Series) -> tuple[str, str]:
    """Return the ids of the winner and of the loser."""
    sides = ("first_id", "second_id") if claim["reading"] == "above" else ("second_id", "first_id")
    return str(claim[sides[0]]), str(claim[sides[1]])


def _shown(view: View, claim: pd.Series) -> str:
    winner, loser = (_level(view, one) for one in _sides(claim))
    difference = 100 * abs(claim["difference"])
    return view.words.say("headline.shown", winner=winner, loser=loser, difference=difference)


def _why(view: View, claims: pd.DataFrame) -> list[str]:
    """Say what was measured inside the losers: failed runs, vanishing gradients, dead units."""
    words, found = view.words, []
    shown = [claim for _, claim in claims.iterrows() if claim["reading"] in ("above", "below")]
    for loser, winner in {_sides(claim)[1]: _sides(claim)[0] for claim in shown}.items():
        again = view.confirmed[view.confirmed["variant_id"] == f"{loser}{analysis.CONFIRMED}"]
        row = again.iloc[0] if len(again) else view.variant(loser)
        inside = [one for rule in REASONS for one in view.found if one.rule == rule]
        reasons = (_reason(view, one, winner) for one in inside if one.rows[0].get("variant_id") == loser)
        seen = list(filter(None, [words.failures(*failures_of(view, row)), *reasons]))
        if seen:
            found.append(words.say("headline.why", name=_level(view, loser), why=", ".join(seen)))
    return found


def _reason(view: View, finding: Finding, winner: str) -> str:
    """Say one reason; empty where the winner has as many dead units, or where too few units are dead."""
    key, value = REASONS[finding.rule]
    if finding.rule == "dead_units":
        fewer = view.variant(winner)["dead_fraction_final"] < finding.values[value] / 2
        if not (fewer and finding.values[value] >= MANY_DEAD):
            return ""
    return view.words.say(key, **{value: finding.values[value]})


def _turns(view: View, claims: pd.DataFrame) -> list[str]:
    """Say which near-ties of rates would change the verdict, where the claim does not rest on fresh seeds."""
    ids = {*claims["first_id"], *claims["second_id"]}
    ties = [tie for tie in view.found if tie.rule == "near_tie" and tie.values.get("turns") and not tie.values["fresh"]]
    chosen = [(tie.rows[0]["variant_id"], tie.values) for tie in ties]
    texts = [
        view.words.say("headline.turns", name=_level(view, variant), rate=values["rate"], near=values["near"])
        for variant, values in chosen
        if variant in ids
    ]
    return list(dict.fromkeys(texts))
