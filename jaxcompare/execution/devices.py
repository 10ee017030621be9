"""The devices of a run, chosen before JAX starts: the number of CPU devices is fixed then."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import Settings
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.files import cache_folder

if TYPE_CHECKING:
    from jax.sharding import Mesh


_LOG = logging.getLogger(__name__)


class MeshShape(NamedTuple):
    """The shape of the mesh; None: every device."""

    replica: int | None = None  # tiles that train side by side
    data: int = 1  # devices that share one tile, each with a part of every batch


EVERY_DEVICE = MeshShape()


def parse_mesh(text: str) -> MeshShape:
    """Parse a MeshShape from `replica=4,data=2`; either part may be missing.

    Raises:
        ConfigError: an unknown axis, an axis given twice, or a number that is not one.

    >>> parse_mesh("replica=4,data=2")
    MeshShape(replica=4, data=2)
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        axis, _, number = part.strip().partition("=")
        if axis not in MeshShape._fields:
            raise ConfigError(f"--mesh {text}: no axis {axis!r}; {nearest(axis, MeshShape._fields)}")
        if axis in found:
            raise ConfigError(f"--mesh {text}: {axis} is given twice")
        if not number.isdecimal() or int(number) < 1:
            raise ConfigError(f"--mesh {text}: {axis} = {number!r} is not a whole number of at least 1")
        found[axis] = int(number)
    return MeshShape(**found)


def check_batches(shape: MeshShape, every: Iterable[Settings]) -> None:
    """Check that the devices of a tile get equal parts of each batch and micro-batch.

    Raises:
        ConfigError: a batch size, or a micro-batch, that the data axis does not divide.
    """
    for settings in every:
        if settings.batch_size % shape.data:
            raise ConfigError(
                f"--mesh data={shape.data}: batch_size = {settings.batch_size} is not a multiple of {shape.data}"
            )
        if settings.batch_size // settings.micro_batches % shape.data:
            raise ConfigError(
                f"--mesh data={shape.data}: micro_batches = {settings.micro_batches} of batch_size = "
                f"{settings.batch_size} are not multiples of {shape.data}"
            )


def import_jax() -> Any:
    """Import JAX.

    Raises:
        ConfigError: JAX refuses the value of an environment variable.
    """
    try:
        import jax
    except ValueError as error:  # JAX_ENABLE_X64=yes, say
        raise ConfigError(f"JAX cannot be imported: {error}") from error
    return jax


def local_devices() -> list[Any]:
    """Return this process's devices.

    Raises:
        ConfigError: JAX has no such device as $JAX_PLATFORMS names.
    """
    import jax

    try:
        return jax.local_devices()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0] or "JAX has no such device here"
        asked = os.environ.get("JAX_PLATFORMS")
        where = f"JAX_PLATFORMS={asked}" if asked else "JAX finds no device"
        raise ConfigError(f"{where}: {reason}; JAX_PLATFORMS=cpu trains on the CPU") from error


def start_jax(shape: MeshShape = EVERY_DEVICE) -> Any:
    """Import JAX with one CPU device per core, or as many as the mesh needs, and with a cache of compiled programs.

    Small products gain nothing from two threads; replicas that are spread over cores do. There are at least two devices: XLA
    compiles for a single device with other passes, which round differently. A replica's bits are then the same for any number
    of cores. Where JAX has started already, its devices stay as they are.
    """
    jax = import_jax()

    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        wanted = shape.replica * shape.data if shape.replica else -(-usable_cores() // shape.data) * shape.data
        try:
            jax.config.update("jax_num_cpu_devices", max(2, wanted))
        except RuntimeError:  # in a notebook, say
            count = len(jax.local_devices())
            _LOG.info("JAX has started before this run, which uses the devices that there are (%d)", count)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = cache_folder()
        jax.config.update("jax_compilation_cache_dir", str(folder / "compiled") if folder else None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    return jax


def first_device(shape: MeshShape = EVERY_DEVICE) -> Any:
    """Start JAX, and return a device of this process."""
    start_jax(shape)
    return local_devices()[0]


def make_mesh(shape: MeshShape) -> Mesh:
    """Return the mesh of a shape over this process's first devices.

    Raises:
        ConfigError: there are too few devices, or none.
    """
    from jaxcompare.engine import sweep

    devices = local_devices()
    replica = shape.replica or len(devices) // shape.data
    if replica * shape.data > len(devices) or not replica:
        raise ConfigError(
            f"--mesh replica={replica or 1},data={shape.data}: needs {max(replica, 1) * shape.data} devices; "
            f"there {'is' if len(devices) == 1 else 'are'} {len(devices)} ({devices[0].device_kind})"
        )
    return sweep.local_mesh(devices[: replica * shape.data], data=shape.data)
