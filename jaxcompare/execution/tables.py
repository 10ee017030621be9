"""What was measured, as tidy tables (docs/tables.md): arrays in, data frames out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare.components import activations
from jaxcompare.config.comparison import Comparison, Study, Variant, spell
from jaxcompare.config.settings import KEYS, Settings
from jaxcompare.engine.segment import HISTOGRAM_BINS
from jaxcompare.planning import assemble
from jaxcompare.planning.programs import (
    LayerShape,
    Tile,
    evaluated_epochs,
    layer_epochs,
    layers,
    parameters,
    snapshot_epochs,
)

if TYPE_CHECKING:
    from jaxcompare.execution.trainer import Measured
    from jaxcompare.planning.layout import Plan

KINDS = ("pre_activation", "activation")


class Tables(NamedTuple):
    """All tables of a run."""

    frames: dict[str, pd.DataFrame]
    fields: dict[str, np.ndarray]


def tile_arrays(
    plan: Plan,
    tile: Tile,
    index: int,
    measured: dict[str, dict[str, np.ndarray]],
    first_nonfinite: np.ndarray,
) -> dict[str, np.ndarray]:
    """One tile's measurements, without padding, and only of the epochs at which each was taken.

    Args:
        plan: of the tile's program.
        tile: which.
        index: its place in its group.
        measured: [E, T, S, V, ...] by level and name.
        first_nonfinite: [T, S, V].
    """
    seeds, variants = len(tile.seeds), len(tile.variants)
    arrays = cut(plan, tile, index, measured, range(plan.program.settings.epochs + 1))
    arrays["first_nonfinite_step"] = first_nonfinite[index, :seeds, :variants]
    return arrays


def epochs_of(settings: Settings, epochs: range) -> dict[str, list[int]]:
    """Those of some epochs at whose ends each level is measured."""
    every = {
        "figures": evaluated_epochs(settings),
        "layers": layer_epochs(settings),
        "snapshot": snapshot_epochs(settings),
    }
    return {level: [epoch for epoch in found if epoch in epochs] for level, found in every.items()}


def cut(
    plan: Plan, tile: Tile, index: int, measured: dict[str, dict[str, np.ndarray]], epochs: range
) -> dict[str, np.ndarray]:
    """One tile's part of what was measured at the ends of some epochs: `level/name` -> [E of its level, S, V, ...].

    Args:
        plan: of the tile's program.
        tile: which.
        index: its place in its group.
        measured: [E, T, S, V, ...] by level and name.
        epochs: those E.
    """
    seeds, variants = len(tile.seeds), len(tile.variants)
    arrays = {
        f"{level}/{name}": values[[epoch - epochs.start for epoch in found], index, :seeds, :variants]
        for level, found in epochs_of(plan.program.settings, epochs).items()
        for name, values in measured[level].items()
    }
    for name in ("figures/train_loss", "figures/train_accuracy"):
        if 0 in epochs:
            arrays[name][0] = np.nan  # no batch was seen before the first step
    return arrays


def build(comparison: Comparison, measured: Sequence[Measured]) -> Tables:
    """Every table but `summary`, the replicas in the order of the config."""
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in ("history", "layers", "units", "histograms")}
    replicas: list[dict[str, Any]] = []
    studies = {study.name: study for study in comparison.studies}
    fields = _mean_fields([one for one in measured if FIELD in one.arrays])
    for one in measured:
        replicas += _replica_rows(one, _design(studies[one.plan.program.study]))
        frames["history"].append(_history(one))
        frames["layers"].append(_layers(one))
        frames["units"].append(_units(one))
        frames["histograms"].append(_histograms(one))
        if FIELD in one.arrays:
            fields |= _fields(one)
    order = {variant.variant_id: i for i, variant in enumerate(_variants(comparison))}
    table = pd.DataFrame(replicas)
    table = table.sort_values("seed", kind="stable").sort_values(
        "variant_id", kind="stable", key=lambda ids: ids.map(order)
    )
    place = {replica: i for i, replica in enumerate(table["replica_id"])}
    found = {"replicas": table.reset_index(drop=True)}
    for name, parts in frames.items():
        whole = pd.concat(parts, ignore_index=True)
        found[name] = whole.sort_values("replica_id", kind="stable", key=lambda ids: ids.map(place), ignore_index=True)
    timing = [json.loads(str(one.arrays["timing"])) for one in measured if "timing" in one.arrays]
    found["timing"] = pd.DataFrame(timing, columns=TIMING).astype(dict.fromkeys(BYTES, float))  # NaN: XLA does not say
    return Tables(found, fields)


FIELD = "snapshot/field"  # among a tile's arrays, where its data have a grid

TIMED = [
    "program", "experiment", "replicas", "steps", "compile_seconds", "train_seconds", "evaluate_seconds",
    "wall_seconds", "replica_steps_per_second", "tile_replicas",
]  # fmt: skip
BYTES = ["argument_bytes", "temporary_bytes"]
TIMING = [*TIMED, *BYTES]


def replica_id(variant: Variant, seed: int) -> str:
    """The name of one training run, the same however a study is extended."""
    return f"{variant.variant_id}-{seed}"


def _variants(comparison: Comparison) -> list[Variant]:
    return [variant for study in comparison.studies for variant in study.variants]


def _cells(one: Measured) -> list[tuple[int, int, int, Variant]]:
    return [
        (s, v, seed, variant) for s, seed in enumerate(one.tile.seeds) for v, variant in enumerate(one.tile.variants)
    ]


def _ids(one: Measured) -> np.ndarray:
    return np.asarray([replica_id(variant, seed) for _, _, seed, variant in _cells(one)])


def _design(study: Study) -> dict[str, str]:
    """What a study compares, tunes and keeps as given (factors, parted by spaces), and which study it confirms."""
    of_role = {
        role: " ".join(key for key in study.varied if study.roles.get(key) == role)
        for role in ("scientific", "nuisance")
    }
    # A factor of one value may be called fixed, too: so a single learning rate is one that was set, not one left untuned.
    fixed = " ".join(key for key, role in study.roles.items() if role == "fixed")
    return {
        "compared": of_role["scientific"],
        "tuned": of_role["nuisance"],
        "fixed": fixed,
        "confirms": study.confirms,
    }


def _replica_rows(one: Measured, design: dict[str, str]) -> list[dict[str, Any]]:
    plan, material = one.plan, one.plan.material
    rows = []
    for s, v, seed, variant in _cells(one):
        settings = variant.settings
        factors = {key: getattr(settings, key) for key in KEYS if key not in ("seeds", "first_seed", "options")}
        factors = {key: spell(value) if isinstance(value, tuple) else value for key, value in factors.items()}
        factors |= {f"options.{key}": value for key, value in settings.options.items()}
        step = int(one.arrays["first_nonfinite_step"][s, v])
        rows.append(
            {
                "replica_id": replica_id(variant, seed),
                "variant_id": variant.variant_id,
                "experiment": plan.program.comparison,
                "study": plan.program.study,
                "label": variant.label,
                **design,
                "program": plan.program.name,
                **factors,
                "seed": seed,
                "steps_per_epoch": plan.steps_per_epoch,
                "parameters": parameters(settings, material.features, material.classes),
                "train_examples": len(material.data.train.y),
                "validation_examples": len(material.data.validation.y),
                "test_examples": len(material.data.test.y),
                "data_digest": material.digest[:12],
                "chance_accuracy": material.chance,
                "first_nonfinite_step": np.nan if step < 0 else float(step),
            }
        )
    return rows


def _long(one: Measured, epochs: Sequence[int], **columns: np.ndarray) -> pd.DataFrame:
    """Rows for each replica and epoch; columns are [E, S, V]."""
    ids = _ids(one)
    frame = {"replica_id": np.repeat(ids, len(epochs)), "epoch": np.tile(np.asarray(epochs, np.int32), len(ids))}
    return pd.DataFrame(frame | {name: np.moveaxis(values, 0, -1).ravel() for name, values in columns.items()})


def _history(one: Measured) -> pd.DataFrame:
    settings, figures = one.plan.program.settings, _level(one, "figures")
    epochs = evaluated_epochs(settings)
    finite = figures.pop("finite")
    frame = _long(one, epochs, **figures, finite=finite)
    frame.insert(2, "step", frame["epoch"] * one.plan.steps_per_epoch)
    frame.insert(3, "examples", frame["step"] * settings.batch_size)
    return frame


def _level(one: Measured, level: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(f"{level}/"): values for name, values in one.arrays.items() if name.startswith(f"{level}/")
    }


def _shapes(one: Measured) -> list[LayerShape]:
    """The layers, first to last."""
    material = one.plan.material
    return layers(one.plan.program.settings, material.features, material.classes)


def _layers(one: Measured) -> pd.DataFrame:
    settings = one.plan.program.settings
    labels = [layer.name for layer in _shapes(one)]
    parts = []
    for index, label in enumerate(labels):
        columns = {
            # The output has no activation: what concerns it is not measured there.
            name: values[..., index] if index < values.shape[-1] else np.full(values.shape[:-1], np.nan, np.float32)
            for name, values in _level(one, "layers").items()
        }
        frame = _long(one, layer_epochs(settings), **columns)
        frame.insert(2, "layer", label)
        frame.insert(3, "layer_index", index)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True).sort_values(["replica_id", "epoch", "layer_index"], ignore_index=True)


def _finite(one: Measured, epoch: int, s: int, v: int) -> bool:
    """Whether there was anything to measure in a replica at an epoch."""
    return bool(one.arrays["figures/finite"][evaluated_epochs(one.plan.program.settings).index(epoch), s, v])


def _units(one: Measured) -> pd.DataFrame:
    settings = one.plan.program.settings
    dead = one.arrays["snapshot/dead"]  # [E, S, V, H, units]
    rows = [
        {
            "replica_id": replica_id(variant, seed),
            "epoch": epoch,
            "layer": shape.name,
            "dead": "".join("1" if unit else "0" for unit in dead[e, s, v, layer, : shape.units]),
        }
        for s, v, seed, variant in _cells(one)
        if variant.settings.activation in activations.CAN_BE_ZERO
        for e, epoch in enumerate(snapshot_epochs(settings))
        if _finite(one, epoch, s, v)
        for layer, shape in enumerate(_shapes(one)[:-1])
    ]
    return pd.DataFrame(rows, columns=["replica_id", "epoch", "layer", "dead"])


def limits_of(settings: Settings) -> dict[str, tuple[float, float]]:
    """The range of a variant's histograms, by kind; that of gradients is of log10 of their absolute entries."""
    own = activations.HISTOGRAM_RANGES.get(settings.activation, activations.DEFAULT_RANGE)
    return {
        "pre_activation": activations.PRE_ACTIVATION_RANGE,
        "activation": own,
        "gradient": activations.GRADIENT_RANGE,
    }


