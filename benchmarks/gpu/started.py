"""A process as its parent sees it: it compiles, waits, measures, and ends with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAUSE = 0.05  # seconds between two looks
ENDING = 10.0  # seconds that the system may take to end a process


class Started:
    """A process in a folder of its own, which has its log, and where it leaves `ready` and its answers.

    Args:
        command: what runs.
        environment: all of it.
        folder: must not be there yet.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.log, self.stopped = folder, folder / "log", False
        with self.log.open("w") as out:
            # In a session of its own, so that what it starts ends with it.
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                text=True,
                start_new_session=True,
            )

    @property
    def compiling(self) -> bool:
        """Whether it neither waits nor has ended."""
        return not (self.folder / "ready").exists() and self.process.poll() is None

    def wait_compiled(self, until: float) -> bool:
        """Returns when it waits or has ended, or, with False, when it is so late by `time.perf_counter`."""
        while self.compiling:
            if time.perf_counter() >= until:
                return False
            time.sleep(PAUSE)
        return True

    def go(self) -> None:
        """Lets it measure."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and its log says why
            self.process.stdin.write("go\n")
            self.process.stdin.flush()

    def finish(self, until: float) -> str | None:
        """Waits for its end, or ends it at that time; returns why it did not end well."""
        why = None
        try:
            if self.process.wait(timeout=max(0.0, until - time.perf_counter())):
                why = f"ended with code {self.process.returncode}: {self.last_words()}"
        except subprocess.TimeoutExpired:
            why = "stopped: it took too long"
        self.stop()
        return why

    def answer(self, place: int) -> dict[str, Any] | None:
        """What it left for one of its jobs."""
        with contextlib.suppress(OSError, json.JSONDecodeError):
            return json.loads((self.folder / f"answer{place}").read_text())
        return None

    def last_words(self) -> str:
        """The last line that it said."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def stop(self) -> None:
        """Ends it and whatever it has started."""
        if self.stopped:
            return
        self.stopped = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # held by a driver, say: nobody can do more
            self.process.wait(timeout=ENDING)
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
