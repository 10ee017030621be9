"""Letters for every language: matplotlib has Latin ones, Korean ones are shipped with the package."""

from __future__ import annotations

from functools import cache
from importlib import resources

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

LATIN = "DejaVu Sans"
# Of a language that matplotlib's own font has no letters for: a family, and its files in `jaxcompare/fonts/`.
SHIPPED = {"ko": ("Jaxcompare Gothic", ("JaxcompareGothic-Regular.ttf", "JaxcompareGothic-Bold.ttf"))}

# Between lines, as a multiple of the height of Latin letters: syllables are higher than these.
SPACING = {"ko": 1.4}


def space(figure: Figure, language: str) -> None:
    """Sets the lines of a figure's texts as far apart as the language's letters need."""
    if language in SPACING:
        for text in figure.findobj(Text):
            text.set_linespacing(SPACING[language])  # type: ignore[attr-defined]


@cache
def families(language: str) -> tuple[str, ...]:
    """The families that a language's letters are looked for in, in order; those that are shipped are registered first."""
    if language not in SHIPPED:
        return (LATIN,)
    family, files = SHIPPED[language]
    for name in files:
        with resources.as_file(resources.files("jaxcompare") / "fonts" / name) as path:
            font_manager.fontManager.addfont(path)
    return family, LATIN
