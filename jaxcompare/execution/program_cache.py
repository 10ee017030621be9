"""Compiled programs: in memory while a cache object lives, and on disk, so that a later run neither traces nor compiles them.

JAX's own cache spares XLA's part alone: before JAX can look, a program has to be traced and lowered, which takes seconds of
Python for each. Here the key of a program is what the program is made from: the settings that are static in it, the shapes of
its arrays, this code, its packages, the device and JAX's configuration.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src import config as jax_config
from jax._src.compiler import get_compile_options
from jax.experimental import serialize_executable
from jax.sharding import Mesh

from jaxcompare.config.comparison import digest
from jaxcompare.config.settings import keys_of
from jaxcompare.engine import sweep
from jaxcompare.execution.fingerprint import code_digest, flags, processor, versions
from jaxcompare.planning.programs import STATIC, Program
from jaxcompare.planning.recipes import lowered, tile_arrays
from jaxcompare.system.files import write_atomically

SUPPORTED = ("cpu",)  # platforms whose programs are kept on disk; others: not tried
DAYS_KEPT = 30  # without being used
FORMAT = 2  # of the files
# Static settings that are not in the compiled program: shapes and traced numbers represent them.
REPRESENTED = keys_of("data", "measuring", "static.length")


class ProgramCache:
    """Compiled programs by what they are made from, and by the place that they run on.

    A program is compiled once and loaded for every other place, so that all places run the same executable.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Keep programs in memory, and in a folder where one is given."""
        self.folder = folder
        self.programs: dict[tuple[str, Mesh], sweep.Compiled] = {}
        self.serialized: dict[str, bytes] = {}  # what was loaded cannot be serialized again, so the bytes are kept
        self.measuring_seconds: dict[str, dict[int, float]] = {}  # one for all places
        self.locks: dict[str, threading.Lock] = {}
        self.lock = threading.Lock()
        self.common = {"format": FORMAT, "code": code_digest(), "versions": versions(), "processor": processor()}
        if folder is not None:
            self._forget(folder)

    def get(self, program: Program, place: Mesh) -> tuple[sweep.Compiled, float]:
        """Return a compiled program and the seconds that loading or compiling it took; 0 for one in memory."""
        key = self.key(program, place)
        if (key, place) in self.programs:
            return self.programs[key, place], 0.0
        with self.lock:
            lock = self.locks.setdefault(key, threading.Lock())
        with lock:  # of two threads that want the same program, one compiles and the other waits
            start = time.perf_counter()
            functions = self._load(self._path(program, place, key), key, place)
            if functions is None and (key, place) not in self.programs:
                functions = self._compile(program, place, key)
        if functions is not None:
            timed = self.measuring_seconds.setdefault(key, {})
            self.programs[key, place] = sweep.Compiled(functions[0], functions[1], sweep.memory_of(functions[1]), timed)
        return self.programs[key, place], time.perf_counter() - start

    def _compile(self, program: Program, place: Mesh, key: str) -> list[Any]:
        path = self._path(program, place, key)
        with _not_in_jaxs_cache() if _platform(place) in SUPPORTED else contextlib.nullcontext():
            functions = [one.compile() for one in lowered(program, place)]
        # A full disk, a program that cannot be serialized: it is compiled again when it is needed, and this run continues.
        with contextlib.suppress(Exception):
            parts = [serialize_executable.serialize(one) for one in functions]
            self.serialized[key] = pickle.dumps([_ids(place), parts])
            if path is not None:
                write_atomically(path, self.serialized[key])
        return functions

    def _load(self, path: Path | None, key: str, place: Mesh) -> list[Any] | None:
        """Return a program's functions from memory or from its file, or None; a damaged file is removed."""
        content = self.serialized.get(key)
        if content is not None:
            path = None  # the file is read once
        try:
            if content is None:
                if path is None:
                    return None
                content = path.read_bytes()
            ids, parts = pickle.loads(content)
            functions = [_loaded(part, ids, place) for part in parts]
        except (OSError, MemoryError):  # there is none, or none that can be read now
            return None
        except Exception:  # each way to be damaged raises another kind
            with contextlib.suppress(OSError):
                if path is not None:
                    path.unlink()
            return None
        self.serialized[key] = content
        with contextlib.suppress(OSError):  # a read-only folder
            if path is not None:
                os.utime(path)
        return functions

    def _path(self, program: Program, place: Mesh, key: str) -> Path | None:
        # The modules that a custom function calls are not known, and may have changed unseen.
        kept = _platform(place) in SUPPORTED and not program.custom_functions
        return self.folder / f"{key}.program" if self.folder is not None and kept else None

    def key(self, program: Program, place: Mesh) -> str:
        """Return the digest of all that a compiled program is made from; equal for places of one kind and size."""
        device, settings = place.devices.flat[0], asdict(program.settings)
        arrays = (program.material.data, tile_arrays(program.tiles[0]))
        content = {
            **self.common,
            "device": [device.device_kind, device.client.platform_version, place.size],
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


def _platform(place: Mesh) -> str:
    return place.devices.flat[0].platform


def _ids(place: Mesh) -> list[int]:
    return [device.id for device in place.devices.flat]


def _not_in_jaxs_cache() -> contextlib.AbstractContextManager[Any]:
    """Keep what is compiled here out of JAX's own cache.

    A program that came from there cannot be serialized whole (some of its functions are missing afterwards, jaxlib 0.10).
    """
    return jax_config.persistent_cache_min_compile_time_secs(float("inf"))


class _Relocated(serialize_executable._JaxPjrtUnpickler):
    """Reads an executable for other devices of the same client than those that it was compiled for."""

    def __init__(self, file: io.BytesIO, place: Mesh, ids: Sequence[int]) -> None:
        devices = list(place.devices.flat)
        super().__init__(file, devices[0].client, devices)
        self.devices_by_id = dict(zip(ids, devices, strict=True))
        assignment = np.asarray([_ids(place)])
        self.options = get_compile_options(1, len(devices), device_assignment=assignment)

    def persistent_load(self, pid: tuple) -> Any:
        if pid[0] != "exec":
            return super().persistent_load(pid)
        return self.backend.deserialize_executable(pid[1], self.execution_devices, self.options)


def _loaded(part: tuple[bytes, Any, Any], ids: Sequence[int], place: Mesh) -> jax.stages.Compiled:
    """Return a serialized function for a place; `ids` are of the devices that it was compiled for."""
    (executable, taken, given), devices = part, list(place.devices.flat)
    if list(ids) == _ids(place):
        return serialize_executable.deserialize_and_load(
            executable, taken, given, backend=devices[0].client, execution_devices=devices
        )
    unloaded, arguments, no_keywords = _Relocated(io.BytesIO(executable), place, ids).load()
    return jax.stages.Compiled(unloaded.load(), [], taken.unflatten(arguments), given, no_kwargs=no_keywords)
