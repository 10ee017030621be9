"""What a command asks of a run beside the comparisons: folders, devices, outputs. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxcompare.config.errors import LONGEST, ConfigError, brief
from jaxcompare.config.limits import MOST_BYTES, MOST_PLACES
from jaxcompare.config.outputs import Outputs
from jaxcompare.config.registry import nearest

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class MeshShape(NamedTuple):
    """What `--mesh` asks; None: every device."""

    replica: int | None = None  # places; each trains its own tile
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
    shown = brief(text) or "''"
    for part in text.split(","):
        axis, _, number = part.strip().partition("=")
        if axis not in MeshShape._fields:
            raise ConfigError(f"--mesh {shown}: no axis {axis[:LONGEST]!r}; {nearest(axis, MeshShape._fields)}")
        if axis in found:
            raise ConfigError(f"--mesh {shown}: {axis} is given twice")
        if not number.isdecimal() or not 1 <= int(number[:9]) <= MOST_PLACES:
            raise ConfigError(
                f"--mesh {shown}: {axis} = {number[:LONGEST]!r} is not a whole number of at least 1 and at most {MOST_PLACES}"
            )
        found[axis] = int(number)
    return MeshShape(**found)


class Request(NamedTuple):
    """The options of one run, as the command line or a caller gives them."""

    out: Path  # the folder of the results
    data_dir: str | None = None  # the folder that is searched first for data sets
    folder: Path | None = None  # of data files with relative names: the config's; None: the current one
    mesh: str | None = None  # "replica=N,data=M"; None: a tile on every core, or GPU
    cluster: str | None = None  # "local:N", "tcp://HOST:PORT" or "slurm:FILE"; None: this process trains
    memory: str | None = None  # the bytes of each device to use, "2G" for example; None: all that is free
    outputs: Outputs = Outputs()
    force: bool = False  # replace what another run left in `out`
    again: bool = False  # train again what is already there
    quick: bool = False  # the configs were shortened; for the record
    command: str = ""  # the command line; for the record
    asked: Mapping[str, Mapping[str, Any]] = {}  # by comparison: `identity.asked` of a user's file


def parse_bytes(text: str, where: str = "--memory") -> int:
    """Return the bytes of `2G`, `512M` or a plain number; units are powers of 1024.

    Raises:
        ConfigError: not an amount of memory, or less than a byte.

    >>> parse_bytes("1.5K")
    1536
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = float(match[1]) * UNITS[match[2].upper()] if match else 0
    if not 1 <= size <= MOST_BYTES:
        raise ConfigError(
            f"{where} {brief(text)}: is not an amount of memory, 2G or 512M for example; it must be at most "
            f"{MOST_BYTES // UNITS['T']}T"
        )
    return int(size)
