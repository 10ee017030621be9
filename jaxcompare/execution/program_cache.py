"""Compiled programs: in memory while a cache object lives, and on disk, so that a later run neither traces nor compiles them.

JAX's own cache spares XLA's part alone: before JAX can look, a program has to be traced and lowered, which takes seconds of
Python for each. Here the key of a program is what the program is made from: the settings that are static in it, the shapes of
its arrays, this code, its packages, the device and JAX's configuration.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
from jax.experimental import serialize_executable
from jax.sharding import Mesh

from jaxcompare.config.comparison import digest
from jaxcompare.config.settings import keys_of
from jaxcompare.engine import sweep
from jaxcompare.execution.fingerprint import code_digest, flags, versions
from jaxcompare.planning.programs import STATIC, Program
from jaxcompare.planning.recipes import lowered, tile_arrays
from jaxcompare.system.files import write_atomically

SUPPORTED = ("cpu",)  # platforms whose programs are kept on disk; others: not tried
DAYS_KEPT = 30  # without being used
FORMAT = 1  # of the files
# Static settings that are not in the compiled program: shapes and traced numbers represent them.
REPRESENTED = keys_of("data", "measuring", "static.length")


class _Hits(threading.local):
    """How many programs this thread's compilations found in JAX's own cache."""

    count = 0

    def __call__(self, event: str, **_: Any) -> None:
        self.count += event == "/jax/compilation_cache/cache_hits"


class ProgramCache:
    """Compiled programs by what they are made from."""

    def __init__(self, folder: Path | None = None) -> None:
        """Keep programs in memory, and in a folder where one is given."""
        self.folder = folder
        self.programs: dict[str, sweep.Compiled] = {}
        self.locks: dict[str, threading.Lock] = {}
        self.lock = threading.Lock()
        self.hits = _Hits()
        self.common = {"format": FORMAT, "code": code_digest(), "versions": versions(), "processor": _processor()}
        if folder is not None:
            jax.monitoring.register_event_listener(self.hits)
            self._forget(folder)

    def get(self, program: Program, mesh: Mesh) -> tuple[sweep.Compiled, float]:
        """Return a compiled program and the seconds that loading or compiling it took; 0 for one in memory."""
        key = self.key(program, mesh)
        with self.lock:
            lock = self.locks.setdefault(key, threading.Lock())
        with lock:  # of two threads that want the same program, one compiles and the other waits
            if key in self.programs:
                return self.programs[key], 0.0
            start = time.perf_counter()
            self.programs[key] = self._load(self._path(program, mesh, key), mesh) or self._compile(program, mesh, key)
            return self.programs[key], time.perf_counter() - start

    def _compile(self, program: Program, mesh: Mesh, key: str) -> sweep.Compiled:
        before = self.hits.count
        compiled = sweep.compile_lowered(*lowered(program, mesh))
        path = self._path(program, mesh, key)
        # A program that came from JAX's cache cannot be written whole again (some of its functions are missing afterwards,
        # jaxlib 0.10). As long as JAX's cache has a program that is not here, each run traces it, and takes it from there.
        if path is not None and self.hits.count == before:
            # A full disk, a program that cannot be serialized: the next run compiles again, and this run continues.
            with contextlib.suppress(Exception):
                functions: list[Any] = [compiled.init, compiled.train]
                write_atomically(path, pickle.dumps([serialize_executable.serialize(one) for one in functions]))
        return compiled

    def _load(self, path: Path | None, mesh: Mesh) -> sweep.Compiled | None:
        """Return a program from its file, or None; a damaged file is removed."""
        if path is None:
            return None
        devices = list(mesh.devices.flat)
        try:
            init, train = (
                serialize_executable.deserialize_and_load(
                    executable, taken, given, backend=devices[0].client, execution_devices=devices
                )
                for executable, taken, given in pickle.loads(path.read_bytes())
            )
            memory = sweep.memory_of(train)
        except (OSError, MemoryError):  # there is none, or none that can be read now
            return None
        except Exception:  # each way to be damaged raises another kind
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):  # a read-only folder
            os.utime(path)
        return sweep.Compiled(init, train, memory, {})

    def _path(self, program: Program, mesh: Mesh, key: str) -> Path | None:
        # The modules that a custom function calls are not known, and may have changed unseen.
        kept = mesh.devices.flat[0].platform in SUPPORTED and not program.custom_functions
        return self.folder / f"{key}.program" if self.folder is not None and kept else None

    def key(self, program: Program, mesh: Mesh) -> str:
        """Return the digest of all that a compiled program is made from."""
        devices, settings = list(mesh.devices.flat), asdict(program.settings)
        arrays = (program.material.data, tile_arrays([program.tiles[0]] * sweep.tiles_at_once(mesh)))
        content = {
            **self.common,
            "device": [devices[0].device_kind, devices[0].client.platform_version],
            "mesh": [dict(mesh.shape), [device.id for device in devices]],
            "flags": [os.environ.get("XLA_FLAGS", ""), flags()],
            "configuration": {
                name: value
                for name, value in jax.config.values.items()
                if isinstance(value, (bool, int, float, str)) and "cache" not in name and "log" not in name
            },
            "settings": {name: settings[name] for name in STATIC if name not in REPRESENTED},
            "traced": [program.losses, program.activations, program.schedules, program.clip],
            "options": [settings["options"], program.optimizer_options] if program.custom_functions else None,
            "shapes": [
                [jax.tree_util.keystr(path), leaf.shape, str(leaf.dtype)]
                for path, leaf in jax.tree_util.tree_leaves_with_path(arrays)
            ],
            "classes": program.material.classes,
            "rows": program.rows,
        }
        return digest(content)[:32]

    def _forget(self, folder: Path) -> None:
        """Remove what has not been used for long, and the half-written files of a run that was killed."""
        for path in folder.glob("*.program*"):
            with contextlib.suppress(OSError):  # another run may have been faster
                if time.time() - path.stat().st_mtime > DAYS_KEPT * 86400:
                    path.unlink()


def default_folder() -> Path | None:
    """Return a folder beside the programs that JAX keeps itself; None where JAX keeps none."""
    values = jax.config.values
    kept = values["jax_enable_compilation_cache"] and values["jax_compilation_cache_dir"]
    return Path(kept) / "programs" if kept and "://" not in kept else None


def _processor() -> list[Any]:
    """Return the CPU's instruction sets: a home folder may be shared by machines that differ."""
    processor = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor += sorted(
            {line.partition(":")[2].strip() for line in lines if line.startswith(("flags", "Features"))}
        )
    return processor
