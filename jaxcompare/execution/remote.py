"""Tiles trained by other processes: any `concurrent.futures.Executor` takes them as independent tasks.

The submitting process plans, sends tiles, keeps and writes their measurements. A worker process compiles, trains and answers.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import itertools
import os
import queue
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import cache, partial
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_loader
from types import ModuleType
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from jaxcompare import __version__
from jaxcompare.config import custom
from jaxcompare.config.errors import ConfigError
from jaxcompare.engine import sweep
from jaxcompare.execution.fingerprint import code_digest, flags, processor_of, versions
from jaxcompare.execution.places import local_devices, local_places, start_jax
from jaxcompare.execution.program_cache import ProgramCache, default_folder
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.training import SILENT, Callbacks, Held, Resources, Training, Work, out_of_memory, train_tile
from jaxcompare.execution.unchecked import unchecked
from jaxcompare.execution.workers import Letters, Post, Workers
from jaxcompare.planning import memory
from jaxcompare.planning.cadence import Arrays
from jaxcompare.planning.material import Material
from jaxcompare.planning.programs import Program, Tile


def identity() -> dict[str, Any]:
    """Return what must be equal here and where a tile trains, so that its numbers are equal, too."""
    device = local_devices()[0]
    return {
        "jaxcompare": __version__,
        "code": code_digest()[:16],
        "versions": versions(),
        "flags": flags(),
        "device": device.device_kind,
        "processor": processor_of(device),
    }


class Task(NamedTuple):
    """A tile for a worker process."""

    number: int  # in the order of sending
    tile: Tile  # of a program without its data
    identity: Mapping[str, Any]  # of the submitting process
    modules: Mapping[str, bytes]  # the sources of custom functions, by the name of their module
    topic: str  # of the letters that tell how far the tile is
    keeps: bool  # whether checkpoints are kept
    limit: int | None  # bytes that may be used of each device; None: what is free


class Answer(NamedTuple):
    """What a worker process made of a task."""

    arrays: Arrays | None = None
    refused: str = ""  # why the worker cannot take tasks of this run
    too_large: str = ""  # why the tile does not fit


class RemoteTraining(Training):
    """Training by worker processes: every tile is sent, and kept as soon as its measurements are back."""

    def __init__(self, resources: Resources, workers: Workers, callbacks: Callbacks = SILENT) -> None:
        super().__init__(resources, callbacks)
        self.workers, self.identity, self.topic = workers, identity(), f"jaxcompare-{uuid.uuid4()}"
        self.numbers = itertools.count()
        self.sent: dict[int, tuple[Work, Tile, Future]] = {}
        self.tiles: dict[int, Tile] = {}  # by the number of their task
        self.steps: dict[int, int] = {}  # of the tiles in work
        self.held: dict[int, tuple[Material, Any]] = {}  # by the identity of the object, which stays alive here
        self.back: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.listening = contextlib.ExitStack()
        post = Post(self._guarded(self._heard), self._guarded(self._keep), self._guarded(self._kept))
        self.listening.enter_context(workers.listen(self.topic, post))
        self.collector = threading.Thread(target=self._collect, daemon=True)
        self.collector.start()

    def _begin(self) -> None:
        for work in list(self.work):
            self._send(work)

    def _stop(self) -> None:
        self._cancel()
        self.back.put(None)
        self.collector.join()
        self._cancel()  # what the collector was sending
        self.listening.close()

    def _cancel(self) -> None:
        with self.changed:
            futures = [future for _, _, future in self.sent.values()]
        for future in futures:
            future.cancel()

    def _send(self, work: Work) -> None:
        """Send a program's tiles that have not begun."""
        with self.changed:
            tiles, work.missing = work.missing, []
            work.in_work += len(tiles)
        self._ready(work)  # a worker compiles it with its first tile
        material = work.program.material
        if tiles and id(material) not in self.held:
            self.held[id(material)] = material, self.workers.hold(material)
        for tile in tiles:
            if self.stopped:
                return
            number, keeps = next(self.numbers), self.resources.tiles.folder is not None
            sent, modules, limit = _without_data(tile), _modules(tile.program), self.resources.sizes.limit
            task = Task(number, sent, self.identity, modules, self.topic, keeps, limit)
            self.tiles[number] = tile
            options = self.workers.options(int(work.order[0]))
            future = self.workers.executor.submit(train_task, task, self.held[id(material)][1], **options)
            with self.changed:
                self.sent[number] = work, tile, future
            future.add_done_callback(partial(self._is_back, number))

    def _is_back(self, number: int, _: Future) -> None:
        self.back.put(number)

    def _heard(self, number: int, steps: int) -> None:
        """Count the steps of a tile in work; they fall where another worker begins the tile again."""
        with self.changed:
            if number not in self.sent:
                return
            tile = self.sent[number][1]
            done, self.steps[number] = self.steps.get(number, 0), steps
        self.tell(self.callbacks.trained, tile.program.name, (steps - done) * tile.step_seconds, False)

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose error ends the run, and not the thread that calls it: the disk is full, say."""

        def guarded(*given: Any) -> Any:
            try:
                return function(*given)
            except BaseException as error:
                self._fail(error)

        return guarded

    def _keep(self, number: int, checkpoint: bytes) -> None:
        if number in self.sent:  # else its measurements are here already
            self.resources.tiles.put_checkpoint(self.tiles[number], checkpoint)

    def _kept(self, number: int) -> bytes | None:
        return self.resources.tiles.checkpoint(self.tiles[number])

    def _collect(self) -> None:
        """Take what comes back, until there is no more."""
        while (number := self.back.get()) is not None:
            with self.changed:
                if number not in self.sent:
                    continue
                work, tile, future = self.sent.pop(number)
                done = self.steps.pop(number, 0)
            if self.stopped:
                _save(self.resources.tiles, tile, future)
                continue
            try:
                self._take(work, tile, future, done)
            except BaseException as error:
                self._fail(error)

    def _take(self, work: Work, tile: Tile, future: Future, done: int) -> None:
        try:
            answer = future.result()
        except CancelledError as error:
            raise ConfigError(f"{self.workers.name} has gone; {GOES_ON}") from error
        except Exception as error:
            if not self.workers.ended(error):
                raise
            if tile.program.tile_replicas == 1:
                raise ConfigError(
                    f"{self.workers.name}: the workers that trained {tile.program.name} ended, one after another; {GOES_ON}"
                ) from error
            answer = Answer(too_large=f"the workers that trained it ended ({type(error).__name__})")
        if answer.refused:
            raise ConfigError(f"{self.workers.name}: {answer.refused}")
        rest = -done if answer.arrays is None else tile.program.total_steps - done
        self.tell(self.callbacks.trained, tile.program.name, rest * tile.step_seconds, False)
        if answer.arrays is not None:
            self.tell(self.callbacks.measured, tile, range(tile.program.settings.epochs + 1), answer.arrays)
            self._finish(work, tile, answer.arrays)
            return
        self._recall(work)
        self._lower(work, tile, "too large for a worker", RuntimeError(answer.too_large))
        self._send(work)

    def _recall(self, work: Work) -> None:
        """Take back a program's tiles that have not begun; those in work go on."""
        with self.changed:
            waiting = [n for n, (its, _, _) in self.sent.items() if its is work and not self.steps.get(n)]
        for number in waiting:
            _, tile, future = self.sent[number]
            if future.cancel():
                with self.changed:
                    del self.sent[number]
                    work.in_work -= 1
                    work.missing.append(tile)