def counts_of(snapshot: Mapping[str, np.ndarray], layer: int) -> dict[str, np.ndarray]:
    """One layer's histograms [bins + 2] by kind; `snapshot` is one replica's at one epoch."""
    found = {"gradient": snapshot["gradients"][layer]}
    if layer < len(snapshot["histograms"]):  # the output has no activation
        found |= dict(zip(KINDS, snapshot["histograms"][layer], strict=True))
    return found


def _histograms(one: Measured) -> pd.DataFrame:
    settings, snapshots = one.plan.program.settings, _level(one, "snapshot")  # [E, S, V, ...]
    rows = []
    for s, v, seed, variant in _cells(one):
        limits = limits_of(variant.settings)
        rows += [
            {
                "replica_id": replica_id(variant, seed),
                "epoch": epoch,
                "layer": shape.name,
                "kind": kind,
                "low": limits[kind][0],
                "high": limits[kind][1],
                "below": int(counts[0]),
                "above": int(counts[HISTOGRAM_BINS + 1]),
                "counts": counts[1 : HISTOGRAM_BINS + 1].tolist(),
            }
            for e, epoch in enumerate(snapshot_epochs(settings))
            if _finite(one, epoch, s, v)
            for layer, shape in enumerate(_shapes(one))
            for kind, counts in counts_of({name: values[e, s, v] for name, values in snapshots.items()}, layer).items()
        ]
    return pd.DataFrame(rows)


