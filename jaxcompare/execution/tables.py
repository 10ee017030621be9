"""Measurements as tidy tables (docs/tables.md): arrays in, data frames out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare.components import activations
from jaxcompare.config.comparison import Comparison, Study, Variant, spell
from jaxcompare.config.settings import KEYS, OPTION_TABLES
from jaxcompare.engine.segment import HISTOGRAM_BINS
from jaxcompare.planning import material
from jaxcompare.planning.cadence import (
    FIELD,
    Arrays,
    evaluated_epochs,
    histogram_counts,
    histogram_ranges,
    layer_epochs,
    snapshot_epochs,
)
from jaxcompare.planning.networks import LayerShape, layers, parameters
from jaxcompare.planning.programs import Tile

TIMING = [
    "program", "experiment", "replicas", "steps", "compile_seconds", "train_seconds", "evaluate_seconds",
    "wall_seconds", "replica_steps_per_second", "tile_replicas", "argument_bytes", "temporary_bytes",
]  # fmt: skip
NO_COLUMNS = ("seeds", "first_seed", "data_options")  # settings that are no column of `replicas`
UNCERTAIN = [
    "train_seconds",
    "evaluate_seconds",
    "argument_bytes",
    "temporary_bytes",
]  # of `TIMING`; not known everywhere


class Tables(NamedTuple):
    """All tables of a run."""

    frames: dict[str, pd.DataFrame]
    fields: dict[str, np.ndarray]


def build(comparison: Comparison, measured: Sequence[tuple[Tile, Arrays]]) -> Tables:
    """Return every table of measurements, the replicas in the order of the config.

    Args:
        comparison: that was trained.
        measured: its tiles with their arrays by name, each [E, S, V, ...] or [S, V, ...], without padding.
    """
    makers = {"history": _history, "layers": _layers, "units": _units, "histograms": _histograms}
    studies = {study.name: study for study in comparison.studies}
    replicas = [row for tile, arrays in measured for row in _replica_rows(tile, arrays, studies[tile.program.study])]
    variants = [variant for study in comparison.studies for variant in study.variants]
    order = {variant.variant_id: index for index, variant in enumerate(variants)}
    table = pd.DataFrame(replicas)
    table = table.sort_values("seed", kind="stable").sort_values(
        "variant_id", kind="stable", key=lambda ids: ids.map(order)
    )
    place = {replica: index for index, replica in enumerate(table["replica_id"])}
    frames = {"replicas": table.reset_index(drop=True)}
    for name, make in makers.items():
        whole = pd.concat([make(tile, arrays) for tile, arrays in measured], ignore_index=True)
        frames[name] = whole.sort_values("replica_id", kind="stable", key=lambda ids: ids.map(place), ignore_index=True)
    timing = [json.loads(str(arrays["timing"])) for _, arrays in measured if "timing" in arrays]
    frames["timing"] = pd.DataFrame(timing, columns=TIMING).astype(dict.fromkeys(UNCERTAIN, float))  # NaN: not known
    with_field = [(tile, arrays) for tile, arrays in measured if FIELD in arrays]
    fields = _mean_fields(with_field)
    for tile, arrays in with_field:
        fields |= _fields(tile, arrays)
    return Tables(frames, fields)


def replica_id(variant: Variant, seed: int) -> str:
    """Return the name of one training run, the same however a study is extended."""
    return f"{variant.variant_id}-{seed}"


def _cells(tile: Tile) -> list[tuple[int, int, str, Variant]]:
    """Return each replica's indices, id and variant."""
    return [
        (s, v, replica_id(variant, seed), variant)
        for s, seed in enumerate(tile.seeds)
        for v, variant in enumerate(tile.variants)
    ]


