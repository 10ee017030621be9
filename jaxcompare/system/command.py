"""What every command needs around its work: streams that take all that it prints. Standard library only."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import ParamSpec

from jaxcompare.system.stopping import stoppable
from jaxcompare.system.text import readable

P = ParamSpec("P")
STREAMS = ("stdout", "stderr")


def command(main: Callable[P, int], stopped: str = "stopped") -> Callable[P, int]:
    """Wrap a command's `main`, so that nothing that it prints changes how it ends.

    A letter that the stream's encoding lacks is printed as an escape. A stream that is closed (`2>&-`), or whose reader has
    gone (`| head`), takes nothing more. Ctrl-C ends the command with code 130.

    A `main` without arguments reads those of its process. Only then the process is the command's: SIGTERM (code 143) and Ctrl-C
    end the whole process within seconds.

    Args:
        main: returns the exit code.
        stopped: the line on stderr of a command that is stopped.
    """

    @wraps(main)
    def wrapped(*args: P.args, **options: P.kwargs) -> int:
        with _streams():
            try:
                return main(*args, **options) if args or options else _whole_process(main, stopped)
            except KeyboardInterrupt:
                tell(stopped, "stderr")
                return 130

    return wrapped


def _whole_process(main: Callable[[], int], stopped: str) -> int:
    """Return the command's exit code, or end the process where a signal stopped the command."""
    with stoppable(_tell_below_bar, stopped) as stop:
        try:
            code = main()
        except BaseException:  # what a signal interrupts may raise something else
            if stop.number is None:
                raise
            stop.end()
        if code != 0 and stop.number is not None:  # what a signal ended may be an error of the command
            stop.end()
        return code


def _tell_below_bar(text: str) -> None:
    """Print a line on stderr; in a terminal, a bar of progress may have the current line."""
    tell(f"\n{text}" if sys.stderr.isatty() else text, "stderr")


def tell(text: str, stream: str = "stdout") -> None:
    """Print text on `stdout` or `stderr` at once; a reader that has gone does not matter."""
    with _while_read(stream):
        print(readable(text), file=getattr(sys, stream), flush=True)


@contextmanager
def _streams() -> Iterator[None]:
    """Let the streams take every letter until the block ends."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get this number, and what is printed there
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = {name: getattr(sys, name) for name in STREAMS}
    errors = {}
    for name, stream in before.items():
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (closed below)
        elif isinstance(stream, io.TextIOWrapper):
            errors[name] = stream.errors
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for name, stream in before.items():
            with _while_read(name):
                getattr(sys, name).flush()
            if name in errors:
                stream.reconfigure(errors=errors[name])
            elif stream is None:
                getattr(sys, name).close()
                setattr(sys, name, None)


@contextmanager
def _while_read(name: str) -> Iterator[None]:
    """End the block where the stream's reader has gone; what is left goes nowhere, so that Python's last flush succeeds."""
    try:
        yield
    except BrokenPipeError:
        with suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), getattr(sys, name).fileno())
