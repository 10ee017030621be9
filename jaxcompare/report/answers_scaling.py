"""A question about optimizers: how they scale on the device, by the times and bytes measured of each program."""

from __future__ import annotations

import pandas as pd

from jaxcompare.plots import style
from jaxcompare.plots.charts import Bar, Bars, Sheet
from jaxcompare.report.answer_parts import chart
from jaxcompare.report.blocks import Block, Chart, Items
from jaxcompare.report.cells import each, levels, number, numbers, size, table
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.programs import BYTES, SHARED, SHORT, seconds_of, short
from jaxcompare.report.records import title


def scaling(evidence: Evidence) -> list[Block]:
    """Answer how each optimizer scales on the device with replicas and batch, from the times of each program."""
    words = evidence.words
    programs = evidence.measured.programs
    if programs.empty:
        return []
    kept = programs["experiment"].isin(evidence.measured.comparing("optimizer"))
    for alike, factor in (("alike_batch", "batch_size"), ("alike_remat", "remat")):
        kept |= programs.groupby(alike)[factor].transform("nunique") > 1
    programs = programs[kept]
    if programs.empty:
        return []
    keys = [name for name in SHARED if programs[name].nunique(dropna=False) > 1 or name == "optimizer"]
    names = ("side_by_side", "train_seconds", "replica_steps_per_second", "examples_per_second", "compile_seconds")
    columns = levels(words, keys) | {"replicas": lambda row: f"{row['replicas']:,}"}
    columns |= numbers(words, {name: name for name in names})
    columns |= each(BYTES, lambda row, name: size(words, row[name])) if set(BYTES) <= set(programs) else {}
    shown = table(words, programs, columns, factors=keys)
    texts = [*_by_batch(evidence, programs), *_replicas(evidence, programs), *_remat(evidence, programs)]
    return [Items(tuple(texts)), shown, _speed_chart(evidence, programs)]


def _by_batch(evidence: Evidence, programs: pd.DataFrame) -> list[str]:
    """Return how examples per second grow from the smallest batch to the largest, for programs otherwise alike."""
    words, texts = evidence.words, []
    for _, rows in programs.groupby("alike_batch", sort=False):
        ordered = rows.sort_values("batch_size")
        if ordered["batch_size"].nunique() < 2:
            continue
        low, high = ordered.iloc[0], ordered.iloc[-1]
        values = {
            "seconds": seconds_of(words, (low, high)),
            "name": words.level(low["optimizer"]),
            "where": words.level(low["dataset"]),
            "low": f"{low['batch_size']:g}",
            "high": f"{high['batch_size']:g}",
            "times": number(words, high["batch_size"] / low["batch_size"]),
            "faster": number(words, high["examples_per_second"] / low["examples_per_second"]),
        }
        texts.append(words.say(f"answer.scaling_batch{'_short' if short(low, high) else ''}", **values))
    return texts or [words.say("answer.scaling_no_batch")]


def _replicas(evidence: Evidence, programs: pd.DataFrame) -> list[str]:
    counts = sorted({int(value) for value in programs["side_by_side"].dropna()})
    words = evidence.words
    if not counts:
        return [words.say("answer.scaling_replicas_unknown")]
    return [words.say("answer.scaling_replicas", counts=", ".join(map(str, counts)))]


def _remat(evidence: Evidence, programs: pd.DataFrame) -> list[str]:
    """Return what it costs, and saves, to recompute activations."""
    words, texts = evidence.words, []
    if "temporary_bytes" not in programs:
        return []
    for _, rows in programs.groupby("alike_remat", sort=False):
        on, off = (rows[rows["remat"].astype(str) == text] for text in ("True", "False"))
        if len(on) != 1 or len(off) != 1:
            continue
        kept, recomputed = off.iloc[0], on.iloc[0]
        values = {
            "name": evidence.name(kept, ("optimizer", "precision")),
            "seconds": seconds_of(words, (kept, recomputed)),
        }
        values |= {"bytes": number(words, recomputed["temporary_bytes"] / kept["temporary_bytes"])}
        values |= {"speed": number(words, recomputed["replica_steps_per_second"] / kept["replica_steps_per_second"])}
        texts.append(words.say(f"answer.scaling_remat{'_short' if short(kept, recomputed) else ''}", **values))
    return texts


def _speed_chart(evidence: Evidence, programs: pd.DataFrame) -> Chart:
    """Return a chart of examples per second: a panel per study, a bar per program, named by the factors that vary."""
    words = evidence.words
    colours = style.colours_of(programs["optimizer"])
    groups = programs.groupby(["experiment", "study", "dataset"], sort=False)
    panels = []
    for place, rows in groups:
        experiment, study, dataset = map(str, place)
        keys = [name for name in SHARED[1:] if rows[name].nunique(dropna=False) > 1] or ["optimizer"]
        ordered = rows.sort_values("batch_size", kind="stable")
        bars = tuple(
            Bar(
                ", ".join(words.value(row[key], key) for key in keys),
                float(row["examples_per_second"]),
                colours[row["optimizer"]],
                pale=short(row),
            )
            for _, row in ordered.iterrows()
        )
        name = title(words, experiment, evidence.measured.told.get(experiment, {}))
        where = words.say("report.study", dataset=words.level(dataset), study=words.level(study, "study"))
        panels.append(Bars(words.say("answer.where", title=name, where=where), "", bars))
    note = words.say("chart.once", seconds=SHORT)
    keyed = tuple((words.level(name), colours[name]) for name in dict.fromkeys(programs["optimizer"]))
    sheet = Sheet(words.say("chart.scaling"), note, tuple(panels), words.say("axis.examples_per_second"), keyed)
    return chart(evidence, "scaling", sheet)
