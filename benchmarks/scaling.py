"""What grows with what: throughput with devices, time with replicas, seeds and epochs, memory with epochs.

`python -m benchmarks.scaling` prints Markdown tables (docs/scaling.md) and with `--picture` draws them. Made-up data
of the real shapes; training and its measurements, compilation apart; medians of repeats taken in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxcompare.execution.devices import MeshShape, start_jax

DEVICES = (1, 2, 4, 8)
MESHES = ((4, 2), (1, 2))  # replica, data
GROWTH = {"replicas": (8, 16, 32, 64), "seeds": (4, 8, 16), "epochs": (5, 10, 20, 40)}
BASE = {"dataset": "moons", "hidden": [64, 64, 64, 64], "batch_size": 128, "epochs": 10, "seeds": 4, "snapshots": 2}
BASE |= {"measure_every": 1000, "evaluate_every": 5}
REPEATS = 3

Row = dict[str, Any]


def config(*, variants: int = 4, **base: Any) -> dict[str, Any]:
    """Some rates of one optimizer on moons: one program."""
    rates = [0.001 * 1.1**power for power in range(variants)]
    return {"base": {**BASE, **base}, "study": [{"name": "main", "grid": {"learning_rate": rates}}]}


def prepared(given: dict[str, Any], mesh: Any) -> tuple[Callable[[], float], int, Callable[[], float]]:
    """A whole training as a function that gives its seconds; its replica-steps; the most bytes of live arrays so far."""
    import jax

    from benchmarks.workloads import loaded
    from jaxcompare.config.parse import parse
    from jaxcompare.execution import trainer
    from jaxcompare.planning import layout

    comparison = parse("scaling", given)
    (plan,) = layout.plan(comparison, loaded(comparison), platform=jax.default_backend())
    most = 0.0

    def held(_: Any) -> None:
        nonlocal most
        most = max(most, sum(array.nbytes for array in jax.live_arrays()))

    def run() -> float:
        # A trained job has given its data back; what it was compiled to is found again.
        (job,) = trainer.prepare([plan], mesh, trainer.Forgetful())
        start = time.perf_counter()
        for _ in trainer.train_job(job, trainer.Forgetful(), held):
            pass
        return time.perf_counter() - start

    run()  # the first one warms up
    return run, layout.replica_steps(plan), lambda: most


def in_turn(runs: Sequence[Callable[[], float]]) -> list[float]:
    """The median seconds of each, taken in turn so that a drifting machine treats all alike."""
    taken = [[run() for run in runs] for _ in range(REPEATS)]
    return [statistics.median(seconds) for seconds in zip(*taken, strict=True)]


def devices_rows() -> list[Row]:
    """Replica-steps a second for several numbers of devices, and for devices that share a tile."""
    import jax

    from jaxcompare.engine import sweep

    shapes = [(count, 1) for count in DEVICES] + list(MESHES)
    made = [
        prepared(config(seeds=8), sweep.local_mesh(jax.local_devices()[: replica * data], data=data))
        for replica, data in shapes
    ]
    seconds = in_turn([run for run, _, _ in made])
    rates = [steps / taken for (_, steps, _), taken in zip(made, seconds, strict=True)]
    return [
        {"replica": replica, "data": data, "rate": rate, "ratio": rate / rates[0]}
        for (replica, data), rate in zip(shapes, rates, strict=True)
    ]


def growth_rows(what: str) -> list[Row]:
    """Seconds for several sizes of one kind, and their ratio to what the smallest would say of them."""
    import jax

    from jaxcompare.engine import sweep

    mesh, sizes = sweep.local_mesh(jax.local_devices()[:2]), GROWTH[what]
    one = {"replicas": lambda n: config(variants=n // 2, seeds=2), "seeds": lambda n: config(seeds=n)}
    given = [one.get(what, lambda n: config(epochs=n))(size) for size in sizes]
    made = [prepared(each, mesh) for each in given]
    seconds = in_turn([run for run, _, _ in made])
    largest = seconds[-1] / sizes[-1]
    return [
        {"size": size, "seconds": taken, "of_linear": taken / size / largest, "live_bytes": live()}
        for size, taken, (_, _, live) in zip(sizes, seconds, made, strict=True)
    ]


def markdown(found: dict[str, list[Row]]) -> str:
    """The tables as docs/scaling.md has them."""
    lines = ["| devices | replica | data | replica-steps a second | to one device |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['replica'] * row['data']} | {row['replica']} | {row['data']} | {row['rate']:,.0f} | {row['ratio']:.2f} |"
        for row in found["devices"]
    ]
    for what in GROWTH:
        lines += ["", f"| {what} | seconds | a unit, to the largest's | live arrays at most, MB |", "|---|---|---|---|"]
        lines += [
            f"| {row['size']} | {row['seconds']:.2f} | {row['of_linear']:.2f} | {row['live_bytes'] / 1e6:.2f} |"
            for row in found[what]
        ]
    return "\n".join(lines)


def draw(found: dict[str, list[Row]]) -> bytes:
    """Throughput against devices; time against replicas, seeds and epochs, beside a straight line; memory against epochs."""
    from jaxcompare.plots import style

    @style.styled
    def figure() -> Any:
        note = "2-64-64-64-64-2 on made-up moons, batch 128; training with measurements, compilation apart"
        made, panels = style.sheet(5, "What grows with what", note, columns=3, size=(3.4, 2.8))
        alone = [row for row in found["devices"] if row["data"] == 1]
        panels[0].plot([row["replica"] for row in alone], [row["rate"] for row in alone], "o-", color=style.PALETTE[0])
        panels[0].set(xlabel="XLA devices", ylabel="replica-steps a second", title="Devices", ylim=(0, None))
        for ax, what in zip(panels[1:4], GROWTH, strict=True):
            rows = found[what]
            x, y = [row["size"] for row in rows], [row["seconds"] for row in rows]
            ax.plot([0, x[-1]], [0, y[-1]], color=style.PALE, linewidth=3, label="in proportion")
            ax.plot(x, y, "o-", color=style.PALETTE[0], label="measured")
            ax.set(xlabel=what, ylabel="seconds", title=f"Time with {what}", xlim=(0, None), ylim=(0, None))
            ax.legend(loc="upper left")
        rows = found["epochs"]
        megabytes = [row["live_bytes"] / 1e6 for row in rows]
        panels[4].plot([row["size"] for row in rows], megabytes, "o-", color=style.PALETTE[0])
        panels[4].set(
            xlabel="epochs", ylabel="live arrays, MB", title="Memory with epochs", xlim=(0, None), ylim=(0, None)
        )
        return made

    return style.png(figure())


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(prog="benchmarks.scaling", description=__doc__, allow_abbrev=False)
    parser.add_argument("--picture", metavar="FILE.png", help="draw it too")
    arguments = parser.parse_args(argv)
    start_jax(MeshShape(max(DEVICES), 1))
    found = {"devices": devices_rows(), **{what: growth_rows(what) for what in GROWTH}}
    print(markdown(found))
    if arguments.picture:
        Path(arguments.picture).write_bytes(draw(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
