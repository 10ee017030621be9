"""Tables to pictures, comparison CSVs and the report, as Markdown and as one HTML page.

`build` makes every file in memory; `write` alone touches the disk, and only once all of them are made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxcompare import analysis, plots
from jaxcompare.plots import charts
from jaxcompare.plots.style import for_page, vector
from jaxcompare.report import findings, html, markdown, view
from jaxcompare.report.blocks import Chart, every
from jaxcompare.report.content import content
from jaxcompare.report.draw import Asked, Background, Picture, draw_all, names_of
from jaxcompare.report.read import REQUIRED, ReportError, check, read_fields, read_manifest, read_tables
from jaxcompare.report.records import records, targets_of
from jaxcompare.report.views import comparison_csvs
from jaxcompare.words import ENGLISH, LANGUAGES, localised, speaking

__all__ = ["Background", "ReportError", "build", "read_fields", "read_manifest", "read_tables", "write"]


def build(
    tables: Mapping[str, pd.DataFrame],
    fields: Mapping[str, np.ndarray] | None = None,
    manifest: Mapping[str, Any] | None = None,
    *,
    workers: int = 1,
    drawn: Mapping[Asked, Picture] | None = None,
    languages: Sequence[str] = tuple(LANGUAGES),
    formats: Sequence[str] = ("png",),
) -> dict[str, bytes]:
    """Every file of a report by its name: pictures, comparison CSVs, `findings.json`, `report.md`, `report.html`.

    Pictures and report are made in each of `languages`; those that are not English have it in their names (`report.ko.md`).

    `tables` are those of `docs/tables.md`, of which `replicas` and `history` are needed; `summary` is computed where it
    is missing. The manifest has a record for each experiment under `experiments` (or `titles`), and may say once what
    holds for all: title, question, protocol, target, quick, command, started, device, code, versions, data. A missing
    key only leaves out what it would have told. Pictures in `drawn` are taken as they are. Raises ReportError.
    """
    found = {name: table for name, table in tables.items() if name in REQUIRED or len(table)}
    arrays = dict(fields or {})
    check(found)
    told = records(manifest or {}, found["replicas"]["experiment"].unique())
    targets, declared = targets_of(told), analysis.declared_in(told)
    if not {"summary", "claims"} <= found.keys():  # from before they were kept, or measured tables alone
        found |= analysis.results(found, targets, declared)
    inside = analysis.summarise_layers(found["replicas"], found["layers"]) if "layers" in found else None
    names = names_of(found, arrays)
    pictures = draw_all(found, arrays, workers, drawn, languages, formats)
    files = {name: picture.full for name, picture in pictures.items()}
    for name, picture in pictures.items():
        files |= {f"{name.removesuffix('.png')}.{kind}": data for kind, data in picture.others}
    for experiment in names:
        for name, rows in comparison_csvs(experiment, found["replicas"], found["summary"], inside).items():
            files[name] = rows.to_csv(index=False, lineterminator="\n").encode()
    views = [one for name in names for one in view.views(ENGLISH, found, name, targets, declared)]
    files["findings.json"] = findings.records(views)
    pages = {name: picture.page for name, picture in pictures.items()}
    for language in languages:
        words = LANGUAGES[language]
        others = [LANGUAGES[other] for other in languages if other != language]
        blocks = content(found, told, names, words, others)
        with speaking(words):
            figures = {one.name: charts.draw(one.panel) for one in every(blocks) if isinstance(one, Chart)}
            drawings = {name: plots.png(figure) for name, figure in figures.items()}
            for kind in (kind for kind in formats if kind != "png"):
                files |= {
                    f"{name.removesuffix('.png')}.{kind}": vector(figure, kind) for name, figure in figures.items()
                }
        files |= drawings
        shown = pages | {name: for_page(picture) for name, picture in drawings.items()}
        files[localised("report.md", language)] = markdown.render(blocks).encode()
        files[localised("report.html", language)] = html.render(blocks, shown, words).encode()
    return files


def write(
    results_dir: Path | str,
    tables: Mapping[str, pd.DataFrame],
    fields: Mapping[str, np.ndarray] | None = None,
    manifest: Mapping[str, Any] | None = None,
    *,
    workers: int = 1,
    drawn: Mapping[Asked, Picture] | None = None,
    languages: Sequence[str] = tuple(LANGUAGES),
    formats: Sequence[str] = ("png",),
) -> list[Path]:
    """Draws, tells and writes a report into a folder; returns the paths of its files.

    Nothing is written before everything is made, and each file replaces an older one at once. Raises ReportError, and
    OSError where the folder cannot be written.
    """
    files = build(tables, fields, manifest, workers=workers, drawn=drawn, languages=languages, formats=formats)
    folder = Path(results_dir)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, data in files.items():
        partial = folder / f".{name}.partial"
        partial.write_bytes(data)
        os.replace(partial, folder / name)
        paths.append(folder / name)
    return paths
