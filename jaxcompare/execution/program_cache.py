"""Compiled programs kept on disk, so that a later run neither traces nor compiles them.

JAX's own cache spares XLA's part alone: to know what it looks for, a program has to be traced and lowered first, which takes
seconds of Python for each. Here a program is found by what it is made from: the settings that are static in it, the shapes of
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
from jaxcompare.execution import store
from jaxcompare.planning.layout import Plan, blueprint
from jaxcompare.planning.programs import STATIC
from jaxcompare.system.files import write_atomically

SUPPORTED = ("cpu",)  # platforms; on others it has not been tried
DAYS_KEPT = 30  # without being used
FORMAT = 1  # of the files
# Static, but not in the compiled program: shapes and traced numbers stand for them.
BESIDE = keys_of("data", "measuring", "static.length")


class _Hits(threading.local):
    """How many programs this thread's compilations found in JAX's own cache."""

    count = 0

    def __call__(self, event: str, **_: Any) -> None:
        self.count += event == "/jax/compilation_cache/cache_hits"


_HITS = _Hits()
jax.monitoring.register_event_listener(_HITS)


class ProgramStore:
    """Compiled programs in a folder, each in a file named by what it is made from."""

    def __init__(self, folder: Path | None, mesh: Mesh) -> None:
        """`folder`: None keeps nothing."""
        device = mesh.devices.flat[0]
        self.folder = folder if device.platform in SUPPORTED else None
        self.mesh = mesh
        self.common: dict[str, Any] = {
            "format": FORMAT,
            "code": store.code_digest(),
            "versions": store.versions(),
            "device": [device.device_kind, device.client.platform_version, _processor()],
            "mesh": [dict(mesh.shape), [one.id for one in mesh.devices.flat]],
            "flags": os.environ.get("XLA_FLAGS", ""),
            "configuration": {
                name: value
                for name, value in jax.config.values.items()
                if isinstance(value, (bool, int, float, str)) and "cache" not in name and "log" not in name
            },
        }
        self.loaded: dict[str, sweep.Executables] = {}
        self.asked = threading.local()  # its `hits`: how many there were when this thread last asked in vain
        self.lock = threading.Lock()
        self._forget()

    def get(self, plan: Plan) -> sweep.Executables | None:
        """The plan's program, or None; a file that cannot be read is none."""
        path = self._path(plan)
        if path is None:
            return None
        self.asked.hits = _HITS.count
        with self.lock:  # of two threads that want the same, one loads it
            if path.name in self.loaded:
                return self.loaded[path.name]._replace(compile_seconds=0.0)
            start = time.perf_counter()
            try:
                init, train = (self._load(*part) for part in pickle.loads(path.read_bytes()))
                memory = sweep.memory_of(train)
            except (OSError, MemoryError):  # there is none, or none that can be read now
                return None
            except Exception:  # of another kind for each way to be damaged: it is compiled anew
                with contextlib.suppress(OSError):
                    path.unlink()
                return None
            with contextlib.suppress(OSError):  # a folder that is not ours to change
                os.utime(path)
            self.loaded[path.name] = sweep.Executables(init, train, time.perf_counter() - start, memory, {})
            return self.loaded[path.name]

    def _load(self, executable: bytes, taken: Any, given: Any) -> Any:
        devices = list(self.mesh.devices.flat)
        return serialize_executable.deserialize_and_load(
            executable, taken, given, backend=devices[0].client, execution_devices=devices
        )

    def put(self, plan: Plan, executables: sweep.Executables) -> None:
        """Keeps a plan's program, which this thread has asked for in vain and then compiled.

        What came from JAX's cache, or from another thread, is not kept: a program that was loaded cannot be written whole again
        (some of its functions are missing afterwards, jaxlib 0.10). As long as JAX's cache has a program that is not here, it
        is traced anew in each run, and taken from there.
        """
        path = self._path(plan)
        if path is None or getattr(self.asked, "hits", None) != _HITS.count or not executables.compile_seconds:
            return
        self.loaded[path.name] = executables
        # A full disk, a program that cannot be serialized: then the next run compiles again, and this one goes on.
        with contextlib.suppress(Exception):
            compiled: list[Any] = [executables.init, executables.train]
            parts = [serialize_executable.serialize(part) for part in compiled]
            write_atomically(path, pickle.dumps(parts))

    def _path(self, plan: Plan) -> Path | None:
        """Where the plan's program is kept; None: nowhere."""
        program = plan.program
        # What a function of one's own calls is not known, so that it may have changed unseen.
        if self.folder is None or program.own_functions:
            return None
        settings = asdict(program.settings)
        drawn = blueprint(plan, self.mesh)
        content = {
            **self.common,
            "settings": {name: settings[name] for name in STATIC if name not in BESIDE},
            "traced": [program.losses, program.activations, program.schedules, program.clip],
            "shapes": [
                [jax.tree_util.keystr(path), leaf.shape, str(leaf.dtype)]
                for path, leaf in jax.tree_util.tree_leaves_with_path((drawn.data, drawn.group))
            ],
            "classes": plan.material.classes,
            "rows": plan.rows,
        }
        return self.folder / f"{digest(content)[:32]}.program"

    def _forget(self) -> None:
        """Removes what has not been used for long, and what a run that was killed left half written."""
        for path in self.folder.glob("*.program*") if self.folder else ():
            with contextlib.suppress(OSError):  # another run may have been faster
                if time.time() - path.stat().st_mtime > DAYS_KEPT * 86400:
                    path.unlink()


def folder() -> Path | None:
    """Beside the programs that JAX keeps itself, if it does."""
    configured = jax.config.values
    kept = configured["jax_enable_compilation_cache"] and configured["jax_compilation_cache_dir"]
    return Path(kept) / "programs" if kept and "://" not in kept else None


def _processor() -> list[Any]:
    """What instructions the CPU has: a home folder may be shared by machines that differ."""
    found = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found += sorted({line.partition(":")[2].strip() for line in lines if line.startswith(("flags", "Features"))})
    return found
