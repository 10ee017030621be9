"""Synthetic tables of the studies beside the main ones: precision, memory, clipping, batch sizes; no training."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
import synthetic
from synthetic import BASE, Plan, grid

PRECISIONS = ["float32", "bfloat16", "float16"]


class Study(NamedTuple):
    """A study as its roles tell of it, and its cells."""

    name: str
    plan: Plan
    compared: str
    fixed: str


STUDIES = (
    Study(
        "precision",
        Plan("a", ("digits",), grid(loss=["cross_entropy"], learning_rate=[0.1], precision=PRECISIONS)
             + grid(loss=["mse"], learning_rate=[1.0], precision=PRECISIONS), 5, 4, BASE | {"epochs": 4}),
        "precision", "loss learning_rate",
    ),
    Study(
        "precision",
        Plan("b", ("moons",), grid(activation=["relu", "sigmoid"], learning_rate=[0.1], precision=PRECISIONS), 5, 4,
             BASE | {"epochs": 4, "hidden": "32-32-32-32"}),
        "precision", "activation learning_rate",
    ),
    Study(
        "clipping",
        Plan("c", ("digits",), grid(optimizer=["sgd", "momentum"], learning_rate=[0.05, 1.0], precision=PRECISIONS,
                                    clip_norm=[np.inf, 1.0]), 5, 4, BASE | {"epochs": 4}),
        "clip_norm precision", "optimizer learning_rate",
    ),
    Study(
        "memory",
        Plan("c", ("digits",), grid(learning_rate=[0.05], precision=PRECISIONS, remat=[False, True]), 3, 1,
             BASE | {"epochs": 1}),
        "", "precision remat learning_rate",
    ),
    Study(
        "batch_size",
        Plan("a", ("fashion_mnist",), grid(loss=["cross_entropy", "mse"], batch_size=[128], learning_rate_rule=["fixed"],
                                           learning_rate=[0.1])
             + grid(loss=["cross_entropy", "mse"], batch_size=[512, 2048],
                    learning_rate_rule=["fixed", "linear", "square_root"], learning_rate=[0.1]),
             3, 2, BASE | {"epochs": 2, "reference_batch_size": 128}),
        "batch_size learning_rate_rule", "loss learning_rate",
    ),
)  # fmt: skip


def tables(main: tuple[str, ...] = ("a", "c"), studies: tuple[str, ...] = ("a", "b", "c")) -> dict[str, pd.DataFrame]:
    """Main comparisons of some experiments, and the studies beside them of some."""
    found = synthetic.tables(*main) if main else {}
    if main:
        found["replicas"] = found["replicas"].assign(compared=None, tuned=None, fixed=None, program="")
    parts = [found, *(_study(study) for study in STUDIES if study.plan.experiment in studies)]
    names = dict.fromkeys(name for part in parts for name, table in part.items() if len(table))
    return {
        name: pd.concat([part[name] for part in parts if len(part.get(name, ()))], ignore_index=True) for name in names
    }


def _study(study: Study) -> dict[str, pd.DataFrame]:
    parts: dict[str, list] = {name: [] for name in ("replicas", "history", "layers", "units", "histograms")}
    plan = study.plan
    for dataset, cell, seed in itertools.product(plan.datasets, plan.cells, range(plan.seeds)):
        synthetic._replica(parts, plan, dataset, cell, seed)
    found = {name: pd.DataFrame(rows) for name, rows in parts.items()}
    replicas = found["replicas"]
    for name in ("replica_id", "variant_id"):
        replicas[name] = study.name + "-" + replicas[name]
    if "clip_norm" in replicas:  # every other run without clipping at the high rate diverges
        gone = (replicas["clip_norm"] == np.inf) & (replicas["learning_rate"] == 1.0) & (replicas["seed"] % 2 == 0)
        replicas.loc[gone, "first_nonfinite_step"] = 3.0
    precision = replicas.get("precision", pd.Series("float32", replicas.index))
    remat = replicas.get("remat", pd.Series(False, replicas.index))
    replicas = replicas.assign(
        study=study.name, compared=study.compared, tuned="", fixed=study.fixed,
        program=study.name + " " + precision.astype(str) + " " + remat.astype(str),
    )  # fmt: skip
    found["replicas"] = replicas
    for name in ("history", "layers", "units", "histograms"):
        if len(found[name]):
            found[name]["replica_id"] = study.name + "-" + found[name]["replica_id"]
    of = precision.set_axis(replicas["replica_id"])
    history, layers = found["history"], found["layers"]
    half = history["replica_id"].map(of) == "float16"
    epoch = history["epoch"]
    history["loss_scale"] = np.where(half, 2.0 ** (16 - (epoch > 0) + epoch // 3), np.nan)
    history["skipped_steps"] = np.where(half, 1.0 * (epoch > 0), np.nan)
    share = layers["replica_id"].map(of).map({"float32": np.nan, "bfloat16": 0.0, "float16": 0.02})
    layers["gradient_underflow"] = share * (1 + layers["layer_index"])
    found["timing"] = _timing(study, replicas)
    return found


def _timing(study: Study, replicas: pd.DataFrame) -> pd.DataFrame:
    size = {"float32": 2.0, "bfloat16": 1.4, "float16": 1.5}
    rows = []
    for program, mine in replicas.groupby("program", sort=False):
        _, precision, remat = program.split(" ")
        rows.append(
            {"program": program, "experiment": study.plan.experiment, "replicas": len(mine), "steps": 100,
             "compile_seconds": 5.0, "train_seconds": len(mine) * 0.3 / size[precision], "evaluate_seconds": 0.1,
             "wall_seconds": 2.0, "replica_steps_per_second": 300.0, "tile_replicas": 3.0,
             "argument_bytes": 3 * 2.0**20,
             "temporary_bytes": 2.0**20 * 10 * size[precision] * (0.4 if remat == "True" else 1.0)}
        )  # fmt: skip
    return pd.DataFrame(rows)
