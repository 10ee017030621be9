"""A report as data: a list of blocks that any renderer can write. Texts are plain, without markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple


class Heading(NamedTuple):
    """A title; level 1 is the title of the report."""

    level: int
    text: str
    anchor: str
    kind: str = "heading"


class Paragraph(NamedTuple):
    """Running text."""

    text: str
    kind: str = "paragraph"


class Note(NamedTuple):
    """Text that readers must not miss."""

    text: str
    kind: str = "note"


class Broken(NamedTuple):
    """A sentence in the place of a part that failed."""

    text: str
    name: str  # of the part
    error: str
    kind: str = "note"


class Items(NamedTuple):
    """An unordered list."""

    items: tuple[str, ...]
    kind: str = "items"


class Code(NamedTuple):
    """A command."""

    text: str
    kind: str = "code"


class Table(NamedTuple):
    """Printed cells: `rows` [R][C] under `columns` [C]."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kind: str = "table"


class Picture(NamedTuple):
    """A picture by its file name."""

    name: str
    alt: str
    caption: str
    kind: str = "picture"


class Link(NamedTuple):
    """The same report in another language: its file's name, without the ending."""

    text: str
    name: str
    language: str
    kind: str = "link"


class Chart(NamedTuple):
    """A picture that `panel` (`plots.charts.Panel`) describes; renderers treat it as a Picture of that name."""

    name: str
    alt: str
    caption: str
    panel: Any
    kind: str = "picture"  # the renderers' name


class Curves(NamedTuple):
    """Curves that the page draws from `data` (`report.curves`); Markdown has the pictures instead."""

    anchor: str
    caption: str
    data: Mapping[str, Any]
    kind: str = "curves"


class Details(NamedTuple):
    """Blocks folded under a line."""

    summary: str
    blocks: tuple[Any, ...]
    kind: str = "details"


Block = Heading | Paragraph | Note | Broken | Items | Code | Table | Picture | Link | Chart | Curves | Details


def every(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield all blocks in reading order, folded blocks included."""
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from every(block.blocks)
