"""The whole report as a list of blocks: summary first, then each comparison, then how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from jaxcompare import analysis
from jaxcompare.report.answers import answers
from jaxcompare.report.blocks import Block, Heading, Items, Link, Note, Paragraph
from jaxcompare.report.claimed import claimed
from jaxcompare.report.environment import environment, reproduce, timing
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.findings import leaders
from jaxcompare.report.records import targets_of
from jaxcompare.report.sections import comparison_blocks, title
from jaxcompare.report.view import views
from jaxcompare.words import ENGLISH, Words, localised


def content(
    tables: Mapping[str, pd.DataFrame],
    told: Mapping[str, Mapping[str, Any]],
    pictures: Mapping[str, list[str]],
    words: Words = ENGLISH,
    others: Sequence[Words] = (),
) -> list[Block]:
    """The report's blocks.

    `tables` must hold `summary`; `told` are `records`, `pictures` file names by experiment, `others` the languages that the
    report is in, too.
    """
    told = {name: {**about, **(about.get("words") or {}).get(words.language, {})} for name, about in told.items()}
    titles = {name: title(words, name, about) for name, about in told.items()}
    quick = ", ".join(titles[name] for name, about in told.items() if about.get("quick"))
    blocks: list[Block] = [Heading(1, words.say("report.title"), "top")]
    blocks += [
        Link(other.say("report.elsewhere"), localised("report", other.language), other.language) for other in others
    ]
    blocks += [Note(words.say("report.quick", names=quick))] if quick else []
    lines: list[str] = []
    sections: list[Block] = []
    for experiment, about in told.items():
        found = views(words, tables, experiment, targets_of(told), analysis.declared_in(told))
        lines += [line for view in found for line in leaders(view, titles[experiment])]
        sections += comparison_blocks(words, found, tables, about, pictures.get(experiment, []))
    evidence = Evidence(words, tables, told, pictures)
    blocks += [Heading(2, words.say("report.summary"), "summary"), Paragraph(words.say("report.reading"))]
    blocks += [Items(tuple(lines)), *sections, *answers(evidence), *claimed(evidence)]
    blocks += [*environment(words, told, titles, tables)]
    if "timing" in tables and len(tables["timing"]):
        blocks += timing(words, tables["timing"])
    return [*blocks, *reproduce(words, told, titles)]