GOES_ON = "finished tiles are kept, and the same command goes on from there"


def _save(tiles: TileCache, tile: Tile, future: Future) -> None:
    """Keep the measurements that came back while a run was ending."""
    with contextlib.suppress(Exception, CancelledError):  # a worker's error; the run has its own
        answer = future.result(timeout=0)
        if answer.arrays is not None:
            tiles.put(tile, answer.arrays)


def _without_data(tile: Tile) -> Tile:
    """Return a tile that weighs little: its program has this tile's variants alone, and no data."""
    program = replace(tile.program, variants=tile.variants, seeds=tile.seeds, material=None)  # type: ignore[arg-type]
    return Tile(program, tile.seeds, tile.variants)


def _modules(program: Program) -> dict[str, bytes]:
    """Return the sources of a program's custom functions that are no installed package's, with what they import."""
    modules = {name.partition(":")[0] for name in program.custom_functions}
    return {name: source for module in modules for name, source in custom.sources(module).items()}


# What follows runs in a worker process.

MOST_PROGRAMS = 16  # in the memory of a worker, which may live for weeks


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory of ordinary size.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536: freed memory goes back to the system at once, and each
    evaluation's buffers cost page faults again (a fifth of the time of small networks).
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(option, 2**25)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


class _Places:
    """The places of a worker process: one for each task at a time."""

    def __init__(self) -> None:
        _keep_freed_memory()
        start_jax()
        self.identity = identity()
        self.programs = ProgramCache(default_folder(), MOST_PROGRAMS)
        self.cpu = local_devices()[0].platform == "cpu"
        self.idle: list[tuple[Mesh, Held]] = [] if self.cpu else [(place, Held()) for place in local_places()]
        self.made = 0
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def one(self) -> Iterator[tuple[Mesh, Held]]:
        """Give a place that no other task has; a CPU has as many as there are tasks, other devices are waited for."""
        with self.changed:
            if self.cpu and not self.idle:
                self.made += 1
                self.idle.append((local_places(self.made)[-1], Held()))
            while not self.idle:
                self.changed.wait()
            place = self.idle.pop()
        try:
            yield place
        finally:
            with self.changed:
                self.idle.append(place)
                self.changed.notify()


