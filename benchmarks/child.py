"""One way in a process of its own, told over pipes what to do: so thread pools do not meet, and peak memory is a way's own.

Reads a request a line from standard input, answers with a line each; both are JSON. What libraries print goes to
standard error. Between requests it waits in a read.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from benchmarks.measured import Prepared, rate, steps_for

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes() -> int:
    """The most memory that this process has held, since the start or since `forget_peak`."""
    try:
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):  # not Linux
        import resource

        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size if sys.platform == "darwin" else size * 1024


def forget_peak() -> None:
    """Lets the peak start anew from what is held now, where the system can."""
    try:
        # What compiling took and gave back still counts as held, unless the allocator lets go of it.
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text("5")
    except (OSError, AttributeError):
        return


def forget_device_peak() -> None:
    """The same for what PyTorch holds on a GPU; JAX cannot forget."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def device_peak_bytes(module: str) -> int | None:
    """The most memory that was held on a GPU, where there is one; of JAX since the start, its trials of products included."""
    if module.startswith("torch"):
        import torch

        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    jax = sys.modules.get("jax")
    if jax is None:
        return None
    stats = [device.memory_stats() or {} for device in jax.local_devices() if device.platform != "cpu"]
    return sum(one.get("peak_bytes_in_use", 0) for one in stats) if stats else None


class Server:
    """Answers requests: prepare, repeat."""

    def __init__(self, target: str) -> None:
        self.module, name = target.split(":")
        self.function = getattr(importlib.import_module(f"benchmarks.{self.module}"), name)
        if self.module in ("ours", "ceiling"):
            importlib.import_module("jax.numpy")
        self.prepared: Prepared | None = None
        self.steps = 0
        self.baseline = peak_bytes()

    def prepare(self, arguments: list[Any], seconds: float) -> dict[str, Any]:
        """Gets the way ready, warm, and reckons how many steps take so many seconds."""
        self.prepared = None  # what the last one held goes first
        gc.collect()
        forget_peak()
        self.prepared = self.function(*arguments)
        self.steps = steps_for(self.prepared, seconds)
        made = self.prepared
        preparing = peak_bytes()
        gc.collect()
        forget_peak()
        if self.module.startswith("torch"):
            forget_device_peak()
        return {
            "compile_seconds": made.compile_seconds,
            "load_seconds": made.load_seconds,
            "note": made.note,
            "details": made.details,
            "counts": [unit.count for unit in made.units],
            "steps": self.steps,
            "baseline_bytes": self.baseline,
            "prepare_peak_bytes": preparing,
        }

    def repeat(self) -> dict[str, Any]:
        """One timed run."""
        assert self.prepared is not None
        found = rate(self.prepared, self.steps)
        return {"rate": found, "peak_bytes": peak_bytes(), "device_peak_bytes": device_peak_bytes(self.module)}

    def run(self, unit: int, steps: int) -> dict[str, Any]:
        """So many steps of one unit."""
        assert self.prepared is not None
        self.prepared.units[unit].run(steps)
        return {}

    def platform(self) -> dict[str, Any]:
        """`cpu` or `gpu`."""
        import jax

        return {"platform": jax.default_backend(), "device": jax.devices()[0].device_kind}


def serve(target: str, requests: TextIO, answers: TextIO) -> None:
    """Answers until there are no more requests. An error is an answer too."""
    server = None
    for line in requests:
        request = json.loads(line)
        try:
            server = server or Server(target)
            answer = getattr(server, request.pop("do"))(**request)
        except Exception as error:  # the other ways go on
            traceback.print_exc()
            first = str(error).strip().splitlines()
            answer = {"error": f"{type(error).__name__}: {first[0] if first else ''}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as pipe:
        os.dup2(2, 1)  # nothing but answers may come through the pipe
        serve(sys.argv[1], sys.stdin, pipe)
