"""Blocks to Markdown (tables as GitHub reads them); pictures stand beside the file, by name."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import Any

from jaxcompare.report.blocks import (
    Block,
    Broken,
    Code,
    Curves,
    Details,
    Heading,
    Items,
    Link,
    Note,
    Paragraph,
    Picture,
    Table,
)

# Signs that are markup, and those that are only where they stand: an underscore at a word's end, one bracket after
# another.
SIGNS = re.compile(r"[\\`*|]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|<(?=[A-Za-z/!?])")


def escape(text: str) -> str:
    """Text in which no sign is taken for markup."""
    return SIGNS.sub(r"\\\g<0>", text)


def _heading(block: Heading) -> str:
    return f"{'#' * block.level} {escape(block.text)}"


def _paragraph(block: Paragraph) -> str:
    return escape(block.text)


def _note(block: Note | Broken) -> str:
    return f"> **{escape(block.text)}**"


def _items(block: Items) -> str:
    return "\n".join(f"- {escape(item)}" for item in block.items)


def _code(block: Code) -> str:
    return f"```\n{block.text}\n```"


def _table(block: Table) -> str:
    lines = [f"| {' | '.join(map(escape, row))} |" for row in (block.columns, *block.rows)]
    lines.insert(1, "|" + " --- |" * len(block.columns))
    return "\n".join([f"**{escape(block.caption)}**\n", *lines] if block.caption else lines)


def _picture(block: Picture) -> str:
    return f"![{escape(block.alt)}]({block.name})"


def _link(block: Link) -> str:
    return f"[{escape(block.text)}]({block.name}.md)"


def _curves(block: Curves) -> str:
    return ""  # the pictures beside it show them


def _details(block: Details) -> str:
    summary = f"<details>\n<summary>{html.escape(block.summary, quote=False)}</summary>"
    return "\n\n".join([summary, *_texts(block.blocks), "</details>"])


RENDERERS: dict[str, Callable[[Any], str]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "note": _note,
    "items": _items,
    "code": _code,
    "table": _table,
    "picture": _picture,
    "link": _link,
    "curves": _curves,
    "details": _details,
}


def _texts(blocks: Sequence[Block]) -> list[str]:
    return [text for block in blocks if (text := RENDERERS[block.kind](block))]


def render(blocks: Sequence[Block]) -> str:
    """The report as one Markdown text."""
    return "\n\n".join(_texts(blocks)) + "\n"
