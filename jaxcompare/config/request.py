"""What a command asks of a run beside the comparisons: folders, devices, outputs. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.outputs import Outputs

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Request(NamedTuple):
    """The options of one run, as the command line or a caller gives them."""

    out: Path  # the folder of the results
    data_dir: str | None = None  # the folder that is searched first for data sets
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
    size = int(float(match[1]) * UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise ConfigError(f"{where} {text}: is not an amount of memory, 2G or 512M for example")
    return size
