"""Blocks to one self-contained HTML page: it holds pictures, styles, scripts and figures, and loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources

import jinja2
from markupsafe import Markup

from jaxcompare.fonts.page import woff
from jaxcompare.plots.fonts import SHIPPED
from jaxcompare.report import curves
from jaxcompare.report.blocks import Block, Curves, Heading, every
from jaxcompare.system.text import readable
from jaxcompare.words import ENGLISH, Words

TEMPLATE, STYLE, SCRIPT = "report.html.j2", "report.css", "report.js"
HEAD = 18  # signs: a column's head with more gets room for them
MARKER, LATIN = "<!-- letters -->", "\u024f"  # the place of a font; the last letter that every machine has
KOREAN, RANGE = "\u2fff", "U+1100-11FF, U+3000-318F, U+AC00-D7A3"
LONG, PROSE = 32, 90  # signs: a cell with more is broken into lines; one with more still gets room for them
# Sorting puts these last.
MISSING = ("number.none", "number.missed", "failed.no_mean", "claimed.not_measured")
TEXTS = {name: f"script.{name}" for name in ("sort", "best", "all", "nothing", "empty", "gap")} | {
    "epoch": "axis.epoch"
}


def render(blocks: Sequence[Block], pictures: Mapping[str, bytes], words: Words = ENGLISH) -> str:
    """Return the report as one page; `pictures` are the PNG files by name."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    headings = [block for block in blocks if isinstance(block, Heading)]
    data = curves.fit([block for block in every(blocks) if isinstance(block, Curves)])
    texts = {name: words.say(key) for name, key in TEXTS.items()} | {"missing": [words.say(key) for key in MISSING]}
    # A script element is not escaped as text is: `packed` leaves no sign that could end the element.
    page = environment.from_string(_source(TEMPLATE)).render(
        blocks=blocks,
        title=headings[0].text,
        headings=[block for block in headings if block.level in (2, 3)],
        contents=words.say("report.contents"),
        images={name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()},
        anchors={name: f"picture-{index + 1}" for index, name in enumerate(pictures)},
        shown=[],
        data={name: Markup(text) for name, text in data.items()},
        hint=words.say("curves.hint"),
        texts=Markup(curves.packed(texts)),
        style=Markup(_source(STYLE)),
        script=Markup(_source(SCRIPT)),
        long=LONG,
        head=HEAD,
        prose=PROSE,
        language=words.language,
        marker=MARKER,
    )
    page = readable(page)
    return page.replace(MARKER, _font(page), 1)


def _font(page: str) -> str:
    """Return a style with the Korean letters of the page, which a machine may lack; Latin letters are the machine's.

    The font comes first for its range. After the machine's font, Chromium keeps boxes for words met before the font was read.
    """
    letters = {letter for letter in page if letter > LATIN}
    if not any(letter > KOREAN for letter in letters):
        return ""
    family, (file, *_) = SHIPPED["ko"]
    data = base64.b64encode(woff(file, letters)).decode("ascii")
    source = f"url(data:font/woff;base64,{data}) format('woff')"
    face = f"@font-face {{ font-family: '{family}'; src: {source}; unicode-range: {RANGE}; }}"
    return f"<style>{face} body {{ font-family: '{family}', system-ui, sans-serif; }}</style>"


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
