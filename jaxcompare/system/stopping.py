"""Ctrl-C and SIGTERM end a command within seconds, also while a compiler has its main thread. Standard library only.

Python calls a signal's handler in the main thread, between two lines of Python: minutes later where that thread waits for a
compiler, or for threads that do. Therefore another thread watches as well. Python writes a signal's number to a socket at once,
and where the command has not ended by itself in time, the thread ends the process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import util
from typing import Any, NoReturn

# With the handlers that Python starts with.
SIGNALS: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
SECONDS_TO_END = 4.0  # that a command has for ending by itself
SECONDS_TO_ANSWER = 0.3  # a command that ends faster says one line alone
SECONDS_A_STEP = 0.5  # for each step of ending the process: a reader of stderr may be stuck
ANSWER = "stopping; once more ends now"


class Stop:
    """Ends a process that a signal stops."""

    def __init__(self, tell: Callable[[str], None], stopped: str) -> None:
        """Remember how to say something, and what to say last."""
        self.tell, self.stopped = tell, stopped
        self.number: int | None = None  # of the signal that came first
        self.raised = False
        self.ending = threading.Lock()

    def interrupt(self, number: int, _: Any) -> None:
        """Raise KeyboardInterrupt for the first signal: a second one ends the process, and must not disturb its cleaning up."""
        self.number = self.number or number
        if not self.raised:
            self.raised = True
            raise KeyboardInterrupt

    def watch(self, numbers: socket.socket) -> None:
        """Wait for a signal, and end the process some seconds later, or at a second signal."""
        with numbers, suppress(EOFError):
            self.number = _next(numbers, None)
            deadline = time.monotonic() + SECONDS_TO_END
            if _next(numbers, SECONDS_TO_ANSWER) is None:
                threading.Thread(target=self.tell, args=(ANSWER,), daemon=True).start()
                _next(numbers, deadline - time.monotonic())
            self.end()

    def end(self) -> NoReturn:
        """End this process and those that it started, without Python's own end: that waits for every thread."""
        with self.ending:  # for ever: of two threads that come here, the first ends both
            for step in (_end_children, lambda: self.tell(self.stopped)):
                thread = threading.Thread(target=_quietly, args=(step,), daemon=True)
                thread.start()
                thread.join(SECONDS_A_STEP)
            os._exit(128 + (self.number or signal.SIGINT))


@contextmanager
def stoppable(tell: Callable[[str], None], stopped: str) -> Iterator[Stop]:
    """Raise KeyboardInterrupt at Ctrl-C and SIGTERM, and end the process soon after, even if the block goes on.

    Signals that something else handles, or that are ignored, stay as they are: Ctrl-C under `nohup`, for example. A thread
    other than the main thread can handle none.

    Args:
        tell: prints a line.
        stopped: the last line of a process that is ended.
    """
    stop = Stop(tell, stopped)
    ours = [number for number, default in SIGNALS.items() if signal.getsignal(number) is default]
    if threading.current_thread() is not threading.main_thread() or not ours:
        yield stop
        return
    numbers, written = socket.socketpair()
    written.setblocking(False)
    threading.Thread(target=stop.watch, args=(numbers,), daemon=True).start()
    before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    for number in ours:
        signal.signal(number, stop.interrupt)
    try:
        yield stop
    finally:
        for number in ours:
            signal.signal(number, SIGNALS[number])
        signal.set_wakeup_fd(before)
        written.close()  # the thread ends


def _next(numbers: socket.socket, seconds: float | None) -> int | None:
    """Wait for one of the signals; None: there was none in time. Raise EOFError where the command has ended."""
    deadline = None if seconds is None else time.monotonic() + seconds
    with suppress(TimeoutError):
        while True:
            numbers.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
            number = numbers.recv(1)
            if not number:
                raise EOFError
            if number[0] in SIGNALS:
                return number[0]
    return None


def _end_children() -> None:
    children = multiprocessing.active_children()
    for process in children:
        process.kill()
    for process in children:
        process.join(SECONDS_A_STEP / 2)
    # Semaphores that are left would be a warning of multiprocessing's.
    util._run_finalizers(0)  # type: ignore[attr-defined]


def _quietly(step: Callable[[], None]) -> None:
    with suppress(Exception):
        step()
