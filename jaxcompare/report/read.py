"""Tables, fields and manifest of a run, read and checked before anything is written."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from pandas.api.types import is_hashable, is_numeric_dtype

from jaxcompare.analysis import FIGURES, STEPS
from jaxcompare.analysis.pairs import COLUMNS as CLAIMS
from jaxcompare.config.errors import InputError
from jaxcompare.system import manifest
from jaxcompare.words import say

BEST = ("best_validation_accuracy", "test_accuracy_at_best")  # derived from the other figures
MEASURED = tuple(name for name in FIGURES if name not in BEST)
# The tables that a report needs, and their columns that are read by name.
REQUIRED: dict[str, tuple[str, ...]] = {
    "replicas": (
        *("replica_id", "variant_id", "experiment", "study", "label", "dataset", "learning_rate", "seed"),
        *("steps_per_epoch", "first_nonfinite_step", "chance_accuracy", "validation_examples"),
        *("train_subset", "data_digest"),
    ),
    "history": ("replica_id", "epoch", "step", "examples", *MEASURED),
}
# Tables that may be missing, but not without these columns.
OPTIONAL: dict[str, tuple[str, ...]] = {
    "layers": ("replica_id", "epoch", "layer", "layer_index", "gradient_norm", "update_ratio", "dead_fraction"),
    "histograms": ("replica_id", "epoch", "layer", "kind", "low", "high", "below", "above", "counts"),
    "timing": (
        *("program", "experiment", "replicas", "steps", "compile_seconds", "train_seconds", "evaluate_seconds"),
        *("wall_seconds", "replica_steps_per_second"),
    ),
    "summary": (
        *("variant_id", "experiment", "study", "dataset", "n", "n_diverged", "n_stuck", "n_failed", "reached"),
        *(f"{figure}_{part}" for figure in FIGURES for part in ("mean", "low", "high", "median")),
        *(f"{name}_median" for name in STEPS),
    ),
    "claims": CLAIMS,
}
TEXTS = {"replica_id", "variant_id", "experiment", "study", "label", "dataset", "data_digest"}  # columns of texts
BROKEN = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, OverflowError, MemoryError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, pyarrow.ArrowException),
)


class ReportError(InputError):
    """The results cannot be reported; its text is for the user."""


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return every table under `folder/tables` by name.

    Raises:
        ReportError: a required table is missing or broken, or a table is not the one whose digest the manifest has.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReportError(say("error.folder", folder=folder))
    digests = _digests(folder)
    named = [Path(name) for name in digests if Path(name).match("tables/*.parquet")]
    tables = {}
    for path in named or [path.relative_to(folder) for path in sorted((folder / "tables").glob("*.parquet"))]:
        try:  # Arrow opens no path that is not in UTF-8
            tables[path.stem] = pd.read_parquet(io.BytesIO(_whole(folder, path, digests)))
        except BROKEN as error:
            raise ReportError(say("error.broken", name=folder / path, reason=error)) from error
    check(tables, folder)
    return tables


def _digests(folder: Path) -> dict[str, str]:
    return manifest.digests_of(read_manifest(folder)) if (folder / manifest.MANIFEST).exists() else {}


def _whole(folder: Path, name: Path, digests: Mapping[str, str]) -> bytes:
    """Return a file's content; raise ReportError where its digest is another one."""
    content, wanted = (folder / name).read_bytes(), digests.get(name.as_posix())
    if wanted is not None and manifest.sha256(content) != wanted:
        raise ReportError(say("error.changed", name=folder / name))
    return content


def check(tables: dict[str, pd.DataFrame], folder: Path | str = "") -> None:
    """Raise ReportError unless the required tables are there, with rows and the columns read by name, of texts or numbers."""
    for name in REQUIRED:
        if name not in tables:
            raise ReportError(say("error.tables", folder=folder, name=f"tables/{name}.parquet"))
        if tables[name].empty:
            raise ReportError(say("error.empty", name=name))
    for name, columns in (REQUIRED | OPTIONAL).items():
        for column in columns if name in tables and len(tables[name]) else ():
            if column not in tables[name]:
                raise ReportError(say("error.columns", name=name, column=column))
    for name, columns in REQUIRED.items():
        for column in columns:
            values = tables[name][column]
            if not (_texts(values) if column in TEXTS else is_numeric_dtype(values)):
                raise ReportError(say("error.values", name=name, column=column))


def _texts(values: pd.Series) -> bool:
    return all(isinstance(value, str) for value in values.unique()) if is_hashable(values.iloc[0]) else False


def read_fields(folder: Path) -> dict[str, np.ndarray]:
    """Return the decision fields under `folder/tables`; empty where none were kept."""
    folder, name = Path(folder), Path("tables", "fields.npz")
    digests = _digests(folder)
    if name.as_posix() not in digests and (digests or not (folder / name).exists()):
        return {}
    try:
        with np.load(io.BytesIO(_whole(folder, name, digests)), allow_pickle=False) as kept:
            return dict(kept)
    except BROKEN as error:
        raise ReportError(say("error.broken", name=folder / name, reason=error)) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the run's manifest; raise ReportError where it is missing or is not a JSON object."""
    try:
        return manifest.read_manifest(Path(folder))
    except FileNotFoundError as error:
        raise ReportError(say("error.tables", folder=folder, name=manifest.MANIFEST)) from error
    except BROKEN as error:
        raise ReportError(say("error.broken", name=Path(folder) / manifest.MANIFEST, reason=error)) from error
