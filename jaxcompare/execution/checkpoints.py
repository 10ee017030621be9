"""Checkpoints of the tiles in work: a run that is stopped loses a minute of a tile, not the tile."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jaxcompare.engine.sweep import Checkpoint

FORMAT = 1  # of the bytes
SECONDS_BETWEEN = 60.0  # two checkpoints of a tile, at least
SHARE = 0.03  # of the time that a tile takes, at most, is spent on its checkpoints


def to_bytes(checkpoint: Checkpoint, seconds: float) -> bytes:
    """Return a checkpoint, and the seconds that training has taken, as bytes."""
    content = {
        "format": np.asarray(FORMAT),
        "steps": np.asarray(checkpoint.steps),
        "seconds": np.asarray(seconds),
        "types": np.asarray([leaf.dtype.name for leaf in checkpoint.carry]),
        # NumPy's files know no bfloat16.
        **{f"carry {n}": leaf.reshape(-1).view(np.uint8) for n, leaf in enumerate(checkpoint.carry)},
        **{f"shape {n}": np.asarray(leaf.shape, int) for n, leaf in enumerate(checkpoint.carry)},
        **{
            f"measured {name} {metric}": rows
            for name, metrics in checkpoint.measured.items()
            for metric, rows in metrics.items()
        },
    }
    buffer = io.BytesIO()
    np.savez(buffer, **content)  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(content: bytes) -> tuple[Checkpoint, float]:
    """Return what `to_bytes` was given.

    Raises:
        ValueError: the bytes are of another format.
    """
    with np.load(io.BytesIO(content)) as found:
        if int(found["format"]) != FORMAT:
            raise ValueError(f"a checkpoint of format {found['format']}, not {FORMAT}")
        types = [jnp.dtype(str(name)) for name in found["types"]]
        carry = [found[f"carry {n}"].view(kind).reshape(found[f"shape {n}"]) for n, kind in enumerate(types)]
        measured: dict[str, dict[str, np.ndarray]] = {}
        for key in found.files:
            kind, _, rest = key.partition(" ")
            if kind == "measured":
                name, _, metric = rest.partition(" ")
                measured.setdefault(name, {})[metric] = found[key]
        return Checkpoint(int(found["steps"]), carry, measured), float(found["seconds"])


class Keeper:
    """Keeps checkpoints of a tile while it trains: once a minute, or as rarely as keeps their cost small."""

    def __init__(
        self, put: Callable[[bytes], None], stopping: Callable[[], bool] = lambda: False, seconds: float = 0.0
    ) -> None:
        """Begin to count the time.

        Args:
            put: takes the bytes.
            stopping: whether training is about to be given up, so that a checkpoint is due now.
            seconds: that training took before, of the checkpoint that it goes on from.
        """
        self.put, self.stopping = put, stopping
        self.start = time.perf_counter() - seconds
        self.due = time.perf_counter() + SECONDS_BETWEEN

    def __call__(self, make: Callable[[], Checkpoint]) -> None:
        """Keep a checkpoint at a segment's end, if one is due."""
        began = time.perf_counter()
        if began < self.due and not self.stopping():
            return
        self.put(to_bytes(make(), began - self.start))
        ended = time.perf_counter()
        self.due = ended + max(SECONDS_BETWEEN, (ended - began) / SHARE)
