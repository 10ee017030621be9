"""Worker processes that need nothing of the caller's script, and end with the caller. Standard library only."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection
from types import ModuleType
from typing import Any


class Processes:
    """Worker processes; a context manager that waits for them, or ends them at once where its block raises.

    Workers are spawned, not forked: the caller may hold JAX's threads.
    """

    def __init__(self, count: int, niceness: int = 0) -> None:
        """Run at most `count` processes, of a lower priority where the niceness is higher."""
        self.pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin, (niceness,))

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for process in self.running():
                process.terminate()
        self.pool.shutdown(wait=kind is None, cancel_futures=kind is None)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """Return the call's future. A lost process, or one that cannot be started, is an exception in the future."""
        try:
            with _alone():
                return self.pool.submit(function, *arguments)
        except Exception as error:  # the pool is broken, or the system gives no more processes
            failed: Future = Future()
            failed.set_exception(error)
            return failed

    def finish_begun(self) -> None:
        """Cancel the calls that have not begun; return without waiting for the others.

        The pool itself cancels them. Where a process is lost, Python 3.11 fails on futures that somebody else has cancelled.
        """
        self.pool.shutdown(wait=False, cancel_futures=True)

    def running(self) -> list[Any]:
        """Return the processes that were started."""
        return list((self.pool._processes or {}).values())  # public from Python 3.14 on, as `terminate_workers`


def _begin(niceness: int) -> None:
    """Begin a worker process, before it imports what its work needs."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(niceness)


def _end_with_parent() -> None:
    """End this process when its parent has ended, in any way: nobody would take what the process makes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _alone() -> Iterator[None]:
    """Start processes that neither import the caller's script nor see Ctrl-C.

    A script from stdin has no file that a spawned process could import, and a script without a guard
    (`if __name__ == "__main__"`) would run again there. Ctrl-C goes to every process of a terminal: the caller alone answers,
    and ends the others. A process inherits the blocked signal even before its first line of Python.
    """
    main, blocks = sys.modules["__main__"], hasattr(signal, "pthread_sigmask")  # not on Windows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if blocks else ()
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if blocks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
