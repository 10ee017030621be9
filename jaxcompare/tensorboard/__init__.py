"""Measurements for TensorBoard while training goes on: one run per variant, aggregated over its seeds.

A point is written as soon as every seed of the variant has reached the point's epoch. Where a seed is not finite there is no
point, since a mean over the others would describe survivors only; `failed/diverged` counts such seeds. Events are appended to
one file per run, which is open only during a write. TensorBoard's usual writers keep a file and a thread each, and overwrite a
file of the same second.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxcompare.config.comparison import Variant
from jaxcompare.config.files import safe
from jaxcompare.planning.cadence import Arrays, measured_epochs
from jaxcompare.planning.networks import layers
from jaxcompare.planning.programs import Tile

FOLDER = "tensorboard"  # in the results folder
PICTURES, OVERVIEW = "pictures", "."  # runs beside the variants'

_LOG = logging.getLogger(__name__)


@contextmanager
def log_of(folder: Path, experiments: Sequence[str], choice: Sequence[str]) -> Iterator[Log | None]:
    """Open a log of what is trained inside the block; None where the caller asks for none.

    Args:
        folder: of the results.
        experiments: comparisons whose older logs are replaced.
        choice: `Outputs.tensorboard`.
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
    """A log that is written in its own thread, so that training does not wait."""

    def __init__(self, folder: Path, experiments: Sequence[str], *, replicas: bool = False) -> None:
        from jaxcompare.tensorboard import summaries  # needs tensorboardX

        self.summaries, self.folder, self.replicas = summaries, folder, replicas
        for name in (*experiments, PICTURES):
            shutil.rmtree(folder / safe(name), ignore_errors=True)
        for path in folder.glob("events.out.*"):
            path.unlink()
        self.waiting: dict[str, dict[int, dict[int, dict[str, np.ndarray]]]] = {}  # by run, epoch and seed
        self.written: dict[str, int] = {}  # by run: the last written epoch
        self.files: dict[str, Path] = {}  # by run
        self.failure: OSError | None = None
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="tensorboard")

    def watch(self, tile: Tile, epochs: range, arrays: Arrays) -> None:
        """Log a tile's measurements at the ends of some epochs (`Callbacks.measured`)."""
        self._later(self._take, tile, epochs, arrays)

    def pictures(self, pictures: Mapping[str, bytes]) -> None:
        """Log pictures (PNG or GIF) by their file names."""
        for name, data in pictures.items():
            self._later(lambda name=name, data=data: self._append(PICTURES, [self.summaries.image(name, data)], 0))

    def close(self, *, finished: bool) -> None:
        """Write what is left, and the end of the runs; warn where something could not be written."""
        if finished:
            self._later(self._end)
        self.pool.shutdown(wait=True, cancel_futures=not finished)
        if self.failure is not None:
            _LOG.warning("tensorboard: %s is not complete: %s", self.folder, self.failure)

    def _later(self, task: Callable[..., None], *arguments: Any) -> None:
        def guarded() -> None:
            if self.failure is None:
                try:
                    task(*arguments)
                except OSError as error:  # a log that cannot be written costs the log, not the training
                    self.failure = error

        self.pool.submit(guarded)

    def _take(self, tile: Tile, epochs: range, arrays: Arrays) -> None:
        """Keep a tile's measurements until the other seeds have theirs; write the epochs that every seed has reached."""
        program = tile.program
        names = [shape.name for shape in layers(program.settings, program.material.shape, program.material.classes)]
        measured = measured_epochs(program.settings, epochs)
        for v, variant in enumerate(tile.variants):
            run = run_name(program.comparison, program.study, variant)
            by_epoch = self.waiting.setdefault(run, {})
            for epoch in measured["figures"]:
                if epoch <= self.written.get(run, -1):
                    continue  # measured again, after memory ran out
                for s, seed in enumerate(tile.seeds):
                    by_epoch.setdefault(epoch, {})[seed] = _at(arrays, measured, epoch, s, v)
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
        """Write one epoch of a variant, and before the first epoch its row in the table of hyperparameters."""
        run, settings = run_name(comparison, study, variant), variant.settings
        about = {"experiment": comparison, "study": study}
        if OVERVIEW not in self.files:
            self._append(OVERVIEW, self.summaries.overview(about, settings), 0)
        if run not in self.files:
            self._append(run, self.summaries.hyperparameters(about, settings), 0)
        ordered = [runs[seed] for seed in sorted(runs)]
        values = [
            *self.summaries.aggregated(ordered, names, last=epoch == settings.epochs),
            *self.summaries.histograms(ordered, names, settings),
        ]
        self._append(run, values, epoch)
        for seed in sorted(runs) if self.replicas else ():
            alone = {name: float(value[0]) for name, value in self.summaries.figures([runs[seed]], names).items()}
            self._append(f"{run}/seed_{seed}", list(self.summaries.scalars(alone)), epoch)
        self.written[run] = epoch

    def _end(self) -> None:
        for run in self.written:
            self._append(run, self.summaries.finished(), 0)

    def _append(self, run: str, values: Sequence[Any], step: int) -> None:
        """Append one event to a run's file."""
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
    """Return one replica's measurements at one epoch, of the levels that were measured then."""
    places = {level: epochs.index(epoch) for level, epochs in measured.items() if epoch in epochs}
    levels = {name: name.partition("/")[0] for name in arrays}
    return {name: array[places[levels[name]], s, v] for name, array in arrays.items() if levels[name] in places}


def run_name(comparison: str, study: str, variant: Variant) -> str:
    """Return a variant's folder: `b/main/moons/relu-rate-0.1`; with its id where letters are replaced."""
    label = re.sub(r",? ", "-", variant.label)
    folder = re.sub(r"[^\w.+=-]+", "-", label).strip("-.")
    if folder != label:  # another label may become the same folder
        folder = f"{folder}-{variant.variant_id}".lstrip("-")
    return "/".join(safe(part) for part in (comparison, study, variant.settings.dataset, folder))
