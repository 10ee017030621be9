"""Blocks to one self-contained HTML page: pictures and styles are inside it, nothing is loaded."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources

import jinja2

from jaxcompare.report.blocks import Block, Heading
from jaxcompare.words import ENGLISH, Words

TEMPLATE = "report.html.j2"


def render(blocks: Sequence[Block], pictures: Mapping[str, bytes], words: Words = ENGLISH) -> str:
    """The report as one page; `pictures` are the PNG files by name."""
    source = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    headings = [block for block in blocks if isinstance(block, Heading)]
    return environment.from_string(source).render(
        blocks=blocks,
        title=headings[0].text,
        headings=[block for block in headings if block.level in (2, 3)],
        contents=words.say("report.contents"),
        images={name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()},
        language=words.language,
    )
