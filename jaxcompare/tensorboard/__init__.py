"""What is measured, for TensorBoard, while training goes on: a run a variant, aggregated over its seeds.

A point is written as soon as every seed of the variant has reached its epoch; where one of them is not finite there is none,
since a mean over the others would tell of survivors: `failed/diverged` counts them. Events are appended to one file a run,
which is open only while they are written: TensorBoard's usual writers keep a file and a thread each, and begin a file of the
same second anew.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcompare.config.comparison import Variant
from jaxcompare.execution import tables
from jaxcompare.planning.programs import layers

if TYPE_CHECKING:
    from jaxcompare.execution.trainer import Seen

FOLDER = "tensorboard"  # in the results folder
PICTURES, OVERVIEW = "pictures", "."  # runs beside the variants'


@contextmanager
def logging(folder: Path, experiments: Sequence[str], choice: Sequence[str]) -> Iterator[Log | None]:
    """A log of what is trained inside; None where none is asked for.

    Args:
        folder: of the results.
        experiments: whose older logs are replaced.
        choice: of `outputs.Outputs`.
    """
    if not choice:
        yield None
        return
    log = Log(Path(folder) / FOLDER, experiments, replicas="replicas" in choice)
    try:
        yield log
    except BaseException:
        log.close(finished=False)
        raise
    log.close(finished=True)


class Log:
    """Writes in a thread of its own, so that training does not wait."""

    def __init__(self, folder: Path, experiments: Sequence[str], *, replicas: bool = False) -> None:
        from jaxcompare.tensorboard import summaries  # which needs tensorboardX

        self.summaries, self.folder, self.replicas = summaries, folder, replicas
        for name in (*experiments, PICTURES):
            shutil.rmtree(folder / name, ignore_errors=True)
        for path in folder.glob("events.out.*"):
            path.unlink()
        self.waiting: dict[str, dict[int, dict[int, dict[str, np.ndarray]]]] = {}  # by run, epoch and seed
        self.written: dict[str, int] = {}  # by run: the last epoch that was
        self.files: dict[str, Path] = {}  # by run
        self.failure: OSError | None = None
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="tensorboard")

    def watch(self, seen: Seen) -> None:
        """Hears of a segment's measurements (`trainer.Watch`)."""
        self._later(self._take, seen)

    def pictures(self, pictures: Mapping[str, bytes]) -> None:
        """Adds pictures (PNG or GIF) by their files' names."""
        for name, data in pictures.items():
            self._later(lambda name=name, data=data: self._append(PICTURES, [self.summaries.image(name, data)], 0))

    def close(self, *, finished: bool) -> None:
        """Writes what is left, and that the runs are over; says so where something could not be written."""
        if finished:
            self._later(self._end)
        self.pool.shutdown(wait=True, cancel_futures=not finished)
        if self.failure is not None:
            print(f"tensorboard: {self.folder} is not complete: {self.failure}", file=sys.stderr)

    def _later(self, task: Callable[..., None], *arguments: Any) -> None:
        def guarded() -> None:
            if self.failure is None:
                try:
                    task(*arguments)
                except OSError as error:  # a log that cannot be written costs the log, not the training
                    self.failure = error

        self.pool.submit(guarded)

    def _take(self, seen: Seen) -> None:
        """Lays what was measured beside what other seeds have, and writes the epochs that every seed has reached."""
        program, material = seen.plan.program, seen.plan.material
        names = [shape.name for shape in layers(program.settings, material.features, material.classes)]
        measured = tables.epochs_of(program.settings, seen.epochs)
        for v, variant in enumerate(seen.tile.variants):
            run = run_name(program.comparison, program.study, variant)
            by_epoch = self.waiting.setdefault(run, {})
            for epoch in measured["figures"]:
                if epoch <= self.written.get(run, -1):
                    continue  # measured again, after memory ran out
                for s, seed in enumerate(seen.tile.seeds):
                    by_epoch.setdefault(epoch, {})[seed] = _at(seen.arrays, measured, epoch, s, v)
            for epoch in sorted(by_epoch):
                if len(by_epoch[epoch]) == len(program.seeds):
                    runs = by_epoch.pop(epoch)
                    self._write(program.comparison, program.study, variant, epoch, runs, names)

    def _write(
        self,
        comparison: str,
        study: str,
        variant: Variant,
        epoch: int,
        runs: dict[int, dict[str, np.ndarray]],
        names: Sequence[str],
    ) -> None:
        """One epoch of a variant; before the first one, its row in the table of hyperparameters."""
        run, settings = run_name(comparison, study, variant), variant.settings
        about = {"experiment": comparison, "study": study}
        if OVERVIEW not in self.files:
            self._append(OVERVIEW, self.summaries.overview(about, settings), 0)
        if run not in self.files:
            self._append(run, self.summaries.hyperparameters(about, settings), 0)
        ordered = [runs[seed] for seed in sorted(runs)]
        told = [
            *self.summaries.aggregated(ordered, names, last=epoch == settings.epochs),
            *self.summaries.histograms(ordered, names, settings),
        ]
        self._append(run, told, epoch)
        for seed in sorted(runs) if self.replicas else ():
            alone = {name: float(value[0]) for name, value in self.summaries.figures([runs[seed]], names).items()}
            self._append(f"{run}/seed_{seed}", list(self.summaries.scalars(alone)), epoch)
        self.written[run] = epoch

    def _end(self) -> None:
        for run in self.written:
            self._append(run, self.summaries.finished(), 0)

    def _append(self, run: str, values: Sequence[Any], step: int) -> None:
        """One event to a run's file, which is made where it is not there."""
        now, first = time.time(), run not in self.files
        if first:
            folder = self.folder / run
            folder.mkdir(parents=True, exist_ok=True)
            self.files[run] = folder / f"events.out.tfevents.{int(now)}.jaxcompare"
        with self.files[run].open("ab") as file:
            file.write(self.summaries.records(values, step, now, first=first))


def _at(
    arrays: Mapping[str, np.ndarray], measured: Mapping[str, list[int]], epoch: int, s: int, v: int
) -> dict[str, np.ndarray]:
    """One replica's measurements at one epoch, of those levels that were measured then."""
    places = {level: epochs.index(epoch) for level, epochs in measured.items() if epoch in epochs}
    levels = {name: name.partition("/")[0] for name in arrays}
    return {name: array[places[levels[name]], s, v] for name, array in arrays.items() if levels[name] in places}


def run_name(comparison: str, study: str, variant: Variant) -> str:
    """A variant's folder: `b/main/moons/relu-rate-0.1`."""
    label = re.sub(r"[^\w.+=]+", "-", variant.label).strip("-.")
    return "/".join((comparison, study, variant.settings.dataset, label or variant.variant_id))
