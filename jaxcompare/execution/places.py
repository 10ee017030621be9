"""The places of a run: where its tiles train."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.settings import Settings
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.files import cache_folder
from jaxcompare.system.private import NotPrivateError, check_own, make_private

if TYPE_CHECKING:
    from jax.sharding import Mesh

_LOG = logging.getLogger(__name__)


def check_batches(data: int, every: Iterable[Settings]) -> None:
    """Check that the `data` devices of a place get equal parts of each batch and micro-batch.

    Raises:
        ConfigError: a batch size, or a micro-batch, that the data axis does not divide.
    """
    for settings in every:
        if settings.batch_size % data:
            raise ConfigError(f"--mesh data={data}: batch_size = {settings.batch_size} is not a multiple of {data}")
        if settings.batch_size // settings.micro_batches % data:
            raise ConfigError(
                f"--mesh data={data}: micro_batches = {settings.micro_batches} of batch_size = "
                f"{settings.batch_size} are not multiples of {data}"
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
        ConfigError: JAX has no such device as $JAX_PLATFORMS names, or `jax.distributed` is in use.
    """
    import jax

    try:
        devices = jax.local_devices()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0] or "JAX has no such device here"
        asked = os.environ.get("JAX_PLATFORMS")
        where = f"JAX_PLATFORMS={asked}" if asked else "JAX finds no device"
        raise ConfigError(f"{where}: {reason}; JAX_PLATFORMS=cpu trains on the CPU") from error
    if jax.process_count() > 1:
        raise ConfigError(
            f"jax.distributed has joined {jax.process_count()} processes: each would train everything; "
            "start one process, and train on many machines with --cluster (docs/scaling.md)"
        )
    return devices


def start_jax() -> Any:
    """Import JAX, with a cache of compiled programs."""
    jax = import_jax()
    jax.config.update("jax_compilation_cache_dir", _trusted_folder(os.environ.get("JAX_COMPILATION_CACHE_DIR")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    return jax


def _trusted_folder(given: str | None) -> str | None:
    """Return the folder of JAX's own cache; None, with a warning, where another user may write: JAX runs what it reads.

    Args:
        given: the user's choice, whose modes are the user's, and whose address may be a bucket's; None: the cache folder.
    """
    if given and "://" in given:
        return given
    own = cache_folder()
    folder = Path(given) if given else own and own / "compiled"
    if folder is None:
        return None
    try:
        if given and folder.exists():
            check_own(folder)
        else:
            make_private(folder)
    except (NotPrivateError, OSError) as error:
        _LOG.warning("compiled programs are not kept: %s", error)
        return None
    return str(folder)


def first_device() -> Any:
    """Start JAX, and return a device of this process."""
    start_jax()
    return local_devices()[0]


def local_places(count: int | None = None, *, data: int = 1) -> list[Mesh]:
    """Return the places of this machine, where tiles train: one a CPU core, or one a GPU.

    Args:
        count: how many; None: as many as there are cores, or devices of another kind.
        data: devices (on CPU: threads) that share a tile, each with a part of every batch.

    Returns:
        A mesh with the axis `data` for each place.

    Raises:
        ConfigError: there are too few devices, or none.

    Example:
        >>> len(local_places(3))
        3
    """
    from jaxcompare.engine.sweep import place_of

    devices = local_devices()
    if devices[0].platform == "cpu":
        return [place_of(_cpu_devices(place, data)) for place in range(count or -(-usable_cores() // data))]
    places = count or len(devices) // data
    if places * data > len(devices) or not places:
        raise ConfigError(
            f"--mesh replica={places or 1},data={data}: needs {max(places, 1) * data} devices; "
            f"there {'is' if len(devices) == 1 else 'are'} {len(devices)} ({devices[0].device_kind})"
        )
    return [place_of(devices[place * data :][:data]) for place in range(places)]


_CLIENTS = threading.Lock()  # making a client changes the environment for a moment


def _cpu_devices(place: int, count: int) -> list[Any]:
    """Return the CPU devices of a place, which are its own: they share no threads with other places.

    XLA's CPU client has as many threads as the machine has cores, and cuts long sums by that number: the same executable
    gives other last bits on another machine. A client with one thread a device has no such choice, and places with clients
    of their own do not wait for each other (docs/performance.md).
    """
    with _CLIENTS:
        return _client(place, count).local_devices()


@cache
def _client(place: int, count: int) -> Any:
    """Make the client of a place; `place` makes each another one."""
    del place
    from jax._src.lib import xla_client  # JAX has no public function for it

    before = os.environ.get("PJRT_NPROC")
    os.environ["PJRT_NPROC"] = "1"
    try:
        return xla_client.make_cpu_client(asynchronous=False, num_devices=count)
    finally:
        del os.environ["PJRT_NPROC"]
        if before is not None:
            os.environ["PJRT_NPROC"] = before
