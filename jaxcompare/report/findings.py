"""What the tables show, in words: a sentence for each finding of `analysis.findings`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis.estimates import binomial_error
from jaxcompare.analysis.finding import Failures, Finding, as_record, failures_of
from jaxcompare.analysis.rules import claim_finding
from jaxcompare.analysis.rules import leaders as leading
from jaxcompare.report.cells import Cell, each
from jaxcompare.report.view import View
from jaxcompare.system.strict_json import to_json
from jaxcompare.words import Words, rounded

FEW = 3  # of one kind; where rates were set, one sentence reports more than these, by the range of this value
MANY = {"finding.overflow": "skipped", "finding.dead_worst": "share"}
NOTABLE_ERROR = (
    0.5  # points: the binomial standard error of an accuracy from which the report names the test set's size
)
READINGS = ("above", "below", "none", "few", "failed")


def p_value(words: Words, p: float, key: str = "number.p") -> str:
    """Return a p-value as printed: alone, or after the letter p."""
    if math.isnan(p):
        return words.say("number.none")
    return words.say("number.p_small") if p < 1e-3 else words.say(key, p=p)


def effect_cell(words: Words, effect: float, low: float, high: float) -> str:
    """Return Cohen's d_z with its interval, as a cell; a word for none where all differences are the same."""
    return words.interval(effect, low, high, ".1f") if math.isfinite(effect) else words.say("number.none")


def claim_cells(words: Words) -> dict[str, Cell]:
    """Return the columns of a row of `claims` or `effects`; differences are in points."""
    sizes, corrected = ("effect", "effect_low", "effect_high"), ("p_t", "p_t_holm", "p_sign_flip_holm")
    return {
        "difference": lambda one: words.interval(100 * one["difference"], 100 * one["low"], 100 * one["high"], "+.2f"),
        "wins": lambda one: words.say("table.wins_ties" if one["ties"] else "table.wins", **one[["wins", "ties", "n"]]),
        "effect": lambda one: effect_cell(words, *(one[name] for name in sizes)),
        **each(corrected, lambda one, name: p_value(words, one[name])),
        "reading": lambda one: words.say(f"reading.{one['reading']}"),
    }


def capital(words: Words, text: str) -> str:
    """Return a sentence with a capital first, where the language has capitals; a name that is code stays as it is."""
    if words.language != "en":
        return text
    return text[:1].upper() + text[1:] if text.split(" ")[0].rstrip(":,").replace("-", "").isalpha() else text


def sentence(view: View, finding: Finding) -> str:
    """Return a finding in words."""
    values = finding.values
    if finding.key.startswith("difference."):
        return _difference(view, finding)
    told = {key: _told(view, key, value) for key, value in values.items()}
    return capital(view.words, view.words.say(finding.key, **told))


def _told(view: View, key: str, value: Any) -> Any:
    """Return a finding's value as the sentence shows it; the sentence formats numbers itself."""
    if key.startswith("p_"):
        return p_value(view.words, value, "number.p_is")
    if key == "where":
        text = ", ".join(view.words.value(part, name) for name, part in value.items())
        return view.words.say("finding.where", where=text) if text else ""
    if isinstance(value, Failures):
        return view.words.failures(*value)
    if isinstance(value, Mapping):  # the sentences that name a variant say its rate themselves
        return view.named({name: part for name, part in value.items() if name != "learning_rate"} or value)
    if isinstance(value, list):
        return " > ".join(view.named(part) for part in value)
    return view.words.level(value) if isinstance(value, str) else value


def _difference(view: View, finding: Finding) -> str:
    """Return a difference in points with its interval, wins, effect size and p, or why none is shown."""
    words, values = view.words, finding.values
    sign = "" if finding.key == "difference.above" else "+"
    points = {
        "difference": rounded(values["difference"], f"{sign}.2f"),
        "interval": words.bounds(values["low"], values["high"], f"{sign}.2f"),
        "effect": effect_cell(words, *(values[name] for name in ("effect", "effect_low", "effect_high"))),
        "p": p_value(words, values["p"], "number.p_is"),
    }
    if values["family"] > 1:
        points["p"] = words.say("difference.corrected", p=points["p"], family=values["family"])
    failures = "; ".join(f"{view.named(name)}: {words.failures(*counts)}" for name, counts in values["failures"])
    names = {key: view.named(values[key]) for key in ("first", "second")}
    seeds = words.say("difference.fresh_seeds" if values["fresh"] else "difference.seeds", n=values["n"])
    told = words.say(finding.key, **names, **points, wins=values["wins"], seeds=seeds, failures=failures)
    if finding.key == "difference.none" and (values["low"] > 0 or values["high"] < 0):
        told = words.say("difference.alone", told=told)
    # A mean over successful and failed seeds describes neither kind.
    if failures and finding.key != "difference.failed":
        told = words.say("difference.with_failures", told=told, failures=failures)
    return capital(view.words, told)


def findings(view: View) -> list[str]:
    """Return a sentence for each finding; where rates were set, claims are counted, because the table lists each."""
    every = view.found
    if not view.comparison.rates_set:
        return [sentence(view, one) for one in every]
    many = [key for key in MANY if sum(one.key == key for one in every) > FEW]
    kept = [one for one in every if one.key not in many and not one.key.startswith("difference.")]
    together = [_together(view, key, [one for one in every if one.key == key]) for key in many]
    return [*tallies(view), *(sentence(view, one) for one in kept), *together]


