"""Faults on purpose: kills, signals, flipped bits, two runs at once, a full disk. Prints what became of each.

`python -m benchmarks.torture` (`make torture`) takes about an hour on two cores. It exits with 1 where a promise of
docs/reliability.md was not kept. What cannot be tried here (a full disk needs the right to mount) is said to be not measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from jaxcompare.system.command import command, tell

CONFIG = """
[base]
dataset = "moons"
samples = 200
hidden = [8]
epochs = 600
evaluate_every = 100
measure_every = 100
seeds = 4
[[study]]
[study.grid]
optimizer = ["sgd", "adam"]
learning_rate = {rates}
"""
RATES = {"one": "[0.1, 0.01]", "two": "[0.2, 0.02]"}
GOOD = ("equal", "noticed", "harmless", "code 2", "code 130", "code 143", "merged")
NOT_MEASURED = "not measured"


class Torture:
    """A folder with two comparisons and their true results."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Write the configs, and train what all others are compared with."""
        self.folder, self.random = folder, random.Random(seed)
        for name, rates in RATES.items():
            (folder / f"{name}.toml").write_text(CONFIG.format(rates=rates))
        self.environment = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
        start = time.monotonic()
        for name in RATES:
            if self.start("true", name).wait():
                raise SystemExit("the reference could not be trained")
        self.seconds = (time.monotonic() - start) / len(RATES)
        self.expected = self.tables("true")

    def start(self, out: str, name: str = "one", *more: str) -> subprocess.Popen[str]:
        """Begin a run in a process of its own."""
        run = [sys.executable, "-m", "jaxcompare.run", "--exp", str(self.folder / f"{name}.toml"), "--lang", "en"]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            [*run, "--out", str(self.folder / out), *more], env=self.environment, start_new_session=True, **streams
        )  # type: ignore[call-overload,no-any-return]

    def tables(self, out: str) -> dict[str, list[str]]:
        """Return the rows of the tables without clock times, sorted: the comparison that came first has the first rows."""
        paths = [path for path in (self.folder / out / "tables").glob("*.parquet") if path.stem != "timing"]
        return {path.stem: sorted(map(repr, pd.read_parquet(path).to_numpy().tolist())) for path in paths}

    def ends_equal(self, out: str) -> str:
        """Finish both comparisons; return whether all is as if nothing had happened."""
        for name in RATES:
            process = self.start(out, name)
            said = process.communicate()[1]
            if process.returncode:
                return f"code {process.returncode} afterwards: {said[-200:]}"
        return "equal" if self.tables(out) == self.expected else "different"

    def fresh(self, out: str) -> str:
        """Return the name of a folder that is not there."""
        shutil.rmtree(self.folder / out, ignore_errors=True)
        return out

    def kills(self, count: int) -> Iterator[str]:
        """Kill runs at random moments, some of them twice; what is left is finished and compared."""
        for _ in range(count):
            out = self.fresh("killed")
            for _ in range(self.random.choice((1, 1, 2))):
                process = self.start(out)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=self.random.uniform(0, 1.2 * self.seconds))
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            yield self.ends_equal(out)

    def signals(self, count: int) -> Iterator[str]:
        """Stop runs at random moments: the code is right, and the end comes within six seconds."""
        for _ in range(count):
            kind, out = self.random.choice((signal.SIGINT, signal.SIGTERM)), self.fresh("stopped")
            process = self.start(out)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=self.random.uniform(2.0, self.seconds))
            if process.poll() is not None:
                yield "equal"  # it was finished
                continue
            process.send_signal(kind)
            began = time.monotonic()
            process.communicate()
            slow = time.monotonic() - began > 6
            yield f"{time.monotonic() - began:.0f} s" if slow else f"code {process.returncode}"

    def together(self, count: int) -> Iterator[str]:
        """Two comparisons go into one folder at once: both are there afterwards, or one is refused."""
        for _ in range(count):
            out = self.fresh("together")
            both = [self.start(out, name) for name in RATES]
            for process in both:
                process.communicate()
            codes = sorted(process.returncode for process in both)
            ended = self.ends_equal(out)
            yield ended if ended != "equal" else "merged" if codes == [0, 0] else f"code {codes[-1]}"

    def flips(self, count: int) -> Iterator[tuple[str, str]]:
        """Flip a bit of a file: the next command notices, or nothing is other than it was."""
        kinds = {
            "tables": "true/tables/*.parquet",
            "fields": "true/tables/fields.npz",
            "manifest": "true/manifest.json",
            "state": "true/.run/state.json",
            "tile sizes": "true/.run/tiles.json",
            "tiles": "true/.run/parts/*/*.tile",
            "programs": "cache/**/*.program",
        }
        for kind, pattern in kinds.items():
            paths = sorted(self.folder.glob(pattern))
            if not paths:
                yield kind, NOT_MEASURED
            for _ in range(count if paths else 0):
                path = self.random.choice(paths)
                whole = path.read_bytes()
                content, place = bytearray(whole), self.random.randrange(len(whole))
                content[place] ^= 1 << self.random.randrange(8)
                path.write_bytes(content)
                yield kind, read_again(path, whole)
                path.write_bytes(whole)

    def full_disk(self, count: int) -> Iterator[str]:
        """Run on a disk of some kilobytes, then on a larger one."""
        for _ in range(count):
            out = self.fresh("full")
            (self.folder / out).mkdir()
            size = f"size={self.random.randrange(20, 9000)}k"
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", size, "tmpfs", self.folder / out], capture_output=True, check=False
            )
            if mounted.returncode:
                yield NOT_MEASURED
                return
            try:
                process = self.start(out)
                said = process.communicate()[1]
                if "Traceback" in said or process.returncode not in (0, 2):
                    yield f"code {process.returncode}: {said[-200:]}"
                    continue
                subprocess.run(["mount", "-o", "remount,size=100m", self.folder / out], check=True)
                yield self.ends_equal(out)
            finally:
                subprocess.run(["umount", self.folder / out], check=True)


