"""Synthetic tables of exactly the documented columns, for tests of what reads them: plausible, small, no training.

Comparison A has one diverged replica (mse at its highest rate on digits), B a stuck level (sigmoid at its lowest rate)
and dead units, C a variant of which every run diverges (adamw) and one replica of momentum that diverges half-way.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxcompare import plots
from jaxcompare.config import load

CLASSES = {"fashion_mnist": 10, "digits": 10, "moons": 2, "circles": 2}
EXAMPLES = {
    "fashion_mnist": (55_000, 10_000),
    "digits": (1_300, 360),
    "moons": (1_000, 1_000),
    "circles": (1_000, 1_000),
}
LAYERS = {"256-128": 3, "32-32-32-32": 5}
BINS = 24


class Plan(NamedTuple):
    """One comparison: its grid cells and what they share."""

    experiment: str
    datasets: tuple[str, ...]
    cells: tuple[dict, ...]
    seeds: int
    epochs: int
    base: dict


def grid(**lists) -> tuple[dict, ...]:
    return tuple(dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values()))


BASE = {
    "model": "mlp",
    "hidden": "256-128",
    "activation": "relu",
    "loss": "cross_entropy",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "schedule": "constant",
    "batch_size": 128,
    "weight_decay": 0.0,
    "momentum": np.nan,
    "init": "he_normal",
}
PLANS = {
    "a": Plan(
        "a",
        ("fashion_mnist", "digits"),
        grid(loss=["cross_entropy"], learning_rate=[0.01, 0.1, 1.0])
        + grid(loss=["mse"], learning_rate=[0.1, 1.0, 10.0]),
        5,
        8,
        BASE | {"epochs": 8},
    ),
    "b": Plan(
        "b",
        ("moons", "circles"),
        grid(activation=["relu", "leaky_relu", "sigmoid"], learning_rate=[0.01, 0.1, 0.5]),
        10,
        8,
        BASE | {"hidden": "32-32-32-32", "epochs": 8},
    ),
    "c": Plan(
        "c",
        ("fashion_mnist",),
        tuple(
            cell | {"momentum": 0.9 if cell["optimizer"] == "momentum" else np.nan}
            for cell in grid(
                optimizer=["sgd", "momentum", "adamw"],
                learning_rate=[0.1, 0.01, 0.001],
                schedule=["constant", "cosine"],
            )
        ),
        5,
        8,
        BASE | {"epochs": 8},
    ),
}
MINE = Plan("mine", ("digits",), grid(batch_size=[32, 128], learning_rate=[0.01, 0.1]), 3, 4, BASE | {"epochs": 4})
# A user's own comparison of activations on moons.
MY_MOONS = Plan(
    "my_moons",
    ("moons",),
    grid(activation=["relu", "leaky_relu", "sigmoid"], learning_rate=[0.01, 0.1]),
    3,
    8,
    BASE | {"hidden": "32-32-32-32", "epochs": 8},
)
TARGETS = {"a": 0.85, "b": 0.9, "c": 0.85}
BEST = {
    "cross_entropy": 0.1,
    "mse": 1.0,
    "sgd": 0.1,
    "momentum": 0.01,
    "adamw": 0.001,
    "sigmoid": 0.5,
    "leaky_relu": 0.1,
}
LIFT = {"cross_entropy": 0.01, "mse": 0.0, "adamw": 0.012, "momentum": 0.01, "sigmoid": -0.03, "leaky_relu": 0.004}


def level(plan: Plan, cell: dict) -> str:
    return cell.get({"a": "loss", "c": "optimizer"}.get(plan.experiment, "activation"), "relu")


def divergence(plan: Plan, dataset: str, cell: dict, seed: int) -> int | None:
    """The epoch in which a replica goes non-finite."""
    if plan.experiment == "a" and dataset == "digits" and cell["learning_rate"] == 10 and seed == 2:
        return 3
    if plan.experiment == "c" and cell["learning_rate"] == 0.1:
        if cell["optimizer"] == "momentum" and cell["schedule"] == "constant" and seed == 1:
            return 4
        if cell["optimizer"] == "adamw" and cell["schedule"] == "constant":
            return 1
    return None


def tables(*names: str) -> dict[str, pd.DataFrame]:
    """The tables of the comparisons `names` (all three where none is given), `summary` left to the reader."""
    known = PLANS | {"mine": MINE, "my_moons": MY_MOONS}
    return tables_of([known[name] for name in names or tuple(PLANS)])


def tables_of(plans: Iterable[Plan]) -> dict[str, pd.DataFrame]:
    """The tables of these plans, likewise."""
    parts: dict[str, list] = {name: [] for name in ("replicas", "history", "layers", "units", "histograms", "timing")}
    for plan in plans:
        name = plan.experiment
        for dataset, cell, seed in itertools.product(plan.datasets, plan.cells, range(plan.seeds)):
            _replica(parts, plan, dataset, cell, seed)
        count = len(plan.datasets) * len(plan.cells) * plan.seeds
        parts["timing"].append(
            {
                "program": f"{name}-0",
                "experiment": name,
                "replicas": count,
                "steps": 3440,
                "compile_seconds": 6.25,
                "train_seconds": 48.5,
                "evaluate_seconds": 3.1,
                "wall_seconds": 58.9,
                "replica_steps_per_second": count * 3440 / 48.5,
            }
        )
    return {name: pd.DataFrame(rows) for name, rows in parts.items()}


def _replica(parts: dict[str, list], plan: Plan, dataset: str, cell: dict, seed: int) -> None:
    settings = plan.base | cell
    label = ", ".join(f"{name} {value}" for name, value in cell.items())
    variant_id = f"{plan.experiment}-{dataset}-" + "-".join(str(value) for value in cell.values())
    replica_id = f"{variant_id}-s{seed}"
    classes, (train, test), steps = CLASSES[dataset], EXAMPLES[dataset], -(-EXAMPLES[dataset][0] // 128)
    gone = divergence(plan, dataset, cell, seed)
    parts["replicas"].append(
        {"replica_id": replica_id, "variant_id": variant_id, "experiment": plan.experiment, "study": "main"}
        | {
            "label": label,
            "dataset": dataset,
            **settings,
            "seed": seed,
            "steps_per_epoch": steps,
            "parameters": 235_146,
        }
        | {"first_nonfinite_step": np.nan if gone is None else gone * steps - 3, "chance_accuracy": 1 / classes}
        | {
            "test_examples": test,
            "train_examples": train,
            "validation_examples": test // 2,
            "data_digest": dataset,
            "train_subset": 2000,
        }
    )
    random = np.random.default_rng([seed, len(variant_id), int(1000 * cell["learning_rate"])])
    name, rate = level(plan, cell), cell["learning_rate"]
    stuck = name == "sigmoid" and rate == 0.01
    off = abs(np.log10(rate / BEST.get(name, 0.1)))
    best = 1 / classes if stuck else 0.88 + LIFT.get(name, 0.0) - 0.03 * off + 0.003 * random.normal()
    best += 0.006 * (cell.get("schedule") == "cosine")
    scale = 0.1 if name == "mse" else 1.0
    for epoch in range(plan.epochs + 1):
        alive = gone is None or epoch < gone
        reach = 1 - np.exp(-1.2 * epoch / (1 + off))
        accuracy = 1 / classes + (best - 1 / classes) * reach + 0.002 * random.normal()
        loss = scale * (np.log(classes) * (1 - 0.9 * reach * (not stuck)) + 0.004 * abs(random.normal()))
        figures = {f"{part}_loss": loss * k for part, k in (("train_subset", 0.9), ("validation", 1.0), ("test", 1.05))}
        figures |= {
            f"{part}_accuracy": accuracy - k for part, k in (("train_subset", -0.02), ("validation", 0), ("test", 0.01))
        }
        if epoch:
            figures |= {"train_loss": loss * 0.95, "train_accuracy": accuracy}
        row = {"replica_id": replica_id, "epoch": epoch, "step": epoch * steps, "examples": epoch * steps * 128}
        names = [
            f"{part}_{kind}"
            for part in ("train", "train_subset", "validation", "test")
            for kind in ("loss", "accuracy")
        ]
        figures = {key: figures.get(key, np.nan) if alive else np.nan for key in names}
        parts["history"].append(row | figures | {"finite": alive})
        _layers(parts, plan, replica_id, name, rate, epoch, alive, random)


def _layers(parts, plan: Plan, replica_id: str, name: str, rate: float, epoch: int, alive: bool, random) -> None:
    layers = LAYERS[plan.base["hidden"]]
    shrink = 0.12 if name == "sigmoid" else 0.8
    for index in range(layers):
        hidden = index < layers - 1
        layer = f"hidden_{index + 1}" if hidden else "output"
        dead = min(0.9, 0.04 * epoch * rate * (1 + index) + 0.02 * random.random()) if name == "relu" else 0.0
        values = {
            "gradient_norm": 0.5 * shrink ** (layers - 1 - index) * np.exp(-0.1 * epoch + 0.1 * random.normal()),
            "parameter_norm": 12.0 + 0.1 * epoch,
            "update_ratio": 1e-2 * rate * np.exp(0.1 * random.normal()),
            "dead_fraction": dead if hidden and name != "sigmoid" else np.nan,
            "zero_fraction": 0.5 if hidden and name == "relu" else np.nan,
            "saturated_fraction": 0.1 * epoch / 8 if hidden and name == "sigmoid" else np.nan,
        }
        values |= {part: random.normal() if hidden else np.nan for part in ("activation_mean", "pre_activation_mean")}
        values |= {part: 1 + random.random() if hidden else np.nan for part in ("activation_std", "pre_activation_std")}
        values = {key: value if alive else np.nan for key, value in values.items()}
        parts["layers"].append(
            {"replica_id": replica_id, "epoch": epoch, "layer": layer, "layer_index": index} | values
        )
        if plan.experiment in ("b", "my_moons") and epoch in (0, plan.epochs):
            counts, _ = np.histogram(random.normal(-3, 1, 500), bins=BINS, range=(-10.0, 2.0))
            row = {
                "replica_id": replica_id,
                "epoch": epoch,
                "layer": layer,
                "kind": "gradient",
                "low": -10.0,
                "high": 2.0,
            }
            parts["histograms"].append(row | {"below": 0, "above": 0, "counts": counts.tolist()})
        if plan.experiment in ("b", "my_moons") and hidden and epoch in (0, plan.epochs):
            units = "".join("1" if one < dead else "0" for one in random.random(32))
            if name != "sigmoid":
                parts["units"].append({"replica_id": replica_id, "epoch": epoch, "layer": layer, "dead": units})
            _histograms(parts["histograms"], replica_id, name, epoch, layer, random)


def _histograms(rows: list, replica_id: str, name: str, epoch: int, layer: str, random) -> None:
    z = random.normal(0.2, 1 + 0.15 * epoch, 2_000)
    activation = {"relu": np.maximum(z, 0), "leaky_relu": np.where(z > 0, z, 0.01 * z), "sigmoid": 1 / (1 + np.exp(-z))}
    for kind, values in (("pre_activation", z), ("activation", activation.get(name, z))):
        low, high = (0.0, 1.0) if kind == "activation" and name == "sigmoid" else (-4.0, 4.0)
        counts, _ = np.histogram(values, bins=BINS, range=(low, high))
        row = {"replica_id": replica_id, "epoch": epoch, "layer": layer, "kind": kind, "low": low, "high": high}
        outside = {"below": int((values < low).sum()), "above": int((values > high).sum())}
        rows.append(row | outside | {"counts": counts.tolist()})


EPOCHS = (0, 2, 4, 6, 8)  # of the mean fields


def fields(replicas: pd.DataFrame, size: int = 40) -> dict[str, np.ndarray]:
    """`fields.npz` for the two-feature data sets among `replicas`."""
    random, found, seen = np.random.default_rng(0), {}, {}
    for dataset in sorted({"moons", "circles"} & set(replicas["dataset"])):
        x = np.linspace(-2.0, 2.0, size)
        points = random.normal(0, 0.8, (400, 2))
        inside = (
            np.hypot(points[:, 0], points[:, 1])
            if dataset == "circles"
            else points[:, 1] - np.sin(2 * points[:, 0]) + 1
        )
        found |= {
            f"{dataset}/x": x,
            f"{dataset}/y": x,
            f"{dataset}/points": points,
            f"{dataset}/labels": (inside < 1).astype(int),
        }
        grid_x, grid_y = np.meshgrid(x, x)
        distance = np.hypot(grid_x, grid_y) if dataset == "circles" else grid_y - np.sin(2 * grid_x) + 1
        for row in replicas[replicas["dataset"] == dataset].itertuples():
            sharp = 0.0 if row.activation == "sigmoid" and row.learning_rate == 0.01 else 5.0
            logits = sharp * (1 - distance) + 0.4 * random.normal() * (sharp > 0)
            found[row.replica_id] = (1 / (1 + np.exp(-logits))).astype(np.float16)
            if row.variant_id not in seen:
                logits = np.stack([sharp * (share - distance) * share for share in np.linspace(0.0, 1.0, len(EPOCHS))])
                seen[row.variant_id] = (1 / (1 + np.exp(-logits))).astype(np.float16)
    for variant_id, mean in seen.items():
        found |= {f"{variant_id}/epochs": np.array(EPOCHS), f"{variant_id}/mean": mean}
    return found


# The names that the shipped configs give their files.
PATTERNS = {name: load.load(name)[1].get("files", {}) for name in PLANS}


def pictures(experiment: str, *given, **named) -> dict:
    """What draws each picture of an experiment, by the file name that its config gives."""
    found = plots.by_file(plots.pictures(experiment, *given, **named).values(), PATTERNS.get(experiment))
    return {name: plot.draw for name, plot in found.items()}


MANIFEST = {
    "versions": {
        "jax": "0.10.1",
        "flax": "0.12.0",
        "optax": "0.2.6",
        "numpy": "2.4.6",
        "python": "3.11.9",
        "jaxcompare": "0.1.0",
    },
    "device": "2 CPU cores",
    "command": "python -m jaxcompare.run --exp all",
    "started": "2026-01-02T03:04:05Z",
    "quick": False,
    "data": {
        name: {"source": "synthetic", "digest": "0123abcd", "train": train, "validation": train // 10, "test": test}
        for name, (train, test) in EXAMPLES.items()
    },
    "titles": {
        "a": {"title": "Losses", "question": "Which loss learns better?", "target": 0.85},
        "b": {
            "title": "Activations",
            "question": "Which activation trains a deep network?",
            "target": 0.9,
            "files": PATTERNS["b"],
        },
        "c": {
            "title": "Optimizers",
            "question": "Which optimizer learns faster and more stably?",
            "target": 0.85,
            "files": PATTERNS["c"],
        },
    },
}


def save(
    folder: Path, found: dict[str, pd.DataFrame], arrays: dict[str, np.ndarray], manifest: dict = MANIFEST
) -> None:
    """What a run leaves behind, under `folder`."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for name, table in found.items():
        table.to_parquet(folder / "tables" / f"{name}.parquet")
    if arrays:
        np.savez(folder / "tables" / "fields.npz", **arrays)
    (folder / "manifest.json").write_text(json.dumps(manifest))