def _fields(one: Measured) -> dict[str, np.ndarray]:
    data, place = one.plan.material.data, one.plan.material.digest[:12]
    x, y = assemble.field_axes(data.train.x)
    found: dict[str, Any] = {
        f"{place}/x": x,
        f"{place}/y": y,
        f"{place}/points": data.probe.x.astype(np.float32),
        f"{place}/labels": data.probe.y,
    }
    for s, v, seed, variant in _cells(one):
        found[replica_id(variant, seed)] = _as_grid(one.arrays[FIELD][-1, s, v])
    return found


def _mean_fields(measured: Sequence[Measured]) -> dict[str, np.ndarray]:
    """Of each variant the mean field over its seeds at each snapshot, [K, height, width], and those epochs [K]."""
    seeds: dict[str, list[np.ndarray]] = {}
    found: dict[str, np.ndarray] = {}
    for one in measured:
        for s, v, _, variant in _cells(one):
            seeds.setdefault(variant.variant_id, []).append(one.arrays[FIELD][:, s, v])
            found[f"{variant.variant_id}/epochs"] = np.asarray(snapshot_epochs(variant.settings), np.int32)
    for variant_id, fields in seeds.items():
        # A field that is not finite makes the mean so: there is none over survivors.
        found[f"{variant_id}/mean"] = _as_grid(np.asarray(np.mean(fields, axis=0, dtype=np.float32))).astype(np.float16)
    return found


def _as_grid(field: np.ndarray) -> np.ndarray:
    """[..., G] as [..., height, width]."""
    return field.reshape(*field.shape[:-1], assemble.FIELD_POINTS, assemble.FIELD_POINTS)
