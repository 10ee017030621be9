"""Blocks to Markdown, with tables as GitHub reads them; the picture files lie beside the text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import Any

from jaxcompare.report.blocks import Block, Details, Table
from jaxcompare.system.text import readable

# Signs that are markup anywhere, and signs that are markup in some places: an underscore at a word's end, one bracket
# after another.
SIGNS = re.compile(r"[\\`*|]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|<(?=[A-Za-z/!?])")


def escape(text: str) -> str:
    """Return text without signs that Markdown reads as markup."""
    return SIGNS.sub(r"\\\g<0>", text)


def _table(block: Table) -> str:
    lines = [f"| {' | '.join(map(escape, row))} |" for row in (block.columns, *block.rows)]
    lines.insert(1, "|" + " --- |" * len(block.columns))
    return "\n".join([f"**{escape(block.caption)}**\n", *lines] if block.caption else lines)


def _details(block: Details) -> str:
    summary = f"<details>\n<summary>{html.escape(block.summary, quote=False)}</summary>"
    return "\n\n".join([summary, *_texts(block.blocks), "</details>"])


RENDERERS: dict[str, Callable[[Any], str]] = {
    "heading": lambda block: f"{'#' * block.level} {escape(block.text)}",
    "paragraph": lambda block: escape(block.text),
    "note": lambda block: f"> **{escape(block.text)}**",
    "items": lambda block: "\n".join(f"- {escape(item)}" for item in block.items),
    "code": lambda block: f"```\n{block.text}\n```",
    "table": _table,
    "picture": lambda block: f"![{escape(block.alt)}]({block.name})",
    "link": lambda block: f"[{escape(block.text)}]({block.name}.md)",
    "curves": lambda block: "",  # the pictures beside it show them
    "details": _details,
}


def _texts(blocks: Sequence[Block]) -> list[str]:
    return [text for block in blocks if (text := RENDERERS[block.kind](block))]


def render(blocks: Sequence[Block]) -> str:
    """Return the report as one Markdown text."""
    return readable("\n\n".join(_texts(blocks)) + "\n")
