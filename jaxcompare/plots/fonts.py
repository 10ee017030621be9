"""Fonts for every language: matplotlib has Latin letters, the package ships Korean letters.

A letter that both lack is drawn by a font of the system, where one has the letter. Else the letter is replaced: matplotlib
would draw an empty box.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from jaxcompare.plots import labels

LATIN = "DejaVu Sans"
# For a language whose letters matplotlib's own font lacks: a family, and its files in `jaxcompare/fonts/`.
SHIPPED = {"ko": ("Jaxcompare Gothic", ("JaxcompareGothic-Regular.ttf", "JaxcompareGothic-Bold.ttf"))}

REPLACEMENT = "?"
INVISIBLE = ("Cc", "Cf", "Mn", "Me")  # categories of letters that are dropped: controls, joiners, variation selectors
NO_LETTERS = (
    "emoji",
    "last resort",
    "lastresort",
)  # fonts in colours, which matplotlib cannot draw, and fonts of boxes

# Between lines, as a multiple of the height of Latin letters: Korean syllables are higher.
SPACING = {"ko": 1.4}


def prepare(figure: Figure, language: str) -> None:
    """Make every text of a figure drawable, and set the line spacing to the height of the language's letters."""
    for text in figure.findobj(Text):
        shown, family = drawable(text.get_text())
        text.set_text(shown)
        if family:
            text.set_fontfamily([*families(language), family])
        if shown.count("$") > 1 and "mathdefault" not in shown:  # a user's text; matplotlib's own ticks are formulas
            text.set_parse_math(False)
        if language in SPACING:
            text.set_linespacing(SPACING[language])  # type: ignore[attr-defined]
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        labels.rename(axis, lambda names: [drawable(name)[0] for name in names])


@cache
def families(language: str) -> tuple[str, ...]:
    """Register the shipped fonts; return the families that matplotlib searches, a language's own before the others."""
    for name in (name for _, files in SHIPPED.values() for name in files):
        with resources.as_file(resources.files("jaxcompare") / "fonts" / name) as path:
            font_manager.fontManager.addfont(path)
    own = [family for key, (family, _) in SHIPPED.items() if key == language]
    return (*own, LATIN, *(family for family, _ in SHIPPED.values() if family not in own))


def drawable(text: str) -> tuple[str, str]:
    r"""Return a text with composed letters and replacements, and the family of the system that it needs beside ours, or "".

    >>> drawable("\u1112\u1161\u11ab")[0] == "\ud55c"  # macOS names files with decomposed syllables
    True
    """
    text = unicodedata.normalize("NFC", text)
    missing = lacking(text)
    if not missing:
        return text, ""
    family, letters = _from_system(missing)
    for letter in missing - letters:
        text = text.replace(letter, "" if unicodedata.category(letter) in INVISIBLE else REPLACEMENT)
    return text, family


def lacking(texts: Iterable[str]) -> frozenset[str]:
    """Return the letters of some texts that our fonts lack."""
    return (
        frozenset(letter for text in texts for letter in unicodedata.normalize("NFC", text) if letter != "\n") - _ours()
    )


def replaced(texts: Iterable[str]) -> list[str]:
    """Return the letters of some texts that no font has, in order: pictures show `REPLACEMENT`."""
    missing = lacking(texts)
    gone = missing - _from_system(missing)[1] if missing else missing
    return sorted(letter for letter in gone if unicodedata.category(letter) not in INVISIBLE)


@cache
def _ours() -> frozenset[str]:
    """Return the letters that our fonts have, both regular and bold."""
    found: set[str] = set()
    for family in families(""):
        paths = [font_manager.findfont(FontProperties(family=[family], weight=weight)) for weight in ("normal", "bold")]
        regular, bold = (_letters(path) for path in paths)
        found |= regular & bold
    return frozenset(found)


@cache
def _letters(path: str) -> frozenset[str]:
    return frozenset(map(chr, font_manager.get_font(path).get_charmap()))


@cache
def _from_system(missing: frozenset[str]) -> tuple[str, frozenset[str]]:
    """Return the system's font that has the most of some letters, and those letters; empty where no font has any."""
    best: tuple[str, frozenset[str]] = "", frozenset()
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        if any(word in font.name.lower() for word in NO_LETTERS):
            continue
        try:
            letters = missing & _letters(font.fname)
        except (OSError, RuntimeError):  # a file that is gone or that FreeType cannot read
            continue
        if len(letters) > len(best[1]):
            best = font.name, letters
    return best
