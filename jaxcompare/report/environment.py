"""Where and how a run was made: environment, data, timing, and the commands that make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from jaxcompare.report.blocks import Block, Code, Details, Heading, Paragraph, Table
from jaxcompare.report.cells import number, size
from jaxcompare.system.memory import spell_bytes
from jaxcompare.words import Words

SECONDS = ("compile_seconds", "train_seconds", "evaluate_seconds")
TIMING = (
    *("program", "experiment", "replicas", "steps", *SECONDS),
    *("wall_seconds", "replica_steps_per_second", "seconds_a_replica"),
)
DIGEST = 12  # signs that are shown of one; the manifest has it whole
BYTES = ("argument_bytes", "temporary_bytes")
APART = ("driver", "cuda", "memory", "host_memory")  # of the device's record: they have rows of their own
Told = Mapping[str, Mapping[str, Any]]


def _plain(words: Words, value: object) -> str:
    """A value of the manifest as text."""
    if isinstance(value, Mapping):
        kept = [key for key in sorted(value) if key not in APART and value[key] not in (None, "None")]
        named = ((words.catalogue.get(f"device.{key}") or str(key).replace("_", " "), value[key]) for key in kept)
        return ", ".join(f"{name} {_plain(words, part)}" for name, part in named)
    return str(value)


def _date(words: Words, text: object) -> str:
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return words.say("number.date", when=when, zone=when.tzname() or "").strip()


def _memory(words: Words, found: Mapping[str, int] | None) -> str:
    if not found:
        return words.say("claimed.not_measured")
    return "; ".join(words.say(f"memory.{name}", size=spell_bytes(int(size))) for name, size in found.items() if size)


def facts_of(
    words: Words, about: Mapping[str, Any], replicas: pd.DataFrame, timing: pd.DataFrame | None
) -> dict[str, str]:
    """What is known of one experiment's run, by its name in words."""
    found: dict[str, str] = {}
    device = about.get("device")
    if device is not None:
        found["device"] = _plain(words, device)
    if isinstance(device, Mapping):
        on_host = device.get("platform") == "cpu"
        missing = words.say("environment.not_used" if on_host else "claimed.not_measured")
        found |= {key: str(device[key] or missing) for key in ("driver", "cuda") if key in device}
        memories = ("host_memory",) if on_host else ("memory", "host_memory")
        found |= {key: _memory(words, device[key]) for key in memories if key in device}
    if about.get("started") is not None:
        found["started"] = _date(words, about["started"])
    for key in ("precision", "matmul_precision"):
        if key in replicas:
            found[key] = ", ".join(words.level(value, key) for value in replicas[key].dropna().unique())
    for key in SECONDS:
        if timing is not None and len(timing):
            found[key] = number(words, timing[key].sum())
    if about.get("code") is not None:
        found["code"] = str(about["code"])[:DIGEST]
    named = {words.say(f"environment.{key}"): text for key, text in found.items()}
    return named | {key: str(version) for key, version in sorted((about.get("versions") or {}).items())}


def environment(
    words: Words, told: Told, titles: Mapping[str, str], tables: Mapping[str, pd.DataFrame] | None = None
) -> list[Block]:
    """Device, driver, versions, precision, time and memory as far as they are known; a column an experiment if they differ."""
    tables = tables or {}
    empty = pd.DataFrame({"experiment": []})
    facts = {}
    for name, about in told.items():
        mine = {
            key: table[table["experiment"] == name]
            for key in ("replicas", "timing")
            for table in [tables.get(key, empty)]
        }
        facts[name] = facts_of(words, about, mine["replicas"], mine["timing"])
    none = words.say("number.none")
    keys = list(dict.fromkeys(key for one in facts.values() for key in one))
    same = all(one == next(iter(facts.values())) for one in facts.values())
    shown = list(facts)[:1] if same else list(facts)
    heads = [words.say("column.value")] if same else [titles[name] for name in shown]
    blocks: list[Block] = [Heading(2, words.say("report.environment"), "environment")]
    if keys:
        rows = tuple((key, *(facts[name].get(key, none) for name in shown)) for key in keys)
        blocks.append(Table("", (words.say("column.what"), *heads), rows))
    return [*blocks, *data_sets(words, told)]


def data_sets(words: Words, told: Told) -> list[Block]:
    """Where the data came from, and how they were split; twice where comparisons made theirs in different ways."""
    none = words.say("number.none")
    names = ("source", "digest", "train", "validation", "test")
    data = {
        (key, *(str(about.get(name, none))[: DIGEST if name == "digest" else None] for name in names)): None
        for one in told.values()
        for key, about in (one.get("data") or {}).items()
    }
    if not data:
        return []
    body = tuple((words.level(key), *rest) for key, *rest in data)
    columns = (words.say("column.dataset"), *(words.say(f"column.{name}") for name in names))
    return [Table(words.say("report.data"), columns, body)]


def by_program(table: pd.DataFrame) -> pd.DataFrame:
    """`timing` with a row a program: its groups of tiles train one after the other, so what they took adds up.

    Bytes are the most of its groups. `seconds_a_replica` is the training time over the replicas.
    """
    known = {name: pd.to_numeric(table[name]) for name in BYTES if name in table}  # None where a compiler does not say
    work = table.assign(work=table["replicas"] * table["steps"], **known)
    sums = {name: (name, "sum") for name in ("replicas", *SECONDS, "wall_seconds", "work")}
    most = {name: (name, "max") for name in ("steps", *BYTES) if name in table}
    found = work.groupby(["experiment", "program"], sort=False).agg(**sums, **most).reset_index()
    found["replica_steps_per_second"] = found["work"] / found["wall_seconds"]
    found["seconds_a_replica"] = found["train_seconds"] / found["replicas"]
    return found.drop(columns="work")


def timing(words: Words, table: pd.DataFrame) -> list[Block]:
    """What the clock said, program by program, folded away."""
    found = by_program(table)
    names = (*TIMING, *(name for name in BYTES if name in found))
    body = tuple(
        tuple(size(words, row[name]) if name in BYTES else number(words, row[name]) for name in names)
        for _, row in found.iterrows()
    )
    columns = tuple(words.say(f"column.{name}") for name in names)
    rows = Details(words.say("report.timing_rows", count=len(body)), (Table("", columns, body),))
    return [Heading(2, words.say("report.timing"), "timing"), Paragraph(words.say("report.timing_note")), rows]


def reproduce(words: Words, told: Told, titles: Mapping[str, str]) -> list[Block]:
    """The commands: those that trained, and the one that makes the report again."""
    blocks: list[Block] = [Heading(2, words.say("report.reproduce"), "reproduce")]
    commands = list(dict.fromkeys(str(about["command"]) for about in told.values() if about.get("command")))
    for command in commands:
        names = ", ".join(titles[name] for name, about in told.items() if about.get("command") == command)
        blocks += [Paragraph(words.say("report.reproduce_run", names=names)), Code(command)]
    folder = next((str(about["out"]) for about in told.values() if about.get("out")), "results")
    again = f"python -m jaxcompare.report {shlex.quote(folder)}"
    return [*blocks, Paragraph(words.say("report.reproduce_report")), Code(again)]
