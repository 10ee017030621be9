"""What a command asks of a run beside the comparisons: folders, devices, outputs. Standard library only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jaxcompare.config.outputs import Outputs


class Request(NamedTuple):
    """The options of one run, as the command line or a caller gives them."""

    out: Path  # the folder of the results
    data_dir: str | None = None  # where data sets are searched first
    mesh: str | None = None  # "replica=N,data=M"; None: every device, one to a tile
    memory: str | None = None  # "2G", say; None: what is free
    outputs: Outputs = Outputs()
    force: bool = False  # replace what another run left in `out`
    again: bool = False  # train what is already there again
    quick: bool = False  # whether the configs were shortened, for the record
    command: str = ""  # the command line, for the record
