"""Worker processes that take tiles: any `concurrent.futures.Executor`, or a cluster of Dask's distributed.

Dask places tasks, replaces workers that end, and gives their tasks to others (https://distributed.dask.org). It is imported
where a cluster is asked for: the extra `cluster`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import tomllib
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jaxcompare.config.errors import ConfigError, brief
from jaxcompare.system.cores import usable_cores

KINDS = "tcp://HOST:PORT, tls://HOST:PORT, local:N or slurm:FILE"
SECONDS_TO_ANSWER = 10
LOOPBACK = "127.0.0.1"
GONE = (OSError, RuntimeError, CancelledError, asyncio.CancelledError)  # what a cluster that has gone may raise
DEATHS = 1  # a tile that ends more workers than this is halved


class Post(NamedTuple):
    """What the submitting process does with the letters of tasks, each known by its number."""

    steps: Callable[[int, int], None]  # a task's steps so far
    keep: Callable[[int, bytes], None]  # a checkpoint
    kept: Callable[[int], bytes | None]  # the last checkpoint of a task that begins


def _silent(topic: str, post: Post) -> AbstractContextManager[Any]:
    del topic, post
    return nullcontext()


@dataclass(frozen=True)
class Workers:
    """An executor of tasks, with what is particular to it."""

    executor: Executor
    name: str  # in messages
    hold: Callable[[Any], Any] = lambda data: data  # data as an argument of a task
    listen: Callable[[str, Post], AbstractContextManager[Any]] = _silent  # to the letters of a topic, for a block
    ended: Callable[[BaseException], bool] = lambda error: False  # whether an error says that a task ended workers
    options: Callable[[int], dict[str, Any]] = lambda order: {}  # of `submit`; tasks of a smaller order come first


def check_cluster(text: str, mesh: str | None) -> None:
    """Check `--cluster`, without connecting.

    Raises:
        ConfigError: an unknown kind, a number that is not one, a file that cannot be read, or `--mesh` beside it.
    """
    kind, _, rest = text.partition(":")
    if mesh is not None:
        raise ConfigError(
            f"--cluster {text} cannot be combined with --mesh {mesh}: a worker trains each tile on one device"
        )
    if kind == "local":
        if not rest.isdecimal() or not 1 <= int(rest[:9]) <= 1000:
            raise ConfigError(
                f"--cluster {brief(text)}: {brief(rest)!r} is not a number of worker processes from 1 to 1000"
            )
    elif kind == "slurm":
        _slurm_options(text, rest)
    elif kind not in ("tcp", "tls") or not rest.startswith("//") or not rest.rpartition(":")[2].isdecimal():
        raise ConfigError(f"--cluster {text}: it must be {KINDS}")
    try:
        import distributed as distributed

        if kind == "slurm":
            import dask_jobqueue as dask_jobqueue
    except ImportError as error:
        raise ConfigError(
            f"--cluster needs the extra `cluster`: pip install 'jaxcompare[cluster]' ({error})"
        ) from error


def _slurm_options(text: str, file: str) -> dict[str, Any]:
    try:
        options = tomllib.loads(Path(file).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--cluster {text}: {file!r} cannot be read: {error}") from error
    for key in ("workers", "cores", "memory", "interface"):
        if key not in options:
            raise ConfigError(f"--cluster {text}: {file} lacks {key!r} (docs/scaling.md has an example)")
    return options


@contextmanager
def connected(text: str) -> Iterator[Workers]:
    """Connect to a cluster, or start one that ends with the block.

    Args:
        text: `tcp://HOST:PORT` of a scheduler, `local:N` worker processes on this machine, or `slurm:FILE`, a TOML file
            with the options of `dask_jobqueue.SLURMCluster` and the number of `workers`.

    Raises:
        ConfigError: no scheduler answers, or the cluster cannot be started.
    """
    import dask
    from distributed import Client, LocalCluster
    from distributed.scheduler import KilledWorker

    kind, _, rest = text.partition(":")
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}))
        try:
            where: Any = text
            if kind == "local":
                threads = max(1, usable_cores() // int(rest))
                started = LocalCluster(int(rest), threads_per_worker=threads, host=LOOPBACK, dashboard_address=None)
                where = stack.enter_context(started)
            elif kind == "slurm":
                from dask_jobqueue import SLURMCluster

                options = _slurm_options(text, rest)
                count = options.pop("workers")
                where = stack.enter_context(SLURMCluster(**options))
                where.scale(jobs=count)
            client = stack.enter_context(Client(where, timeout=SECONDS_TO_ANSWER, set_as_default=False))
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"--cluster {text}: {str(error).partition(chr(10))[0] or type(error).__name__}"
            ) from error

        def hold(data: Any) -> Any:
            """Send data once: a worker that lacks them asks another worker, or the scheduler."""
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph")
                return client.submit(_itself, data, key=f"jaxcompare-data-{uuid.uuid4()}")

        yield Workers(
            client.get_executor(pure=False),
            f"the cluster {text}",
            hold,
            partial(_listening, client),
            lambda error: isinstance(error, KilledWorker),
            lambda order: {"priority": -order},
        )


@contextmanager
def _listening(client: Any, topic: str, post: Post) -> Iterator[None]:
    """Take the letters that tasks send, and answer those that ask for a checkpoint, until the block ends."""
    from distributed import Queue

    # The scheduler forgets a queue, with all letters in it, once everybody has closed it.
    letters = Queue(topic, client=client)

    def next_letter() -> Any:
        with suppress(*GONE):
            return letters.get()
        return None  # the cluster is gone: the tasks say so

    def listen() -> None:
        while (letter := next_letter()) is not None:
            kind, number, content = letter
            if kind == STEPS:
                post.steps(number, content)
            elif kind == CHECKPOINT:
                post.keep(number, content)
            else:
                found = post.kept(number)
                with suppress(*GONE), closing(Queue(content, client=client)) as answer:
                    answer.put(found or b"")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with suppress(*GONE):
            letters.put(None, timeout=SECONDS_TO_ANSWER)
        thread.join(SECONDS_TO_ANSWER)
        with suppress(*GONE):
            letters.close()


STEPS, CHECKPOINT, KEPT = "steps", "checkpoint", "kept"  # the kinds of letters


class Letters:
    """What a task sends home from a worker of Dask's; nothing from other workers, which have no way to.

    A letter that does not arrive costs what is in it: the task goes on.
    """

    def __init__(self, topic: str, number: int) -> None:
        """Find the worker that this thread belongs to."""
        self.topic, self.number = topic, number
        distributed = sys.modules.get("distributed")
        try:
            self.client = None if distributed is None else distributed.get_worker() and distributed.get_client()
        except ValueError:  # Dask is there, and this is no worker of its
            self.client = None

    def _send(self, kind: str, content: Any) -> None:
        if self.client is not None:
            with suppress(Exception), self._queue(self.topic) as letters:
                letters.put((kind, self.number, content), timeout=SECONDS_TO_ANSWER)

    def _queue(self, name: str) -> AbstractContextManager[Any]:
        return closing(sys.modules["distributed"].Queue(name, client=self.client))

    def steps(self, steps: int) -> None:
        """Say how many steps are done."""
        self._send(STEPS, steps)

    def keep(self, checkpoint: bytes) -> None:
        """Send a checkpoint, which another worker may go on from."""
        self._send(CHECKPOINT, checkpoint)

    def kept(self) -> bytes | None:
        """Ask for the last checkpoint of this task; None where there is none, or no answer."""
        name = f"{self.topic}-{uuid.uuid4()}"  # of this question alone: a late answer is to nobody
        if self.client is not None:
            with suppress(Exception), self._queue(name) as answer:
                self._send(KEPT, name)
                return answer.get(timeout=SECONDS_TO_ANSWER) or None
        return None


def _itself(data: Any) -> Any:
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave the messages of Dask's own log out: what ends a run is in the run's own words."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
