"""The whole report as a list of blocks: summary first, then each comparison, then how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from jaxcompare import analysis
from jaxcompare.plots.plot import Plot
from jaxcompare.report.answers import answers
from jaxcompare.report.blocks import Block, Broken, Heading, Items, Link, Note, Paragraph
from jaxcompare.report.claimed import claimed
from jaxcompare.report.environment import environment, reproduce, timing
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.failures import Failure, attempt, failure
from jaxcompare.report.findings import leaders
from jaxcompare.report.headlines import headlines
from jaxcompare.report.measured import Measured
from jaxcompare.report.records import targets_of, title
from jaxcompare.report.sections import comparison_blocks
from jaxcompare.report.view import View, every_view
from jaxcompare.words import ENGLISH, Words, localised


class Shared(NamedTuple):
    """Data that reports in every language share."""

    views: Mapping[str, list[View]]  # of each experiment, in English
    measured: Measured
    failed: Mapping[str, Failure]  # experiments without views


def prepare(tables: Mapping[str, pd.DataFrame], told: Mapping[str, Mapping[str, Any]]) -> Shared:
    """Compute what reports in every language need, from the tables."""
    english = replace(ENGLISH, numbers=analysis.spelled(tables["replicas"]))
    known = (english, tables, targets_of(told), analysis.declared_in(told))
    views: dict[str, list[View]] = {}
    failed: dict[str, Failure] = {}
    try:
        views = every_view(*known, told)
    except Exception:  # in one experiment: the others are still reported
        for experiment in told:
            try:
                views |= every_view(*known, [experiment])
            except Exception as error:
                views[experiment], failed[experiment] = [], failure(f"comparison-{experiment}", error)
    return Shared(views, Measured(tables, told), failed)


def content(
    tables: Mapping[str, pd.DataFrame],
    told: Mapping[str, Mapping[str, Any]],
    pictures: Mapping[str, Mapping[str, Plot]],
    words: Words = ENGLISH,
    others: Sequence[Words] = (),
    shared: Shared | None = None,
) -> list[Block]:
    """Return the report's blocks, with a `Broken` for each part that fails.

    `tables` must have `summary`; `told` are the experiments' `records`; `pictures` are those of each experiment by file name.
    `others` are the other languages that the report is made in. `shared` is `prepare(tables, told)`, where the caller has it.
    """
    shared = shared or prepare(tables, told)
    told = {name: {**about, **(about.get("words") or {}).get(words.language, {})} for name, about in told.items()}
    titles = {name: title(words, name, about) for name, about in told.items()}
    quick = ", ".join(titles[name] for name, about in told.items() if about.get("quick"))
    blocks: list[Block] = [Heading(1, words.say("report.title"), "top")]
    blocks += [
        Link(other.say("report.elsewhere"), localised("report", other.language), other.language) for other in others
    ]
    blocks += [Note(words.say("report.quick", names=quick))] if quick else []
    heads: list[str] = []
    lines: list[str] = []
    sections: list[Block] = []
    for experiment, about in told.items():
        anchor = f"comparison-{experiment}"
        sections.append(Heading(2, titles[experiment], anchor))
        if experiment in shared.failed:
            error = shared.failed[experiment].error
            sections.append(Broken(words.say("report.not_told", error=error), anchor, error))
            continue
        found = [replace(view, words=words) for view in shared.views[experiment]]
        for told_in, make in ((heads, _headlines), (lines, _leaders)):
            lead = attempt(words, anchor, partial(make, found, titles[experiment]))
            told_in += [block.text for block in lead if isinstance(block, Paragraph)]
            sections += [block for block in lead if isinstance(block, Broken)]
        names = pictures.get(experiment, {})
        sections += attempt(words, anchor, partial(comparison_blocks, words, experiment, found, tables, about, names))
    evidence = Evidence(words, shared.measured, pictures)
    blocks += [Heading(2, words.say("report.summary"), "summary"), *([Items(tuple(heads))] if heads else [])]
    blocks += [Paragraph(words.say("report.reading")), Items(tuple(lines)), *sections, *answers(evidence)]
    parts = {"claimed": partial(claimed, evidence), "environment": partial(environment, words, told, titles, tables)}
    if "timing" in tables and len(tables["timing"]):
        parts["timing"] = partial(timing, words, tables["timing"])
    parts["reproduce"] = partial(reproduce, words, told, titles)
    return blocks + [block for name, make in parts.items() for block in attempt(words, name, make)]


def _headlines(found: Sequence[View], name: str) -> list[Block]:
    return [Paragraph(line) for line in headlines(found, name)]


def _leaders(found: Sequence[View], name: str) -> list[Block]:
    return [Paragraph(line) for view in found for line in leaders(view, name)]
