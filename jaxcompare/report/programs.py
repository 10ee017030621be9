"""Times and bytes of each program, with the factors that all of its replicas share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxcompare import analysis
from jaxcompare.report.environment import BYTES, by_program
from jaxcompare.words import Words

__all__ = ["BYTES", "SHARED", "SHORT", "programs_of", "seconds_of", "short"]

SHARED = ("dataset", "optimizer", "batch_size", "precision", "remat")
SCALING = ("loss_scale_initial", "loss_scale_growth_interval", "loss_scale_factor", "loss_scale_floor")
SHORT = 2.0  # seconds of training: ratios of shorter times say little of speed
# Programs are alike in every factor except one, and those that follow from it.
ALIKE = {"batch": ("batch_size",), "precision": ("precision", *SCALING), "remat": ("remat",)}


def programs_of(
    timing: pd.DataFrame | None, replicas: pd.DataFrame, told: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Return `by_program` with the factors of each program, its tile and its speed.

    The factors in `SHARED` are None where replicas differ. `side_by_side` is the replicas of a tile, where the manifest says.
    `alike_*` holds the same text for programs that differ in that factor alone.
    """
    if timing is None or not len(timing) or "program" not in replicas:
        return pd.DataFrame()
    tiles = {
        (name, one.get("name")): one["tile"]["seeds"] * one["tile"]["variants"]
        for name, about in told.items()
        for one in about.get("programs") or ()
        if one.get("tile")
    }
    factors = analysis.factors(replicas)
    rows = []
    for _, row in by_program(timing).iterrows():
        mine = replicas[(replicas["experiment"] == row["experiment"]) & (replicas["program"] == row["program"])]
        if mine.empty:  # a program that only confirms
            continue
        known = {name: mine[name].iloc[0] if name in mine and mine[name].nunique() == 1 else None for name in SHARED}
        levels = {name: f"{name}={sorted(set(map(str, mine[name].unique())))}" for name in sorted(factors)}
        alike = {
            f"alike_{key}": _signature(mine, [text for name, text in levels.items() if name not in names])
            for key, names in ALIKE.items()
        }
        side = tiles.get((row["experiment"], row["program"]), np.nan)
        named = {str(name): value for name, value in row.items()}
        rows.append({**named, **known, **alike, "side_by_side": side, "study": mine["study"].iloc[0]})
    found = pd.DataFrame(rows)
    if found.empty:
        return found
    found["examples_per_second"] = found["replica_steps_per_second"] * found["batch_size"].astype(float)
    return found


def short(*rows: pd.Series) -> bool:
    """Return whether any of these programs trained too briefly to measure its speed: each is timed once."""
    return any(not row["train_seconds"] >= SHORT for row in rows)


def seconds_of(words: Words, rows: Sequence[pd.Series]) -> str:
    """Return the seconds that programs trained, from the shortest to the longest."""
    times = sorted(float(row["train_seconds"]) for row in rows)
    if any(map(math.isnan, times)):
        return words.say("number.none")
    low, high = (f"{one:.2g}" if one < 10 else f"{one:.0f}" for one in (times[0], times[-1]))
    return low if low == high else words.say("claimed.span", low=low, high=high)


def _signature(rows: pd.DataFrame, levels: Iterable[str]) -> str:
    """Return the levels of factors among replicas, and the number of seeds, as a text."""
    return f"{rows['experiment'].iloc[0]} {rows['study'].iloc[0]} {rows['seed'].nunique()} {'; '.join(levels)}"
