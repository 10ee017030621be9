"""What a run or a report is asked to write beside tables and CSVs. Standard library only."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.registry import nearest

BOTH = "both"
FORMATS = ("png", "pdf", "svg")  # of pictures; the pages show the first
TENSORBOARD = ("variants", "replicas")  # what TensorBoard gets scalars of: variants over their seeds; each run as well


class Outputs(NamedTuple):
    """What is written."""

    languages: tuple[str, ...] = names.LANGUAGES  # of pictures and report
    formats: tuple[str, ...] = FORMATS[:1]  # of pictures
    tensorboard: tuple[str, ...] = ()  # nothing, or one of the above


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that a run and a report share."""
    parser.add_argument(
        "--lang",
        default=BOTH,
        metavar="|".join((*names.LANGUAGES, BOTH)),
        help=f"of pictures and report (default: {BOTH})",
    )
    parser.add_argument(
        "--formats", default=FORMATS[0], metavar=",".join(FORMATS), help=f"of pictures ({FORMATS[0]} is made always)"
    )


def parse(arguments: argparse.Namespace) -> Outputs:
    """What the options ask for.

    Raises:
        ConfigError: there is no such language, format or choice, or what it needs is not installed.
    """
    language = _known("--lang", arguments.lang, (*names.LANGUAGES, BOTH), "language")
    asked = [_known("--formats", one.strip(), FORMATS, "format") for one in arguments.formats.split(",")]
    log = getattr(arguments, "tensorboard", None)
    if log is not None and importlib.util.find_spec("tensorboardX") is None:
        raise ConfigError("--tensorboard: tensorboardX is not installed; pip install 'jaxcompare[tensorboard]'")
    return Outputs(
        names.LANGUAGES if language == BOTH else (language,),
        tuple(one for one in FORMATS if one in (*asked, FORMATS[0])),
        () if log is None else (_known("--tensorboard", log, TENSORBOARD, "choice"),),
    )


def _known(option: str, value: str, choices: Sequence[str], kind: str) -> str:
    if value not in choices:
        raise ConfigError(f"{option} {value}: no such {kind}; {nearest(value, choices)}")
    return value
