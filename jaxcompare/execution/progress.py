"""How far a run is: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 15.0
COMPILE_SECONDS = 8.0  # of one program on one core, about

_LOG = logging.getLogger(__name__)


class Progress:
    """Counts compiling and training by their estimated seconds on one core; a context manager.

    The share that is done never falls: what is added later only makes the rest longer.
    """

    def __init__(self, training: float, programs: int) -> None:
        """Begin at zero.

        Args:
            training: estimated seconds of all training, confirmations included.
            programs: how many programs there are to compile.
        """
        self.left, self.share = training + COMPILE_SECONDS * programs, 0.0
        self.programs, self.ready = programs, 0
        self.training_since: float | None = None  # when training began, and the share that was done then
        self.share_since = 0.0
        self.terminal = sys.stderr.isatty()
        self.start = self.last_line = time.monotonic()
        self.bar: Any = None

    def __enter__(self) -> Progress:
        if self.terminal:
            shape = "{percentage:3.0f}% {bar} {desc}, {elapsed} gone"
            self.bar = tqdm(total=1.0, desc="preparing programs", bar_format=shape, dynamic_ncols=True)
        else:
            _LOG.info("preparing programs")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        else:
            self._line("stopped" if self.share < 0.999 else "trained")

    def compiled(self, program: str) -> None:
        """Count a program that is ready, compiled or not needed."""
        del program
        self.ready += 1
        self._advance(COMPILE_SECONDS)
        self._show(f"{self.ready} of {self.programs} programs ready", time_left=False)

    def trained(self, program: str, seconds: float, kept: bool) -> None:
        """Count some training; negative seconds will be trained again.

        Args:
            program: its name.
            seconds: estimated, on one core.
            kept: whether an earlier run trained them.
        """
        self._advance(seconds)
        if self.training_since is None or kept:
            # Kept tiles took no time, and compiling before the first step will not come again.
            self.training_since, self.share_since = time.monotonic(), self.share
        self._show(program)

    def replan(self, expected: float, planned: float) -> None:
        """Replace the expected seconds of training that is still to come by the planned ones."""
        self.left = max(0.0, self.left + planned - expected)

    def _advance(self, seconds: float) -> None:
        if seconds > 0 and self.left > 0:
            self.share += (1 - self.share) * min(1.0, seconds / self.left)
        self.left = max(0.0, self.left - seconds)

    def _show(self, what: str, *, time_left: bool = True) -> None:
        if self.bar is not None:
            self.bar.set_description_str(", ".join([what, *([self._left()] if time_left else [])]), refresh=False)
            self.bar.update(self.share - self.bar.n)
        elif time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
            self._line(what, time_left=time_left)

    def _left(self) -> str:
        if self.training_since is None or self.share <= self.share_since:
            return "time left unknown yet"
        pace = (time.monotonic() - self.training_since) / (self.share - self.share_since)
        return f"about {tqdm.format_interval((1 - self.share) * pace)} left"

    def _line(self, what: str, *, time_left: bool = True) -> None:
        self.last_line = time.monotonic()
        gone = tqdm.format_interval(self.last_line - self.start)
        left = [self._left()] if time_left and what != "trained" else []
        _LOG.info("%3.0f%% %s", 100 * self.share, ", ".join([what, f"{gone} gone", *left]))
