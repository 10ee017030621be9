"""How far a run is: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from jaxcompare.compare import Tick

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Counts replica-steps; a context manager."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.trained = total, 0, 0
        self.terminal = sys.stderr.isatty()
        self.start = self.last_line = time.monotonic()
        self.bar: Any = None

    def __enter__(self) -> Progress:
        if self.terminal:
            shape = "{percentage:3.0f}% {bar} {desc}, {elapsed} gone, {remaining} left"
            self.bar = tqdm(total=self.total, bar_format=shape, dynamic_ncols=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        else:
            self._line("trained")

    def tick(self, tick: Tick) -> None:
        """Hears that some replica-steps are done."""
        self.done += tick.steps
        self.trained += 0 if tick.kept else tick.steps
        if self.bar is not None:
            self.bar.set_description_str(tick.program, refresh=False)
            self.bar.update(tick.steps)
        elif time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
            self._line(tick.program)

    def _line(self, what: str) -> None:
        self.last_line = time.monotonic()
        gone = self.last_line - self.start
        # Steps that were kept from before took no time and say nothing about the pace.
        left = (self.total - self.done) * gone / self.trained if self.trained else 0.0
        print(
            f"{100 * self.done / max(1, self.total):3.0f}% {what}, "
            f"{tqdm.format_interval(gone)} gone, about {tqdm.format_interval(left)} left",
            file=sys.stderr,
            flush=True,
        )