def _design(study: Study) -> dict[str, str]:
    """Return what a study compares, tunes and keeps as given (factors, separated by spaces), and which study it confirms."""
    of_role = {
        role: " ".join(key for key in study.varied if study.roles.get(key) == role)
        for role in ("scientific", "nuisance")
    }
    # A factor of one value may be called fixed, too: a single learning rate then is a choice, not one left untuned.
    fixed = " ".join(key for key, role in study.roles.items() if role == "fixed")
    return {
        "compared": of_role["scientific"],
        "tuned": of_role["nuisance"],
        "fixed": fixed,
        "confirms": study.confirms,
    }


def _replica_rows(tile: Tile, arrays: Arrays, study: Study) -> list[dict[str, Any]]:
    program, design, rows = tile.program, _design(study), []
    unlisted = (*NO_COLUMNS, *OPTION_TABLES.values())
    data = program.material.data
    for s, v, name, variant in _cells(tile):
        settings = variant.settings
        factors = {key: getattr(settings, key) for key in KEYS if key not in unlisted}
        factors = {key: spell(value) if isinstance(value, tuple) else value for key, value in factors.items()}
        for table in OPTION_TABLES.values():
            factors |= {f"{table}.{key}": value for key, value in getattr(settings, table).items()}
        step = int(arrays["first_nonfinite_step"][s, v])
        rows.append(
            {
                "replica_id": name,
                "variant_id": variant.variant_id,
                "experiment": program.comparison,
                "study": program.study,
                "label": variant.label,
                **design,
                "program": program.name,
                **factors,
                "seed": tile.seeds[s],
                "steps_per_epoch": program.steps_per_epoch,
                "parameters": parameters(settings, program.material.shape, program.material.classes),
                "train_examples": len(data.train.y),
                "validation_examples": len(data.validation.y),
                "test_examples": len(data.test.y),
                "data_digest": program.material.digest[:12],
                "chance_accuracy": program.material.chance,
                "first_nonfinite_step": np.nan if step < 0 else float(step),
            }
        )
    return rows


def _long(tile: Tile, epochs: Sequence[int], **columns: np.ndarray) -> pd.DataFrame:
    """Return rows for each replica and epoch; columns are [E, S, V]."""
    ids = np.asarray([name for _, _, name, _ in _cells(tile)])
    frame = {"replica_id": np.repeat(ids, len(epochs)), "epoch": np.tile(np.asarray(epochs, np.int32), len(ids))}
    return pd.DataFrame(frame | {name: np.moveaxis(values, 0, -1).ravel() for name, values in columns.items()})


def _history(tile: Tile, arrays: Arrays) -> pd.DataFrame:
    settings, figures = tile.program.settings, _of_kind(arrays, "figures")
    finite = figures.pop("finite")
    frame = _long(tile, evaluated_epochs(settings), **figures, finite=finite)
    frame.insert(2, "step", frame["epoch"].astype(np.int64) * tile.program.steps_per_epoch)
    frame.insert(3, "examples", frame["step"] * settings.batch_size)
    return frame


def _of_kind(arrays: Arrays, kind: str) -> Arrays:
    return {name.removeprefix(f"{kind}/"): values for name, values in arrays.items() if name.startswith(f"{kind}/")}


def _shapes(tile: Tile) -> list[LayerShape]:
    """Return the layers, first to last."""
    program = tile.program
    return layers(program.settings, program.material.shape, program.material.classes)


def _layers(tile: Tile, arrays: Arrays) -> pd.DataFrame:
    parts = []
    for index, shape in enumerate(_shapes(tile)):
        columns = {
            # The output has no activation: what concerns activations is not measured there.
            name: values[..., index] if index < values.shape[-1] else np.full(values.shape[:-1], np.nan, np.float32)
            for name, values in _of_kind(arrays, "layers").items()
        }
        frame = _long(tile, layer_epochs(tile.program.settings), **columns)
        frame.insert(2, "layer", shape.name)
        frame.insert(3, "layer_index", index)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True).sort_values(["replica_id", "epoch", "layer_index"], ignore_index=True)


def _finite(tile: Tile, arrays: Arrays, epoch: int, s: int, v: int) -> bool:
    """Return whether there was anything to measure in a replica at an epoch."""
    return bool(arrays["figures/finite"][evaluated_epochs(tile.program.settings).index(epoch), s, v])