def read_again(path: Path, whole: bytes) -> str:
    """Return what reading a damaged file comes to: with the functions that a run reads it with."""
    from jaxcompare import report
    from jaxcompare.config.errors import InputError
    from jaxcompare.system.manifest import read_manifest
    from jaxcompare.system.sealed import DamagedError, unseal
    from jaxcompare.system.strict_json import from_digested_json

    root = next((parent for parent in path.parents if (parent / "manifest.json").exists()), path.parent)
    readers: dict[str, Callable[[], object]] = {
        ".parquet": lambda: report.read_tables(root),
        ".npz": lambda: report.read_fields(root),
        ".json": lambda: from_digested_json(path.read_bytes()),
        ".tile": lambda: unseal(path.read_bytes()),
        ".program": lambda: unseal(path.read_bytes(), next(path.parents[1].rglob("key")).read_bytes()),
    }
    if path.name == "manifest.json":
        readers[".json"] = lambda: read_manifest(root)
    try:
        found = readers[path.suffix]()
    except (InputError, DamagedError, ValueError):
        return "noticed"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:80]
    damaged = path.read_bytes()
    path.write_bytes(whole)
    try:
        return "harmless" if path.suffix == ".json" and found == readers[path.suffix]() else "silent"
    finally:
        path.write_bytes(damaged)


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=__doc__)
    for name, count in {"kills": 100, "signals": 20, "together": 10, "flips": 200, "full-disk": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and places")
    given = parser.parse_args(arguments)
    counts: Counter[tuple[str, str]] = Counter()

    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), given.seed)
        for kind, found in torture.flips(given.flips):
            counts[f"a bit of {kind}", found] += 1
        for kind, each in {
            "two runs at once": torture.together(given.together),
            "full disk": torture.full_disk(given.full_disk),
            "signals": torture.signals(given.signals),
            "kills": torture.kills(given.kills),
        }.items():
            for found in each:
                counts[kind, found] += 1
                tell(f"{kind}: {found}", "stderr")
    for (kind, found), number in sorted(counts.items()):
        tell(f"{kind:24} {number:5}  {found}")
    return int(any(found not in (*GOOD, NOT_MEASURED) for _, found in counts))


if __name__ == "__main__":
    sys.exit(main())
