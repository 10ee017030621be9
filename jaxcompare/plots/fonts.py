"""Fonts for every language: matplotlib has Latin letters, the package ships Korean letters."""

from __future__ import annotations

from functools import cache
from importlib import resources

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

LATIN = "DejaVu Sans"
# For a language whose letters matplotlib's own font lacks: a family, and its files in `jaxcompare/fonts/`.
SHIPPED = {"ko": ("Jaxcompare Gothic", ("JaxcompareGothic-Regular.ttf", "JaxcompareGothic-Bold.ttf"))}

# Between lines, as a multiple of the height of Latin letters: Korean syllables are higher.
SPACING = {"ko": 1.4}


def space(figure: Figure, language: str) -> None:
    """Set the line spacing of a figure's texts to the height of the language's letters."""
    if language in SPACING:
        for text in figure.findobj(Text):
            text.set_linespacing(SPACING[language])  # type: ignore[attr-defined]


@cache
def families(language: str) -> tuple[str, ...]:
    """Register the fonts shipped for a language; return the families that matplotlib searches for its letters, in order."""
    if language not in SHIPPED:
        return (LATIN,)
    family, files = SHIPPED[language]
    for name in files:
        with resources.as_file(resources.files("jaxcompare") / "fonts" / name) as path:
            font_manager.fontManager.addfont(path)
    return family, LATIN
