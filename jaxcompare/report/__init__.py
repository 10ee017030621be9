"""Tables to pictures, comparison CSVs and the report, as Markdown and as one HTML page.

`build` makes every file in memory; `write` alone touches the disk, once all files are made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare import analysis
from jaxcompare.config.files import free, safe
from jaxcompare.report import findings, html, markdown
from jaxcompare.report.blocks import Block, Chart, every
from jaxcompare.report.content import Shared, content, prepare
from jaxcompare.report.draw import (
    Asked,
    AskedChart,
    Background,
    Drawn,
    Picture,
    by_experiment,
    draw_all,
    names_of,
    words_of,
)
from jaxcompare.report.failures import Failure, failure, failures_in, with_broken
from jaxcompare.report.read import REQUIRED, ReportError, check, read_fields, read_manifest, read_tables
from jaxcompare.report.records import patterns_of, records, targets_of
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

Make = Callable[[], dict[str, bytes]]
_LOG = logging.getLogger(__name__)


class Built(NamedTuple):
    """A report in memory."""

    files: dict[str, bytes]  # by name
    failures: list[Failure]  # parts that could not be made; the pages say why in their place


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
    """Make every file of a report: pictures, comparison CSVs, `findings.json`, `report.md`, `report.html`.

    A picture, a section or a file that cannot be made stops no other.

    Args:
        tables: those of `docs/tables.md`; `replicas` and `history` are required, a missing `summary` is computed.
        fields: decision fields.
        manifest: a record per experiment under `experiments` (or `titles`); a top-level key holds for all experiments: title,
            question, protocol, target, quick, command, started, device, code, versions, data, files. A missing key leaves
            out only its own part of the report.
        workers: processes that draw.
        drawn: pictures that are drawn already.
        languages: of pictures and pages; those that are not English have the language in their names (`report.ko.md`).
        formats: of pictures.

    Raises:
        ReportError: a required table is missing, empty or lacks columns.
    """
    found = {name: table for name, table in tables.items() if name in REQUIRED or len(table)}
    check(found)
    arrays = dict(fields or {})
    told = records(manifest or {}, found["replicas"]["experiment"].unique())
    try:
        found = _with_results(found, told)
        patterns = patterns_of(told)
        names = names_of(found, arrays, patterns)
        shared, spoken = prepare(found, told), words_of(found, languages, told)
    except Exception as error:  # of values that no run writes
        raise ReportError(say("error.broken", name="tables", reason=failure("", error).error)) from error
    blocks = {
        language: content(
            *(found, told, by_experiment(names), words),
            others=[spoken[other] for other in languages if other != language],
            shared=shared,
        )
        for language, words in spoken.items()
    }
    pictures = draw_all(
        found, arrays, workers, drawn, languages, formats, names=names, charts=_charts(blocks), told=told
    )
    failed = {name: one for name, one in pictures.items() if isinstance(one, Failure)}
    whole = {language: with_broken(LANGUAGES[language], told_in, failed) for language, told_in in blocks.items()}
    failures = [*failed.values(), *(one for each in whole.values() for one in failures_in(each))]
    pages = {name: one.page for name, one in pictures.items() if isinstance(one, Picture)}
    files = _picture_files(pictures)
    for name, make in _makers(found, shared, patterns, whole, pages, spoken).items():
        try:
            files |= {free(one, files, name): data for one, data in make().items()}
        except Exception as error:  # the other files are still made
            failures.append(failure(name, error))
    return Built(files, list(dict.fromkeys(failures)))


def _with_results(tables: dict[str, pd.DataFrame], told: Mapping[str, Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """Return the tables with `summary`, its figures by layer, and `claims`, which measured tables alone and old ones lack."""
    if not {"summary", "claims"} <= tables.keys():
        tables = tables | analysis.results(tables, targets_of(told), analysis.declared_in(told))
    summary = tables["summary"]
    if "layers" in tables and not {*analysis.LAYER_FIGURES, *analysis.LAYER_NAMES} <= set(summary):
        inside = analysis.summarise_layers(tables["replicas"], tables["layers"])
        kept = [name for name in summary if name == "variant_id" or name not in inside]
        tables = tables | {"summary": summary[kept].merge(inside, on="variant_id", how="left")}
    return tables


def _charts(blocks: Mapping[str, Sequence[Block]]) -> list[AskedChart]:
    """Return the charts of the answers in every language."""
    return [
        AskedChart(one.name, language, one.panel)
        for language, told_in in blocks.items()
        for one in every(told_in)
        if isinstance(one, Chart)
    ]


def _picture_files(pictures: Mapping[str, Drawn]) -> dict[str, bytes]:
    """Return the files of the pictures that were drawn, in every format."""
    drawn = {name: one for name, one in pictures.items() if isinstance(one, Picture)}
    others = {f"{Path(name).stem}.{kind}": data for name, one in drawn.items() for kind, data in one.others}
    return {name: one.full for name, one in drawn.items()} | others


def _makers(
    tables: Mapping[str, pd.DataFrame],
    shared: Shared,
    patterns: Mapping[str, Mapping[str, str]],
    whole: Mapping[str, Sequence[Block]],
    pictures: Mapping[str, bytes],
    spoken: Mapping[str, Words],
) -> dict[str, Make]:
    """Return the functions that make the CSVs, `findings.json` and the pages, by the files' names."""
    makers: dict[str, Make] = {
        f"experiment_{name}*.csv": partial(_csvs, name, tables, [view.comparison for view in views], patterns[name])
        for name, views in shared.views.items()
    }
    makers["findings.json"] = partial(_findings, shared, spoken)
    for language, blocks in whole.items():
        makers[localised("report.md", language)] = partial(_text, language, blocks)
        makers[localised("report.html", language)] = partial(_page, language, blocks, pictures)
    return makers


def _csvs(
    experiment: str,
    tables: Mapping[str, pd.DataFrame],
    comparisons: Sequence[analysis.Comparison],
    patterns: Mapping[str, str],
) -> dict[str, bytes]:
    measured = tables["replicas"], tables["summary"]
    csvs = comparison_csvs(experiment, *measured, every=comparisons or None, patterns=patterns)
    return {name: rows.to_csv(index=False, lineterminator="\n").encode() for name, rows in csvs.items()}


def _findings(shared: Shared, spoken: Mapping[str, Words]) -> dict[str, bytes]:
    others = [words for language, words in spoken.items() if language != ENGLISH.language]
    views = [view for each in shared.views.values() for view in each]
    return {"findings.json": findings.records(views, others)}


def _text(language: str, blocks: Sequence[Block]) -> dict[str, bytes]:
    return {localised("report.md", language): markdown.render(blocks).encode()}


def _page(language: str, blocks: Sequence[Block], pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    return {localised("report.html", language): html.render(blocks, pictures, LANGUAGES[language]).encode()}


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
    """Make a report and write it into a folder; log each failure as a warning.

    Nothing is written before all files are made, and each file replaces an older file at once. The arguments are `build`'s.

    Raises:
        ReportError: a required table is missing, empty or lacks columns; a file would lie in another folder.
        OSError: the folder cannot be written.
    """
    built = build(tables, fields, manifest, workers=workers, drawn=drawn, languages=languages, formats=formats)
    folder = Path(results_dir)
    for name in built.files:
        if safe(name) != name:  # names come from tables and manifests, which anyone may have written
            raise ReportError(say("error.name", name=repr(name)))
    for name, data in built.files.items():
        write_atomically(folder / name, data)
    for one in built.failures:
        _LOG.warning(say("failure.line", name=one.name, error=one.error))
    return Written([folder / name for name in built.files], built.failures)
