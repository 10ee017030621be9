"""What a run or a report is asked to write: in which languages. Standard library only."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from jaxcompare import names
from jaxcompare.registry import nearest
from jaxcompare.settings import ConfigError

BOTH = "both"


class Outputs(NamedTuple):
    """What is written beside tables and CSVs."""

    languages: tuple[str, ...] = names.LANGUAGES  # of pictures and report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that a run and a report share."""
    parser.add_argument(
        "--lang", default=BOTH, metavar="|".join((*names.LANGUAGES, BOTH)), help=f"of pictures and report ({BOTH})"
    )


def parse(arguments: argparse.Namespace) -> Outputs:
    """What the options ask for.

    Raises:
        ConfigError: there is no such language.
    """
    if arguments.lang not in (*names.LANGUAGES, BOTH):
        raise ConfigError(
            f"--lang {arguments.lang}: no such language; {nearest(arguments.lang, [*names.LANGUAGES, BOTH])}"
        )
    return Outputs(names.LANGUAGES if arguments.lang == BOTH else (arguments.lang,))
