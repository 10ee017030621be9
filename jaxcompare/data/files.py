"""Custom data sets from files: NPZ, CSV, the sets that scikit-learn includes, and sets that TFDS has prepared."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcompare.config.errors import brief, shown
from jaxcompare.config.registry import nearest, reason, resolve
from jaxcompare.data import prepared
from jaxcompare.data.base import Array, DataError
from jaxcompare.data.sources import AbsentError

MOST_TEXTS = 100  # different texts of a column of inputs: each becomes a feature


class Place(NamedTuple):
    """Where files are searched."""

    folder: Path  # of relative paths
    prepared: tuple[Path, ...]  # folders of sets that TFDS has prepared, the first first


def npz(name: str, options: Mapping[str, Any], place: Place) -> Any:
    """Return the arrays of an NPZ file by their names."""
    path = _file(name, place)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds; a single array (.npy) is no context
        raise DataError(f"{path}: cannot be read as NPZ: {brief(reason(error))}") from error


def csv(name: str, options: Mapping[str, Any], place: Place) -> Any:
    """Return inputs and labels of a CSV file: each column but the label is an input, and a text an input of 0 or 1.

    Options are `label`, the column of the classes; `drop`, columns to leave out; `header`, whether the first line has the
    columns' names; `separator`. A column is a name, or a number that counts from 0, or from -1 for the last.
    """
    import pandas as pd  # takes a second to import

    header, separator = options.get("header", True), options.get("separator", ",")
    if not isinstance(header, bool):
        raise DataError(f"data_options.header = {shown(header)} is neither true nor false")
    if not isinstance(separator, str) or len(separator) != 1:
        raise DataError(f"data_options.separator = {shown(separator)} is not one sign, ';' for example")
    path = _file(name, place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a line with more cells than columns
            frame = pd.read_csv(
                path,
                sep=separator,
                header=0 if header else None,
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
                encoding="utf-8-sig",
            )
    except Exception as error:  # pandas raises a dozen kinds, of its own and of Python
        raise DataError(f"{path}: cannot be read as CSV: {brief(reason(error))}") from error
    if "label" not in options:
        columns = brief(", ".join(map(str, frame.columns)))
        raise DataError(f"data_options.label is missing, the column of the classes; the columns are {columns}")
    dropped = options.get("drop", [])
    unused = [_column(frame, one, "drop") for one in (dropped if isinstance(dropped, list) else [dropped])]
    label = _column(frame, options["label"], "label")
    if label in unused:
        raise DataError(f"data_options.drop = {shown(dropped)} has the label")
    frame = frame.drop(columns=unused)
    for column, rows in frame.isna().items():
        if rows.any():
            raise DataError(
                f"column {shown(column)} is empty or NaN in {rows.sum()} of {len(rows)} rows, first in row {rows.argmax()} "
                "(from 0); drop the column or fill it"
            )
    labels = frame.pop(label)
    return encoded(frame), labels.to_numpy()


def encoded(frame: Any) -> Array:
    """Return the columns of a data frame as inputs [N, D]: numbers first, then a column of 0 and 1 for each text."""
    import pandas as pd

    texts = [column for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
    for column in texts:
        count = frame[column].nunique()
        if count > MOST_TEXTS:
            raise DataError(
                f"column {shown(column)} has {count} different texts, {shown(str(frame[column].iloc[0]))} for example; it must "
                f"have at most {MOST_TEXTS}, or be in data_options.drop"
            )
    return (pd.get_dummies(frame, columns=texts) if texts else frame).to_numpy(np.float64)


def sklearn(name: str, options: Mapping[str, Any], place: Place) -> Any:
    """Return a set that scikit-learn includes, from its loader of this name."""
    return resolve(f"sklearn.datasets:{name}", {}, "dataset")()


def tfds(name: str, options: Mapping[str, Any], place: Place) -> Any:
    """Return the splits of a set that TFDS has prepared on this machine; nothing is downloaded."""
    tried = []
    for folder in place.prepared:
        try:
            return prepared.read_splits(folder, name)
        except AbsentError as error:
            tried.append(f"{folder} ({error})")
    raise DataError(
        f"no set of this name is prepared in {', '.join(tried)}; $TFDS_DATA_DIR or --data-dir name a folder"
    )


SOURCES: dict[str, Callable[[str, Mapping[str, Any], Place], Any]] = {
    "npz": npz,
    "csv": csv,
    "sklearn": sklearn,
    "tfds": tfds,
}


def _file(name: str, place: Place) -> Path:
    """Return the path of a file; raise DataError where there is none, with the closest name beside it."""
    path = place.folder / os.path.expanduser(name)
    try:
        if path.is_file():
            return path
        beside = sorted(one.name for one in path.parent.iterdir() if one.suffix == path.suffix)
    except FileNotFoundError:
        beside = []
    except (OSError, ValueError) as error:  # a name that no file can have, a folder that cannot be read
        raise DataError(f"{brief(str(path))}: cannot be read: {getattr(error, 'strerror', error)}") from error
    near = nearest(path.name, beside) if beside else f"its folder has no {path.suffix or 'such'} file"
    raise DataError(f"there is no file {brief(str(path))}; {near}")


def _column(frame: Any, column: Any, option: str) -> Any:
    """Return the name of a column, which may be given by its number."""
    columns = list(frame.columns)
    if column in columns and not isinstance(column, bool):
        return column
    if isinstance(column, int) and not isinstance(column, bool) and -len(columns) <= column < len(columns):
        return columns[column]
    known = nearest(str(column), map(str, columns))
    raise DataError(f"data_options.{option} = {shown(column)}: there is no such column; {known}")
