"""What is often claimed of fast training, and what this run measured of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from jaxcompare.report.blocks import Block, Heading, Paragraph, Table
from jaxcompare.report.cells import number
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.programs import BYTES, seconds_of, short
from jaxcompare.words import Words


def _pairs(programs: pd.DataFrame) -> list[tuple[pd.Series, pd.Series]]:
    """Programs that differ in their precision only: (16 bits, float32)."""
    found = []
    for _, rows in programs.groupby("alike_precision", sort=False) if len(programs) else ():
        full, half = rows[rows["precision"] == "float32"], rows[rows["precision"] != "float32"]
        if len(full) == 1:
            found += [(row, full.iloc[0]) for _, row in half.iterrows()]
    return found


def _span(words: Words, values: dict[str, list[float]], key: str, form: str) -> str:
    """`bfloat16: 0.9 to 1.1 times (3 pairs of programs)`, and so on for each precision."""
    told = []
    for precision, numbers in values.items():
        low, high = (format(one, form) for one in (min(numbers), max(numbers)))
        span = low if low == high else words.say("claimed.span", low=low, high=high)
        told.append(words.say(key, precision=words.level(precision), span=span, count=len(numbers)))
    return "; ".join(told)


def memory(evidence: Evidence, programs: pd.DataFrame) -> str:
    """Bytes of compiled programs that differ in their precision only."""
    found: dict[str, list[float]] = {}
    for half, full in _pairs(programs) if set(BYTES) <= set(programs) else ():
        both = [sum(float(row[name]) for name in BYTES) for row in (half, full)]
        if both[0] == both[0] and both[1] > 0:
            found.setdefault(half["precision"], []).append(both[0] / both[1] - 1)
    return _span(evidence.words, found, "claimed.memory_measured", "+.0%")


def speed(evidence: Evidence, programs: pd.DataFrame) -> str:
    """Steps a second of programs that differ in their precision only."""
    words = evidence.words
    found: dict[str, list[float]] = {}
    pairs = _pairs(programs)
    brief = [pair for pair in pairs if short(*pair)]
    for half, full in pairs:
        if short(half, full):
            continue
        ratio = half["replica_steps_per_second"] / full["replica_steps_per_second"]
        found.setdefault(half["precision"], []).append(ratio)
    told = [_span(words, found, "claimed.speed_measured", ".2f")] if found else []
    if brief:
        seconds = seconds_of(words, [row for pair in brief for row in pair])
        told.append(words.say("claimed.speed_short", count=len(brief), seconds=seconds))
    return "; ".join(told)


def devices(evidence: Evidence, programs: pd.DataFrame) -> str:
    """Never within one run, which uses one kind of device."""
    return ""


def compiling(evidence: Evidence, programs: pd.DataFrame) -> str:
    """What compilation took, in which XLA chooses its kernels."""
    if programs.empty:
        return ""
    compiled, trained = programs["compile_seconds"].sum(), programs["train_seconds"].sum()
    words = evidence.words
    return words.say("claimed.compile_measured", compile=number(words, compiled), train=number(words, trained))


CLAIMS: dict[str, Callable[[Evidence, pd.DataFrame], str]] = {
    "memory": memory,
    "speed": speed,
    "gpu": devices,
    "loading": devices,
    "autotuning": compiling,
    "cache": devices,
}


def claimed(evidence: Evidence) -> list[Block]:
    """The table: claim, what this run measured or that it did not, and why."""
    words, programs = evidence.words, evidence.measured.programs
    unmeasured = words.say("claimed.not_measured")
    used = kinds(evidence.measured.told) or words.say("claimed.unknown_device")
    body = [
        (
            words.say(f"claimed.{name}"),
            measure(evidence, programs) or unmeasured,
            words.say(f"claimed.{name}_why", device=used),
        )
        for name, measure in CLAIMS.items()
    ]
    columns = tuple(words.say(f"column.{name}") for name in ("claim", "measured", "why"))
    return [
        Heading(2, words.say("report.claimed"), "claimed"),
        Paragraph(words.say("report.claimed_note")),
        Table("", columns, tuple(body)),
    ]


def kinds(told: Mapping[str, Mapping[str, Any]]) -> str:
    """The kinds of devices that were used."""
    found = [about["device"] for about in told.values() if about.get("device")]
    return ", ".join(dict.fromkeys(str(one.get("kind")) if isinstance(one, Mapping) else str(one) for one in found))
