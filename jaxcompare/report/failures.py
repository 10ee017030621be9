"""Parts of a report that could not be made, and why: the report says so, and the other parts are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from jaxcompare.report.blocks import Block, Broken, Chart, Details, Picture, every
from jaxcompare.words import Words


class Failure(NamedTuple):
    """A part of a report that failed."""

    name: str  # of a file, or of a place in the report
    error: str


def failure(name: str, error: Exception) -> Failure:
    """Return a Failure with the kind of the error, and its message if it has any."""
    return Failure(name, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def attempt(words: Words, name: str, make: Callable[[], list[Block]]) -> list[Block]:
    """Return the blocks of a section, or a sentence that says why they are missing."""
    try:
        return make()
    except Exception as error:
        found = failure(name, error)
        return [Broken(words.say("report.not_told", error=found.error), found.name, found.error)]


def with_broken(words: Words, blocks: Iterable[Block], failed: Mapping[str, Failure]) -> list[Block]:
    """Return the blocks with a sentence in the place of each picture that failed."""
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Details):
            block = block._replace(blocks=tuple(with_broken(words, block.blocks, failed)))
        elif isinstance(block, Picture | Chart) and block.name in failed:
            error = failed[block.name].error
            block = Broken(words.say("report.not_drawn", error=error, name=block.name), block.name, error)
        found.append(block)
    return found


def failures_in(blocks: Iterable[Block]) -> list[Failure]:
    """Return the failures that blocks name."""
    return [Failure(block.name, block.error) for block in every(blocks) if isinstance(block, Broken)]
