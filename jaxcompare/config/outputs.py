"""What a run or a report writes beside tables and CSVs. Standard library only."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError, brief
from jaxcompare.config.registry import nearest

BOTH = "both"
FORMATS = ("png", "pdf", "svg")  # of pictures; the pages show the first
TENSORBOARD = ("variants", "replicas")  # TensorBoard logs each variant over its seeds, or each run as well


class Outputs(NamedTuple):
    """Languages and formats of what is written."""

    languages: tuple[str, ...] = names.LANGUAGES  # of pictures and report
    formats: tuple[str, ...] = FORMATS[:1]  # of pictures
    tensorboard: tuple[str, ...] = ()  # empty, or one entry of TENSORBOARD
    csv: bool = False  # every table as CSV too, not summary, claims and history alone

    def written(self) -> dict[str, tuple[str, ...]]:
        """Return the kinds of output, each with what is written of it, for the record."""
        tables = ("all",) if self.csv else ()
        return {"languages": self.languages, "formats": self.formats, "tensorboard": self.tensorboard, "csv": tables}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that the run and the report share."""
    parser.add_argument(
        "--lang",
        default=BOTH,
        metavar="|".join((*names.LANGUAGES, BOTH)),
        help=f"language of pictures and report (default: {BOTH})",
    )
    parser.add_argument(
        "--formats",
        default=FORMATS[0],
        metavar=",".join(FORMATS),
        help=f"formats of pictures (always with {FORMATS[0]})",
    )


def parse(
    language: str = BOTH, formats: str = FORMATS[0], tensorboard: str | None = None, csv: bool = False
) -> Outputs:
    """Return the outputs that the options --lang, --formats and --tensorboard name.

    Raises:
        ConfigError: an unknown language, format or choice, or a package that is not installed.
    """
    _known("--lang", language, (*names.LANGUAGES, BOTH), "language")
    asked = [_known("--formats", name.strip(), FORMATS, "format") for name in formats.split(",")]
    if tensorboard is not None and importlib.util.find_spec("tensorboardX") is None:
        raise ConfigError("--tensorboard: tensorboardX is not installed; pip install 'jaxcompare[tensorboard]'")
    return Outputs(
        names.LANGUAGES if language == BOTH else (language,),
        tuple(name for name in FORMATS if name in (*asked, FORMATS[0])),
        () if tensorboard is None else (_known("--tensorboard", tensorboard, TENSORBOARD, "choice"),),
        csv,
    )


def _known(option: str, value: str, choices: Sequence[str], kind: str) -> str:
    if value not in choices:
        raise ConfigError(f"{option} {brief(value) or repr(value)}: no such {kind}; {nearest(value, choices)}")
    return value