_STARTING = threading.RLock()  # `cache` alone would make several, of tasks that begin at the same time


def _places() -> _Places:
    """Return what a worker process keeps from task to task."""
    with _STARTING:
        return _made()


@cache
def _made() -> _Places:
    return _Places()


@unchecked()
def train_task(task: Task, material: Material) -> Answer:
    """Train a task's tile in this process."""
    if reason := _differences(task):
        return Answer(refused=f"worker {socket.gethostname()}, process {os.getpid()}: {reason}")
    program = replace(task.tile.program, material=material)
    tile = Tile(program, task.tile.seeds, task.tile.variants)
    letters = Letters(task.topic, task.number)
    checkpoint, put = (letters.kept(), letters.keep) if task.keeps else (None, None)

    def report(progress: sweep.Progress) -> None:
        letters.steps(progress.steps)

    with _places().one() as (place, held):
        try:
            compiled, seconds = _places().programs.get(program, place)
            free = memory.free_bytes([place]) if task.limit is None else task.limit
            needed = compiled.memory and compiled.memory.total
            if free is not None and needed is not None and needed > free:
                return Answer(too_large=f"RESOURCE_EXHAUSTED: {needed} bytes are needed, {free} are free")
            data = held.put(place, program)
            return Answer(train_tile(tile, compiled, data, place, report, seconds, checkpoint, put))
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        held.release()
        return Answer(too_large=reason or "memory ran out")


def _differences(task: Task) -> str:
    """Return in words what differs between this process and the submitting one; empty where nothing does."""
    mine = _places().identity
    for key, wanted in task.identity.items():
        if mine[key] != wanted:
            if isinstance(wanted, dict):
                key, own, wanted = next((k, mine[key].get(k), v) for k, v in wanted.items() if mine[key].get(k) != v)
            else:
                own = mine[key]
            if key == "processor":
                return "its processor is another one, and would round differently"
            return f"{key} is {own} there and {wanted} here"
    if different := _different(task.modules):
        return f"module {different!r} differs from the one here (a worker that has loaded it must be restarted)"
    return ""


_ACCEPTED: dict[str, str] = {}  # the digest of each module's source when it was first accepted in this process


def _different(modules: Mapping[str, bytes]) -> str:
    """Return the name of a module that has another source here; those that are not here are made from their sources.

    A module that was edited since this process accepted it is still the old one in memory.
    """
    digests = {name: hashlib.sha256(source).hexdigest() for name, source in modules.items()}
    with _STARTING:
        new = {name: source for name, source in modules.items() if name not in _ACCEPTED}
        here = {name: file.read_bytes() for name in new if (file := custom.file_of(name)) is not None}
        changed = [name for name in modules if name in _ACCEPTED and _ACCEPTED[name] != digests[name]]
        if different := [*changed, *(name for name, source in here.items() if source != new[name])]:
            return different[0]
        finder = _Sent({name: source for name, source in new.items() if name not in here})
        sys.meta_path.append(finder)
        try:
            for name in finder.sources:
                importlib.import_module(name)
        finally:
            sys.meta_path.remove(finder)
        _ACCEPTED.update(digests)
        return ""


class _Sent(MetaPathFinder, InspectLoader):
    """Finds modules in the sources that came with a task."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how to make a module; None for a module that did not come."""
        return spec_from_loader(fullname, self) if fullname in self.sources else None

    def is_package(self, fullname: str) -> bool:
        """Return whether modules of this package came, too."""
        return any(name.startswith(f"{fullname}.") for name in self.sources)

    def get_source(self, fullname: str) -> str:
        """Return a module's source."""
        return decode_source(self.sources[fullname])
