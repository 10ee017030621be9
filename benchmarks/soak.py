"""Repeated and varied runs in one process for half an hour: memory, threads, open files and temporary files must not grow.

`python -m benchmarks.soak` (`make soak`) prints a row a minute, and exits with 1 where, after the first third, memory grew by
more than 1 MB a minute or anything else by more than it had then.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcompare import compare, run
from jaxcompare.system.command import command, tell

MEGABYTES_A_MINUTE = 1.0


def configs(seed: int) -> Iterator[dict[str, Any]]:
    """Return endless small studies; every one is another program."""
    generator = random.Random(seed)
    for number in itertools.count():
        base = {
            "dataset": generator.choice(["moons", "circles", "spirals"]), "samples": 200, "epochs": 2, "seeds": 2,
            "hidden": [generator.randrange(4, 64) for _ in range(generator.randrange(1, 4))],
            "batch_size": generator.choice([16, 32, 64]), "precision": generator.choice(["float32", "bfloat16"]),
        }  # fmt: skip
        grid = {"optimizer": generator.sample(["sgd", "momentum", "adam", "adamw", "lion"], 2), "learning_rate": [0.01]}
        yield {"title": f"soak {number}", "base": base, "study": [{"grid": grid}]}


def figures() -> dict[str, float]:
    """Return what must not grow: megabytes of this process, threads, open files, files in the folder of temporary files."""
    gc.collect()
    status = Path("/proc/self/statm").read_text().split()
    return {
        "MB": int(status[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "threads": float(threading.active_count()),
        "open files": float(len(os.listdir("/proc/self/fd"))),
        "temporary files": float(sum(len(files) for _, _, files in os.walk(tempfile.gettempdir()))),
    }


def slope(minutes: Sequence[float], values: Sequence[float]) -> float:
    """Return the growth a minute by least squares."""
    return float(np.polyfit(minutes, values, 1)[0])


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0; 1 where something grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        out, config = Path(folder) / "out", Path(folder) / "tiny.toml"
        config.write_text('[base]\ndataset = "moons"\nepochs = 1\nseeds = 2\n[[study]]\n[study.grid]\nloss = ["mse"]\n')
        start = time.monotonic()
        rows: list[dict[str, float]] = []
        for number, each in enumerate(configs(given.seed)):
            compare(each)
            if number % 10 == 0:  # files, too
                run.main(["--exp", str(config), "--out", str(out), "--again", "--lang", "en"])
            minutes = (time.monotonic() - start) / 60
            if not rows or minutes - rows[-1]["minute"] >= min(1.0, given.minutes / 30):
                rows.append({"minute": minutes, "runs": number + 1, **figures()})
                tell("  ".join(f"{name} {value:.1f}" for name, value in rows[-1].items()), "stderr")
            if minutes > given.minutes:
                break
        tempfile.tempdir = None
    late = [row for row in rows if row["minute"] >= given.minutes / 3]
    grew = {name: slope([row["minute"] for row in late], [row[name] for row in late]) for name in figures()}
    for name, growth in grew.items():
        tell(f"{name}: {late[0][name]:.1f} to {late[-1][name]:.1f}, {growth:+.2f} a minute")
    more = [name for name in grew if name != "MB" and late[-1][name] > late[0][name]]
    return int(grew["MB"] > MEGABYTES_A_MINUTE or bool(more))


if __name__ == "__main__":
    sys.exit(main())
