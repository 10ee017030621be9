"""Tables on disk: written as Parquet and CSV, and merged with those of other comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CSV = ("summary", "claims", "history")  # for people; the bulk tables are Parquet alone unless asked


def write_tables(
    folder: Path, frames: Mapping[str, pd.DataFrame], fields: Mapping[str, np.ndarray], *, every_csv: bool = False
) -> None:
    """Write every table as Parquet (exact), some as CSV (five digits) too, and `fields.npz`.

    Args:
        folder: is created.
        frames: tables by name.
        fields: decision fields by name; no file without any.
        every_csv: write all tables as CSV, not `CSV` alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        with (folder / f"{name}.parquet").open("wb") as file:  # Arrow opens no path that is not in UTF-8
            frame.to_parquet(file, index=False)
        if every_csv or name in CSV:
            shown = frame
            if "counts" in frame:
                shown = frame.assign(counts=[" ".join(map(str, counts)) for counts in frame["counts"]])
            shown.to_csv(folder / f"{name}.csv", index=False, float_format=_five_digits)
    if fields:
        np.savez_compressed(folder / "fields.npz", **dict(fields))  # type: ignore[arg-type]


def _five_digits(value: Any) -> str:
    """Return a number to five digits; whole numbers, which are counts, in full."""
    number = float(value) + 0.0  # -0.0 is 0
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else f"{number:.5g}"


def merge(old: Mapping[str, pd.DataFrame], new: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the new tables, with the rows of those comparisons that only the old tables have."""
    kept = old["replicas"][~old["replicas"]["experiment"].isin(new["replicas"]["experiment"])]
    if kept.empty:
        return dict(new)
    merged = {}
    for name, frame in new.items():
        before = old.get(name)
        if before is not None:
            if "experiment" in before:
                before = before[before["experiment"].isin(kept["experiment"])]
            else:
                before = before[before["replica_id"].isin(kept["replica_id"])]
            parts = [part for part in (before, frame) if not part.empty]
            frame = pd.concat(parts, ignore_index=True) if parts else frame
        merged[name] = frame
    return merged
