"""Tables to pictures, comparison CSVs and the report, as Markdown and as one HTML page.

`build` makes every file in memory; `write` alone touches the disk, and only once all of them are made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare import analysis
from jaxcompare.report import findings, html, markdown
from jaxcompare.report.blocks import Block, Chart, every
from jaxcompare.report.content import content, prepare
from jaxcompare.report.draw import Asked, AskedChart, Background, Drawn, draw_all, names_of
from jaxcompare.report.failures import Failure, failure, failures_in, with_broken
from jaxcompare.report.read import REQUIRED, ReportError, check, read_fields, read_manifest, read_tables
from jaxcompare.report.records import records, targets_of
from jaxcompare.report.view import View
from jaxcompare.report.views import comparison_csvs
from jaxcompare.system.files import write_atomically
from jaxcompare.words import ENGLISH, LANGUAGES, Words, localised, say

__all__ = [
    "Background",
    "Built",
    "Failure",
    "ReportError",
    "Written",
    "build",
    "read_fields",
    "read_manifest",
    "read_tables",
    "write",
]


class Built(NamedTuple):
    """A report in memory."""

    files: dict[str, bytes]  # by name
    failures: list[Failure]  # what could not be made; the pages say so in its place


class Written(NamedTuple):
    """A report on the disk."""

    paths: list[Path]
    failures: list[Failure]


def build(
    tables: Mapping[str, pd.DataFrame],
    fields: Mapping[str, np.ndarray] | None = None,
    manifest: Mapping[str, Any] | None = None,
    *,
    workers: int = 1,
    drawn: Mapping[Asked, Drawn] | None = None,
    languages: Sequence[str] = tuple(LANGUAGES),
    formats: Sequence[str] = ("png",),
) -> Built:
    """Every file of a report by its name: pictures, comparison CSVs, `findings.json`, `report.md`, `report.html`.

    Pictures and report are made in each of `languages`; those that are not English have it in their names (`report.ko.md`).

    `tables` are those of `docs/tables.md`, of which `replicas` and `history` are needed; `summary` is computed where it
    is missing. The manifest has a record for each experiment under `experiments` (or `titles`), and may say once what
    holds for all: title, question, protocol, target, quick, command, started, device, code, versions, data. A missing
    key only leaves out what it would have told. Pictures in `drawn` are taken as they are. A picture, a section or a file
    that cannot be made stops no other. Raises ReportError.
    """
    found = {name: table for name, table in tables.items() if name in REQUIRED or len(table)}
    arrays = dict(fields or {})
    check(found)
    told = records(manifest or {}, found["replicas"]["experiment"].unique())
    if not {"summary", "claims"} <= found.keys():  # from before they were kept, or measured tables alone
        found |= analysis.results(found, targets_of(told), analysis.declared_in(told))
    if "layers" in found and not {*analysis.LAYER_FIGURES, *analysis.LAYER_NAMES} <= set(found["summary"]):
        inside = analysis.summarise_layers(found["replicas"], found["layers"])
        kept = [name for name in found["summary"] if name == "variant_id" or name not in inside]
        found["summary"] = found["summary"][kept].merge(inside, on="variant_id", how="left")
    names = names_of(found, arrays)
    shared = prepare(found, told)
    blocks = {
        language: content(
            *(found, told, names, LANGUAGES[language]),
            others=[LANGUAGES[other] for other in languages if other != language],
            shared=shared,
        )
        for language in languages
    }
    charts = [
        AskedChart(one.name, language, one.panel)
        for language, told_in in blocks.items()
        for one in every(told_in)
        if isinstance(one, Chart)
    ]
    pictures = draw_all(found, arrays, workers, drawn, languages, formats, names=names, charts=charts)
    failed = {name: one for name, one in pictures.items() if isinstance(one, Failure)}
    made = {name: one for name, one in pictures.items() if not isinstance(one, Failure)}
    files = {name: one.full for name, one in made.items()}
    files |= {f"{Path(name).stem}.{kind}": data for name, one in made.items() for kind, data in one.others}
    failures = list(failed.values())
    pages = {name: one.page for name, one in made.items()}
    makers: dict[str, Callable[[], dict[str, bytes]]] = {
        f"experiment_{name}*.csv": partial(_csvs, name, found, [view.comparison for view in shared.views[name]] or None)
        for name in names
    }
    makers["findings.json"] = partial(_findings, [view for name in names for view in shared.views[name]], languages)
    for language, told_in in blocks.items():
        words = LANGUAGES[language]
        whole = with_broken(words, told_in, failed)
        failures += [one for one in failures_in(whole) if one not in failures]
        text, page = localised("report.md", language), localised("report.html", language)
        makers[text] = partial(_text, text, whole)
        makers[page] = partial(_page, page, whole, pages, words)
    for name, make in makers.items():
        try:
            files |= make()
        except Exception as error:  # the others are made all the same
            failures.append(failure(name, error))
    return Built(files, failures)


def _csvs(
    experiment: str, tables: Mapping[str, pd.DataFrame], comparisons: Sequence[analysis.Comparison] | None
) -> dict[str, bytes]:
    found = comparison_csvs(experiment, tables["replicas"], tables["summary"], every=comparisons)
    return {name: rows.to_csv(index=False, lineterminator="\n").encode() for name, rows in found.items()}


def _findings(views: Sequence[View], languages: Sequence[str]) -> dict[str, bytes]:
    others = [LANGUAGES[language] for language in languages if language != ENGLISH.language]
    return {"findings.json": findings.records(views, others)}


def _text(name: str, blocks: Sequence[Block]) -> dict[str, bytes]:
    return {name: markdown.render(blocks).encode()}


def _page(name: str, blocks: Sequence[Block], pictures: Mapping[str, bytes], words: Words) -> dict[str, bytes]:
    return {name: html.render(blocks, pictures, words).encode()}


def write(
    results_dir: Path | str,
    tables: Mapping[str, pd.DataFrame],
    fields: Mapping[str, np.ndarray] | None = None,
    manifest: Mapping[str, Any] | None = None,
    *,
    workers: int = 1,
    drawn: Mapping[Asked, Drawn] | None = None,
    languages: Sequence[str] = tuple(LANGUAGES),
    formats: Sequence[str] = ("png",),
) -> Written:
    """Draws, tells and writes a report into a folder; returns the paths of its files, and says on stderr what failed.

    Nothing is written before everything is made, and each file replaces an older one at once. Raises ReportError, and
    OSError where the folder cannot be written.
    """
    built = build(tables, fields, manifest, workers=workers, drawn=drawn, languages=languages, formats=formats)
    folder = Path(results_dir)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, data in built.files.items():
        write_atomically(folder / name, data)
        paths.append(folder / name)
    for one in built.failures:
        print(say("failure.line", name=one.name, error=one.error), file=sys.stderr)
    return Written(paths, built.failures)
