"""How far a run is: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from jaxcompare.execution.trainer import Tick

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Counts training by what it was reckoned to take, in seconds; a context manager."""

    def __init__(self, total: float) -> None:
        self.total, self.done = total, 0.0
        self.pace_from: tuple[float, float] | None = None  # when the first training was done, and how much
        self.terminal = sys.stderr.isatty()
        self.start = self.last_line = time.monotonic()
        self.bar: Any = None

    def __enter__(self) -> Progress:
        if self.terminal:
            shape = "{percentage:3.0f}% {bar} {desc}, {elapsed} gone"
            self.bar = tqdm(total=self.total, desc="preparing programs", bar_format=shape, dynamic_ncols=True)
        else:
            print("preparing programs", file=sys.stderr, flush=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        else:
            self._line("stopped" if self.done < 0.999 * self.total else "trained")

    def ready(self, program: str, done: int, total: int) -> None:
        """Hears that a program is compiled, or found on the shelf."""
        if self.bar is not None:
            self.bar.set_description_str(f"{done} of {total} programs ready", refresh=True)
        elif time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
            self.last_line = time.monotonic()
            print(f"{done} of {total} programs ready", file=sys.stderr, flush=True)

    def tick(self, tick: Tick) -> None:
        """Hears that some training is done."""
        self.done += tick.seconds
        if self.pace_from is None or tick.kept:
            # What was kept from before took no time, and what was compiled before the first step will not be again.
            self.pace_from = time.monotonic(), self.done
        if self.bar is not None:
            self.bar.set_description_str(f"{tick.program}, {self._left()}", refresh=False)
            self.bar.update(tick.seconds)
        elif time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
            self._line(tick.program)

    def more(self, seconds: float) -> None:
        """Hears that there is more to train than was known at first."""
        self.total += seconds
        if self.bar is not None:
            self.bar.total = self.total

    def _left(self) -> str:
        since, done = self.pace_from or (0.0, 0)
        if self.done <= done:
            return "time left unknown yet"
        seconds = max(0.0, self.total - self.done) * (time.monotonic() - since) / (self.done - done)
        return f"about {tqdm.format_interval(seconds)} left"

    def _line(self, what: str) -> None:
        self.last_line = time.monotonic()
        gone = tqdm.format_interval(self.last_line - self.start)
        share = 100 * self.done / max(1e-9, self.total)
        left = [] if what == "trained" else [self._left()]
        print(f"{share:3.0f}% {', '.join([what, f'{gone} gone', *left])}", file=sys.stderr, flush=True)
