"""Common claims about fast training, and what this run measured of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from jaxcompare.report.blocks import Block, Heading, Paragraph
from jaxcompare.report.cells import number, table
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.programs import BYTES, seconds_of, short
from jaxcompare.words import Words

Pair = tuple[pd.Series, pd.Series]


def _pairs(programs: pd.DataFrame) -> list[Pair]:
    """Return programs that differ in their precision only: (16 bits, float32)."""
    pairs: list[Pair] = []
    for _, rows in programs.groupby("alike_precision", sort=False) if len(programs) else ():
        full, half = rows[rows["precision"] == "float32"], rows[rows["precision"] != "float32"]
        if len(full) == 1:
            pairs += [(row, full.iloc[0]) for _, row in half.iterrows()]
    return pairs


def _span(words: Words, ratios: list[tuple[str, float]], key: str, form: str) -> str:
    """Return `bfloat16: 0.9 to 1.1 times (3 pairs of programs)`, and so on for each precision."""
    texts = []
    for precision in dict.fromkeys(name for name, _ in ratios):
        numbers = [ratio for name, ratio in ratios if name == precision]
        low, high = (format(end, form) for end in (min(numbers), max(numbers)))
        span = low if low == high else words.say("claimed.span", low=low, high=high)
        texts.append(words.say(key, precision=words.level(precision), span=span, count=len(numbers)))
    return "; ".join(texts)


def memory(evidence: Evidence, programs: pd.DataFrame) -> str:
    """Return the bytes of compiled programs that differ in their precision only."""
    ratios = []
    for half, full in _pairs(programs) if set(BYTES) <= set(programs) else ():
        narrow, wide = (sum(float(row[name]) for name in BYTES) for row in (half, full))
        if narrow == narrow and wide > 0:
            ratios.append((half["precision"], narrow / wide - 1))
    return _span(evidence.words, ratios, "claimed.memory_measured", "+.0%")


def speed(evidence: Evidence, programs: pd.DataFrame) -> str:
    """Return the steps per second of programs that differ in their precision only."""
    words, name = evidence.words, "replica_steps_per_second"
    pairs = _pairs(programs)
    brief = [pair for pair in pairs if short(*pair)]
    ratios = [(half["precision"], half[name] / full[name]) for half, full in pairs if not short(half, full)]
    texts = [_span(words, ratios, "claimed.speed_measured", ".2f")] if ratios else []
    if brief:
        seconds = seconds_of(words, [row for pair in brief for row in pair])
        texts.append(words.say("claimed.speed_short", count=len(brief), seconds=seconds))
    return "; ".join(texts)


def devices(evidence: Evidence, programs: pd.DataFrame) -> str:
    """Return no text: a run uses one kind of device, so that no run measures this."""
    return ""


def compiling(evidence: Evidence, programs: pd.DataFrame) -> str:
    """Return the time of compilation, in which XLA chooses its kernels."""
    if programs.empty:
        return ""
    words = evidence.words
    seconds = {name: number(words, programs[f"{name}_seconds"].sum()) for name in ("compile", "train")}
    return words.say("claimed.compile_measured", **seconds)


CLAIMS: dict[str, Callable[[Evidence, pd.DataFrame], str]] = {
    "memory": memory,
    "speed": speed,
    "gpu": devices,
    "loading": devices,
    "autotuning": compiling,
    "cache": devices,
}


def claimed(evidence: Evidence) -> list[Block]:
    """Return the table: the claim, what this run measured or that it did not, and why."""
    words, programs = evidence.words, evidence.measured.programs
    unmeasured = words.say("claimed.not_measured")
    used = kinds(evidence.measured.told) or words.say("claimed.unknown_device")
    columns = {
        "claim": lambda name: words.say(f"claimed.{name}"),
        "measured": lambda name: CLAIMS[name](evidence, programs) or unmeasured,
        "why": lambda name: words.say(f"claimed.{name}_why", device=used),
    }
    return [
        Heading(2, words.say("report.claimed"), "claimed"),
        Paragraph(words.say("report.claimed_note")),
        table(words, CLAIMS, columns),
    ]


def kinds(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the kinds of devices that the experiments used."""
    devices = [about["device"] for about in told.values() if about.get("device")]
    names = (device.get("kind") if isinstance(device, Mapping) else device for device in devices)
    return ", ".join(dict.fromkeys(map(str, names)))
