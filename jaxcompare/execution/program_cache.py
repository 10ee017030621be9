"""Compiled programs: in memory while a cache object lives, and on disk, so that a later run neither traces nor compiles them.

JAX's own cache spares XLA's part alone: before JAX can look, a program has to be traced and lowered, which takes seconds of
Python for each. Here the key of a program is what the program is made from: the settings that are static in it, the shapes of
its arrays, this code, its packages, the device and JAX's configuration.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import pickle
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src import config as jax_config
from jax._src.compiler import get_compile_options
from jax.experimental import serialize_executable
from jax.sharding import Mesh

from jaxcompare.config.comparison import digest
from jaxcompare.config.registry import resolve
from jaxcompare.config.settings import OPTION_TABLES, keys_of
from jaxcompare.engine import sweep
from jaxcompare.execution.fingerprint import code_digest, flags, plugin_digests, processor, versions
from jaxcompare.planning.programs import STATIC, Program
from jaxcompare.planning.recipes import lowered, tile_arrays
from jaxcompare.system.files import cache_folder, set_aside, write_atomically
from jaxcompare.system.private import NotPrivateError, make_private, private_key
from jaxcompare.system.sealed import seal, unseal

SUPPORTED = ("cpu",)  # platforms whose programs are kept on disk; others: not tried
DAYS_KEPT = 30  # without being used
FORMAT = 3  # of the files
# Static settings that are not in the compiled program: shapes and traced numbers represent them.
REPRESENTED = keys_of("data", "measuring", "static.length")
_LOG = logging.getLogger(__name__)


@dataclass
class _Entry:
    """What is kept in memory of one program."""

    compiled: dict[Mesh, sweep.Compiled] = field(default_factory=dict)
    serialized: bytes | None = None  # what was loaded cannot be serialized again, so the bytes are kept
    measuring_seconds: dict[int, float] = field(default_factory=dict)  # one for all places
    lock: threading.Lock = field(default_factory=threading.Lock)
    functions: list[Any] = field(default_factory=list)  # the custom ones, whose ids are in the key: these live as long


class ProgramCache:
    """Compiled programs by what they are made from, and by the place that they run on.

    A program is compiled once and loaded for every other place, so that all places run the same executable.

    A file of a program is run as code. Only this user can write into the folder, and a digest with this user's key is checked
    before anything is read from a file. Files under other keys are left alone: they are those of another host's home.
    """

    def __init__(self, folder: Path | None = None, most: int | None = None) -> None:
        """Keep programs in memory, and in a folder where one is given.

        Args:
            folder: for this user alone; one that other users can write into is not used, which is logged.
            most: programs in memory; those used least recently are dropped. None: as many as there are.
        """
        self.most = most
        self.entries: dict[str, _Entry] = {}  # the one used last is the last
        self.lock = threading.Lock()
        self.common = {"format": FORMAT, "code": code_digest(), "versions": versions(), "processor": processor()}
        self.folder, self.secret = _trusted(folder)
        if self.folder is not None:
            self._forget(self.folder)

    def get(self, program: Program, place: Mesh) -> tuple[sweep.Compiled, float]:
        """Return a compiled program and the seconds that loading or compiling it took; 0 for one in memory."""
        key = self.key(program, place)
        entry = self._entry(key)
        entry.functions = _functions(program)
        if place in entry.compiled:
            return entry.compiled[place], 0.0
        with entry.lock:  # of two threads that want the same program, one compiles and the other waits
            start = time.perf_counter()
            if place not in entry.compiled:
                path = self._path(program, place, key)
                functions = self._load(path, entry, place) or self._compile(program, place, path, entry)
                init, train = functions
                memory = sweep.memory_of(train)
                entry.compiled[place] = sweep.Compiled(init, train, memory, entry.measuring_seconds)
        return entry.compiled[place], time.perf_counter() - start

    def _entry(self, key: str) -> _Entry:
        """Return the entry of a key. Who uses an entry that is dropped here holds it."""
        with self.lock:
            entry = self.entries.pop(key) if key in self.entries else _Entry()
            self.entries[key] = entry
            while self.most is not None and len(self.entries) > self.most:
                del self.entries[next(iter(self.entries))]
        return entry

    def _compile(self, program: Program, place: Mesh, path: Path | None, entry: _Entry) -> list[Any]:
        with _not_in_jaxs_cache() if _platform(place) in SUPPORTED else contextlib.nullcontext():
            functions = [one.compile() for one in lowered(program, place)]
        # A full disk, a program that cannot be serialized: it is compiled again when it is needed, and this run continues.
        with contextlib.suppress(Exception):
            parts = [serialize_executable.serialize(one) for one in functions]
            entry.serialized = pickle.dumps([_ids(place), parts])
            if path is not None:
                write_atomically(path, seal(entry.serialized, self.secret))
        return functions

    def _load(self, path: Path | None, entry: _Entry, place: Mesh) -> list[Any] | None:
        """Return a program's functions from memory or from its file, or None; a damaged file is set aside."""
        content = entry.serialized
        if content is not None:
            path = None  # the file is read once
        try:
            if content is None:
                if path is None:
                    return None
                content = unseal(path.read_bytes(), self.secret)
            ids, parts = pickle.loads(content)
            functions = [_loaded(part, ids, place) for part in parts]
        except (OSError, MemoryError):  # there is none, or none that can be read now
            return None
        except Exception as error:  # each way to be damaged raises another kind
            if path is not None:
                with contextlib.suppress(OSError):  # another run may have been faster
                    set_aside(path, f"a damaged program ({error}), compiled again")
            return None
        entry.serialized = content
        with contextlib.suppress(OSError):  # a read-only folder
            if path is not None:
                os.utime(path)
        return functions

    def _path(self, program: Program, place: Mesh, key: str) -> Path | None:
        # The modules that a custom function calls are not known, and may have changed unseen.
        kept = _platform(place) in SUPPORTED and not program.custom_functions
        return self.folder / f"{key}.{_name_of(self.secret)}.program" if self.folder is not None and kept else None

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
            "plugins": plugin_digests(variant.settings for variant in program.variants),
            "functions": [id(function) for function in _functions(program)],  # a notebook may redefine one of this name
            "options": [[settings[table] for table in OPTION_TABLES.values()], *_traced(program)]
            if program.custom_functions
            else None,
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


def _trusted(folder: Path | None) -> tuple[Path | None, bytes]:
    """Return a folder that only this user can write into, and this user's key; no folder, with a warning, where one lacks."""
    if folder is None:
        return None, b""
    own = cache_folder()
    if own is None:
        _LOG.warning(
            "compiled programs are not kept in %s: a user without a home has no key that protects them", folder
        )
        return None, b""
    try:
        make_private(folder)
        return folder, private_key(own / "key")
    except (NotPrivateError, OSError) as error:
        _LOG.warning("compiled programs are not kept in %s: %s", folder, error)
        return None, b""


def _name_of(secret: bytes) -> str:
    """Return a short name of a key, which says nothing of the key."""
    return hashlib.blake2b(b"name", key=secret, digest_size=4).hexdigest()


def _traced(program: Program) -> list[Any]:
    return [program.optimizer_options, program.schedule_options, program.loss_options, program.activation_options]


def _functions(program: Program) -> list[Any]:
    return [resolve(name, {}, "function") for name in program.custom_functions]


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
