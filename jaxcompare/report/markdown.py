"""Blocks to Markdown, with tables as GitHub reads them; the picture files lie beside the text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from jaxcompare.report.blocks import Block, Details, Table
from jaxcompare.system.text import readable

# Signs that are markup anywhere, and signs that are markup in some places: an underscore at a word's end, one bracket
# after another.
SIGNS = re.compile(r"[\\`*|]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|<(?=[A-Za-z/!?])|~(?=~)|&(?=#?\w+;)")
# Signs that begin a heading, a quotation, a list, a rule or a fence where they begin a line.
BEGINNING = re.compile(r"^(?=[#>+=~-]|\d+[.)](\s|$))(\d*)")
BREAKS = re.compile(r"[\s\x00-\x1f\x7f\x85]+")


def line(text: str) -> str:
    """Return text on one line: a line break in a title or a question would begin a heading, say."""
    return BREAKS.sub(" ", text).strip()


def escape(text: str) -> str:
    """Return text on one line, without signs that Markdown reads as markup."""
    return SIGNS.sub(r"\\\g<0>", line(text))


def begin(text: str) -> str:
    """Return `escape`d text that begins a line."""
    return BEGINNING.sub(r"\2\\", escape(text))


def _code(text: str) -> str:
    """Return text between fences that are longer than any row of backticks in the text."""
    fence = "`" * max(3, *(len(found) + 1 for found in re.findall("`+", text)), 3)
    return f"{fence}\n{text}\n{fence}"


def _target(name: str) -> str:
    """Return a file's name as the target of a link."""
    return re.sub(r"[\s()<>\\%]", lambda sign: quote(sign[0]), name)


def _table(block: Table) -> str:
    lines = [f"| {' | '.join(map(escape, row))} |" for row in (block.columns, *block.rows)]
    lines.insert(1, "|" + " --- |" * len(block.columns))
    return "\n".join([f"**{escape(block.caption)}**\n", *lines] if block.caption else lines)


def _details(block: Details) -> str:
    summary = f"<details>\n<summary>{html.escape(line(block.summary), quote=False)}</summary>"
    return "\n\n".join([summary, *_texts(block.blocks), "</details>"])


RENDERERS: dict[str, Callable[[Any], str]] = {
    "heading": lambda block: f"{'#' * block.level} {escape(block.text)}",
    "paragraph": lambda block: begin(block.text),
    "note": lambda block: f"> **{escape(block.text)}**",
    "items": lambda block: "\n".join(f"- {begin(item)}" for item in block.items),
    "code": lambda block: _code(block.text),
    "table": _table,
    "picture": lambda block: f"![{escape(block.alt)}]({_target(block.name)})",
    "link": lambda block: f"[{escape(block.text)}]({block.name}.md)",
    "curves": lambda block: "",  # the pictures beside it show them
    "details": _details,
}


def _texts(blocks: Sequence[Block]) -> list[str]:
    return [text for block in blocks if (text := RENDERERS[block.kind](block))]


def render(blocks: Sequence[Block]) -> str:
    """Return the report as one Markdown text."""
    return readable("\n\n".join(_texts(blocks)) + "\n")