def _together(view: View, key: str, found: Sequence[Finding]) -> str:
    """Return one sentence for a finding that many variants share."""
    values = [float(one.values[MANY[key]]) for one in found]
    half = view.summary["precision"] == "float16" if key == "finding.overflow" else view.summary["n"] > 0
    return view.words.say(f"{key}_many", k=len(found), n=int(half.sum()), low=min(values), high=max(values))


def tallies(view: View) -> list[str]:
    """Return a line for each pair of levels with claims: in how many cells the first is better, worse, or neither."""
    words, found = view.words, []
    for (factor, *_), rows in view.claims.groupby(["factor", "first", "second"], sort=False):
        readings = rows["reading"].value_counts()
        counts = [
            words.say("tally.of", count=readings[key], cells=len(rows), reading=words.say(f"tally.{key}"))
            for key in READINGS
            if key in readings
        ]
        known = 100 * rows["difference"].dropna()
        low, high = (rounded(value, "+.2f") for value in (known.min(), known.max()))
        span = words.say("tally.range", low=low, high=high) if len(known) else ""
        by_id = view.summary.set_index("variant_id")[factor]
        names = [words.value(by_id[rows[key].iloc[0]], str(factor)) for key in ("first_id", "second_id")]
        told = words.say("tally.told", first=names[0], second=names[1], counts=", ".join(counts), range=span)
        half = widest(rows)
        n = "/".join(str(one) for one in sorted(set(rows["n"])))
        found.append(capital(words, words.say("tally.seen", told=told, half=half, n=n) if half == half else told))
    return found


def widest(claims: pd.DataFrame) -> float:
    """Return half of the widest interval, in points, of claims that show no difference: smaller ones are undetectable."""
    quiet = claims[claims["reading"] == "none"]
    return 100 * float(((quiet["high"] - quiet["low"]) / 2).max())


def records(views: Iterable[View], others: Sequence[Words] = ()) -> bytes:
    """Return `findings.json`: rule, threshold, evidence and sentence of every finding, with `sentence_ko` and others."""
    found = []
    for view in views:
        elsewhere = {f"sentence_{words.language}": replace(view, words=words) for words in others}
        for one in view.found:
            told = {name: sentence(other, one) for name, other in elsewhere.items()}
            found.append(as_record(one, sentence(view, one), told))
    return (to_json(found, indent=1, ensure_ascii=False) + "\n").encode()


def limits(view: View) -> list[str]:
    """Return what the comparison cannot show."""
    words, claims = view.words, view.claims
    fresh = len(claims) > 0 and bool(claims["fresh_seeds"].all())
    seeds = sorted({int(n) for n in claims["n"] if n})
    chosen = "limit.rates_set" if view.comparison.rates_set else "limit.selection"
    found = [words.say("limit.confirmed" if fresh else chosen), words.say("limit.seeds"), *_small_test_set(view)]
    found += [words.say("limit.sign_flip", n=n, floor=2 / 2**n) for n in seeds]
    found += [words.say("limit.family", count=int(claims["family"].iloc[0]))] if len(claims) else []
    return [*found, words.say("limit.scope")]


def _small_test_set(view: View) -> list[str]:
    """Return the error that the test set's size leaves in the best accuracy, where it is at least `NOTABLE_ERROR` points."""
    rows = view.confirmed if len(view.confirmed) else view.chosen
    best = rows["test_accuracy_median"].max()
    if "test_examples" not in view.runs or pd.isna(best):
        return []
    examples = int(view.runs["test_examples"].min())
    error = 100 * binomial_error(float(best), examples)
    if error < NOTABLE_ERROR:
        return []
    return [view.words.say("limit.test_set", examples=examples, accuracy=best, error=error, one=100 / examples)]


def leaders(view: View, title: str) -> list[str]:
    """Return a line for each value of the factors kept separate: the leader's test accuracy, and how far the others are.

    Where rates were set nobody leads: what is claimed is counted.
    """
    if view.comparison.rates_set:
        return [view.words.say("tally.where", title=title, where=view.where(), told=told) for told in tallies(view)]
    factor = view.comparison.factor
    found = []
    for best in leading(view):
        name = view.name(best)
        if factor != "learning_rate":
            name = view.words.say("name.at_rate", name=name, rate=best["learning_rate"])
        again = view.confirmed[view.confirmed["variant_id"] == f"{best['variant_id']}{analysis.CONFIRMED}"]
        shown = again.iloc[0] if len(again) else best  # on fresh seeds, where it was trained on some
        count = view.words.say("picture.n_fresh" if len(again) else "picture.n", n=shown["n"])
        runs = "; ".join(filter(None, (count, view.words.failures(*failures_of(view, shown)))))
        accuracy = view.accuracy(shown)
        lead = view.words.say("report.leader", title=title, where=view.where(), name=name, accuracy=accuracy, runs=runs)
        mine = view.claims[view.claims["factor"] == factor]
        mine = mine[(mine["first_id"] == best["variant_id"]) | (mine["second_id"] == best["variant_id"])]
        others = [sentence(view, claim_finding(view, claim)) for _, claim in mine.iterrows()]
        alone = [view.words.say("report.alone")] if view.claims.empty else []
        found.append(" ".join([lead, *(others or alone)]))
    return found
