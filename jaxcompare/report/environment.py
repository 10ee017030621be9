"""Where and how a run was made: environment, data, timing, and the commands that repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import pandas as pd

from jaxcompare.report.blocks import Block, Code, Details, Heading, Note, Paragraph, Table
from jaxcompare.report.cells import Cell, each, number, numbers, size, table
from jaxcompare.system.memory import spell_bytes
from jaxcompare.words import Words

SECONDS = ("compile_seconds", "train_seconds", "evaluate_seconds")
TIMING = (
    *("program", "experiment", "replicas", "steps", *SECONDS),
    *("wall_seconds", "replica_steps_per_second", "seconds_a_replica"),
)
MOST_CLASSES = 12  # whose names the report lists
DIGEST = 12  # signs of a digest that the report shows; the manifest has all
BYTES = ("argument_bytes", "temporary_bytes")
APART = ("driver", "cuda", "memory", "host_memory")  # of the device's record: they have rows of their own
Told = Mapping[str, Mapping[str, Any]]


def _plain(words: Words, value: object) -> str:
    """Return a value of the manifest as text."""
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
    """Return the known facts of an experiment's run, by their names in words."""
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
    if timing is not None and len(timing):
        found |= {key: number(words, _total(timing[key])) for key in SECONDS}
    if about.get("code") is not None:
        found["code"] = str(about["code"])[:DIGEST]
    named = {words.say(f"environment.{key}"): text for key, text in found.items()}
    return named | {key: str(version) for key, version in sorted((about.get("versions") or {}).items())}


def environment(
    words: Words, told: Told, titles: Mapping[str, str], tables: Mapping[str, pd.DataFrame] | None = None
) -> list[Block]:
    """Return device, driver, versions, precision, time and memory where known; a column per experiment where they differ."""
    tables = tables or {}
    empty = pd.DataFrame({"experiment": []})
    facts = {}
    for name, about in told.items():
        every = (tables.get(key, empty) for key in ("replicas", "timing"))
        facts[name] = facts_of(words, about, *(rows[rows["experiment"] == name] for rows in every))
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
    """Return source, classes, split and warnings of the data; a data set that comparisons made differently has two rows."""
    none = words.say("number.none")
    names = ("source", "digest", "train", "validation", "test")
    every = [(key, about) for one in told.values() for key, about in (one.get("data") or {}).items()]
    data = [
        {name: str(about.get(name, none))[: DIGEST if name == "digest" else None] for name in names}
        | {"dataset": key, "classes": _classes(about.get("classes")) or none}
        for key, about in every
    ]
    columns: dict[str, Cell] = {"dataset": lambda row: words.level(row["dataset"])}
    listed = any(about.get("classes") for _, about in every)  # older manifests have no classes
    columns |= {name: itemgetter(name) for name in (*names, *(["classes"] if listed else []))}
    warned = dict.fromkeys(_warning(words, key, one) for key, about in every for one in about.get("warnings") or ())
    tables = [table(words, pd.DataFrame(data).drop_duplicates(), columns, words.say("report.data"))] if data else []
    return [*tables, *map(Note, warned)]


def _classes(names: Sequence[str] | None) -> str:
    """Return the names of few classes, and the number of many."""
    return ", ".join(names or ()) if len(names or ()) <= MOST_CLASSES else str(len(names or ()))


def _warning(words: Words, dataset: str, warned: Mapping[str, Any]) -> str:
    values = dict(warned["values"])
    if "split" in values:
        values["split"] = words.say(f"column.{values['split']}")
    return words.say(warned["key"], dataset=words.level(dataset), **values)


def _total(parts: pd.Series) -> float:
    """Return the sum; NaN where a part is not known."""
    return float(pd.to_numeric(parts).sum(skipna=False))


def by_program(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `timing` with a row per program: the times of its tiles add up, over places that train at the same time.

    Bytes are the maximum over the tiles. `seconds_a_replica` is the training time divided by the replicas.
    """
    known = {name: pd.to_numeric(rows[name]) for name in BYTES if name in rows}  # None where a compiler does not say
    work = rows.assign(work=rows["replicas"] * rows["steps"], **known)
    sums = {name: (name, _total) for name in ("replicas", *SECONDS, "wall_seconds", "work")}
    most = {name: (name, "max") for name in ("steps", *BYTES) if name in rows}
    found = work.groupby(["experiment", "program"], sort=False).agg(**sums, **most).reset_index()
    found["replica_steps_per_second"] = found["work"] / found["wall_seconds"]
    found["seconds_a_replica"] = found["train_seconds"] / found["replicas"]
    return found.drop(columns="work")


def timing(words: Words, rows: pd.DataFrame) -> list[Block]:
    """Return the times of each program, folded."""
    programs = by_program(rows)
    columns = numbers(words, {name: name for name in TIMING})
    columns |= each((name for name in BYTES if name in programs), lambda row, name: size(words, row[name]))
    folded = Details(words.say("report.timing_rows", count=len(programs)), (table(words, programs, columns),))
    return [Heading(2, words.say("report.timing"), "timing"), Paragraph(words.say("report.timing_note")), folded]


def reproduce(words: Words, told: Told, titles: Mapping[str, str]) -> list[Block]:
    """Return the commands that trained, and the command that remakes the report."""
    blocks: list[Block] = [Heading(2, words.say("report.reproduce"), "reproduce")]
    commands = list(dict.fromkeys(str(about["command"]) for about in told.values() if about.get("command")))
    for command in commands:
        names = ", ".join(titles[name] for name, about in told.items() if about.get("command") == command)
        blocks += [Paragraph(words.say("report.reproduce_run", names=names)), Code(command)]
    folder = next((str(about["out"]) for about in told.values() if about.get("out")), "results")
    again = f"python -m jaxcompare.report {shlex.quote(folder)}"
    return [*blocks, Paragraph(words.say("report.reproduce_report")), Code(again)]