def _units(tile: Tile, arrays: Arrays) -> pd.DataFrame:
    dead = arrays["snapshot/dead"]  # [E, S, V, H, units]
    rows = [
        {
            "replica_id": name,
            "epoch": epoch,
            "layer": shape.name,
            "dead": "".join("1" if unit else "0" for unit in dead[e, s, v, layer, : shape.units]),
        }
        for s, v, name, variant in _cells(tile)
        if variant.settings.activation in activations.CAN_BE_ZERO
        for e, epoch in enumerate(snapshot_epochs(tile.program.settings))
        if _finite(tile, arrays, epoch, s, v)
        for layer, shape in enumerate(_shapes(tile)[:-1])
    ]
    return pd.DataFrame(rows, columns=["replica_id", "epoch", "layer", "dead"])


def _histograms(tile: Tile, arrays: Arrays) -> pd.DataFrame:
    snapshots = _of_kind(arrays, "snapshot")  # [E, S, V, ...]
    rows = []
    for s, v, name, variant in _cells(tile):
        ranges = histogram_ranges(variant.settings)
        rows += [
            {
                "replica_id": name,
                "epoch": epoch,
                "layer": shape.name,
                "kind": kind,
                "low": ranges[kind][0],
                "high": ranges[kind][1],
                "below": int(counts[0]),
                "above": int(counts[HISTOGRAM_BINS + 1]),
                "counts": counts[1 : HISTOGRAM_BINS + 1].tolist(),
            }
            for e, epoch in enumerate(snapshot_epochs(tile.program.settings))
            if _finite(tile, arrays, epoch, s, v)
            for layer, shape in enumerate(_shapes(tile))
            for kind, counts in histogram_counts(
                {key: values[e, s, v] for key, values in snapshots.items()}, layer
            ).items()
        ]
    return pd.DataFrame(rows)


def _fields(tile: Tile, arrays: Arrays) -> dict[str, np.ndarray]:
    """Return each replica's last decision field, with the axes and points of its data set."""
    data, place = tile.program.material.data, tile.program.material.digest[:12]
    x, y = material.field_axes(data.train.x)
    fields: dict[str, Any] = {
        f"{place}/x": x,
        f"{place}/y": y,
        f"{place}/points": data.probe.x.astype(np.float32),
        f"{place}/labels": data.probe.y,
    }
    for s, v, name, _ in _cells(tile):
        fields[name] = _as_grid(arrays[FIELD][-1, s, v])
    return fields


def _mean_fields(measured: Sequence[tuple[Tile, Arrays]]) -> dict[str, np.ndarray]:
    """Return each variant's mean field over its seeds at each snapshot, [K, height, width], and those epochs [K]."""
    of_seeds: dict[str, list[np.ndarray]] = {}
    means: dict[str, np.ndarray] = {}
    for tile, arrays in measured:
        for s, v, _, variant in _cells(tile):
            of_seeds.setdefault(variant.variant_id, []).append(arrays[FIELD][:, s, v])
            means[f"{variant.variant_id}/epochs"] = np.asarray(snapshot_epochs(variant.settings), np.int32)
    for variant_id, fields in of_seeds.items():
        # A field that is not finite makes the mean not finite: there is no mean over survivors.
        means[f"{variant_id}/mean"] = _as_grid(np.asarray(np.mean(fields, axis=0, dtype=np.float32))).astype(np.float16)
    return means


def _as_grid(field: np.ndarray) -> np.ndarray:
    """Reshape [..., G] to [..., height, width]."""
    return field.reshape(*field.shape[:-1], material.FIELD_POINTS, material.FIELD_POINTS)


def gather(each: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Return the tables of several comparisons, one below the other."""
    return {
        name: pd.concat([part for part in parts if not part.empty] or parts[:1], ignore_index=True)
        for name in each[0]
        if (parts := [tables[name] for tables in each])
    }
