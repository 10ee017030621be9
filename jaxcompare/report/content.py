"""The whole report as a list of blocks: summary first, then each comparison, then how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from jaxcompare import analysis
from jaxcompare.report.blocks import Block, Code, Heading, Items, Link, Note, Paragraph, Table
from jaxcompare.report.findings import leaders
from jaxcompare.report.sections import comparison_blocks, title
from jaxcompare.report.view import views
from jaxcompare.words import ENGLISH, Words, localised

TIMING = (
    *("program", "experiment", "replicas", "steps", "compile_seconds", "train_seconds", "evaluate_seconds"),
    *("wall_seconds", "replica_steps_per_second", "seconds_a_replica"),
)


def records(manifest: Mapping[str, Any], experiments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the manifest says of each experiment: its own entry, over `titles`, over what is said of all."""
    shared = {key: value for key, value in manifest.items() if key not in ("titles", "experiments")}
    parts = [manifest.get("titles") or {}, manifest.get("experiments") or {}]
    return {name: shared | dict(parts[0].get(name) or {}) | dict(parts[1].get(name) or {}) for name in experiments}


def targets_of(told: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """The target of each experiment, from its record."""
    return {name: about.get("target") for name, about in told.items()}


def content(
    tables: Mapping[str, pd.DataFrame],
    told: Mapping[str, Mapping[str, Any]],
    pictures: Mapping[str, list[str]],
    words: Words = ENGLISH,
    others: Sequence[Words] = (),
) -> list[Block]:
    """The report's blocks.

    `tables` must hold `summary`; `told` are `records`, `pictures` file names by experiment, `others` the languages that the
    report is in, too.
    """
    told = {name: {**about, **(about.get("words") or {}).get(words.language, {})} for name, about in told.items()}
    titles = {name: title(words, name, about) for name, about in told.items()}
    quick = ", ".join(titles[name] for name, about in told.items() if about.get("quick"))
    blocks: list[Block] = [Heading(1, words.say("report.title"), "top")]
    blocks += [
        Link(other.say("report.elsewhere"), localised("report", other.language), other.language) for other in others
    ]
    blocks += [Note(words.say("report.quick", names=quick))] if quick else []
    lines: list[str] = []
    sections: list[Block] = []
    for experiment, about in told.items():
        found = views(words, tables, experiment, targets_of(told), analysis.declared_in(told))
        lines += [line for view in found for line in leaders(view, titles[experiment])]
        sections += comparison_blocks(words, found, tables["history"], about, pictures.get(experiment, []))
    blocks += [Heading(2, words.say("report.summary"), "summary"), Paragraph(words.say("report.reading"))]
    blocks += [Items(tuple(lines)), *sections, *environment(words, told, titles)]
    if "timing" in tables and len(tables["timing"]):
        blocks += timing(words, tables["timing"])
    return [*blocks, *reproduce(words, told, titles)]


def _plain(value: object) -> str:
    """A value of the manifest as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {part}" for key, part in sorted(value.items()))
    return str(value)


def environment(words: Words, told: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> list[Block]:
    """Versions, device, start and data, as far as the manifest tells; a column an experiment where they differ."""
    facts = {
        name: {
            words.say(f"environment.{key}"): _plain(about[key])
            for key in ("device", "started", "code")
            if about.get(key) is not None
        }
        | {key: str(version) for key, version in sorted((about.get("versions") or {}).items())}
        for name, about in told.items()
    }
    none = words.say("number.none")
    keys = list(dict.fromkeys(key for one in facts.values() for key in one))
    same = all(one == next(iter(facts.values())) for one in facts.values())
    shown = list(facts)[:1] if same else list(facts)
    heads = [words.say("column.value")] if same else [titles[name] for name in shown]
    blocks: list[Block] = [Heading(2, words.say("report.environment"), "environment")]
    if keys:
        rows = tuple((key, *(facts[name].get(key, none) for name in shown)) for key in keys)
        blocks.append(Table("", (words.say("column.what"), *heads), rows))
    names = ("source", "digest", "train", "validation", "test")
    data = {  # a row a data set, and one more where comparisons made theirs in different ways
        (key, *(str(about.get(name, none)) for name in names)): None
        for one in told.values()
        for key, about in (one.get("data") or {}).items()
    }
    if data:
        body = tuple((words.level(key), *rest) for key, *rest in data)
        columns = (words.say("column.dataset"), *(words.say(f"column.{name}") for name in names))
        blocks.append(Table(words.say("report.data"), columns, body))
    return blocks


def timing(words: Words, table: pd.DataFrame) -> list[Block]:
    """What the clock said, program by program."""
    table = table.assign(seconds_a_replica=table["train_seconds"] / table["replicas"])
    columns = tuple(words.say(f"column.{name}") for name in TIMING)
    body = tuple(tuple(_figure(words, row[name]) for name in TIMING) for _, row in table.iterrows())
    note = Paragraph(words.say("report.timing_note"))
    return [Heading(2, words.say("report.timing"), "timing"), note, Table("", columns, body)]


def _figure(words: Words, value: object) -> str:
    """A cell: words as they are, whole numbers in full, others to three digits."""
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    if number != number:
        return words.say("number.none")
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 1000 else f"{number:.3g}"


def reproduce(words: Words, told: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> list[Block]:
    """The commands: those that trained, and the one that makes the report again."""
    blocks: list[Block] = [Heading(2, words.say("report.reproduce"), "reproduce")]
    commands = list(dict.fromkeys(str(about["command"]) for about in told.values() if about.get("command")))
    for command in commands:
        names = ", ".join(titles[name] for name, about in told.items() if about.get("command") == command)
        blocks += [Paragraph(words.say("report.reproduce_run", names=names)), Code(command)]
    return [*blocks, Paragraph(words.say("report.reproduce_report")), Code("python -m jaxcompare.report results/")]
