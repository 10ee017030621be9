"""Pictures as blocks of the report: file name, caption, and the text for readers who do not see the picture."""

from __future__ import annotations

from jaxcompare.config.comparison import spell
from jaxcompare.plots.groups import keys_of
from jaxcompare.plots.plot import Plot
from jaxcompare.report.blocks import Picture
from jaxcompare.words import Words, localised


def picture(words: Words, name: str, plot: Plot) -> Picture:
    """Return the block of a picture by its file name in English."""
    one = plot.comparison
    values = {
        "dataset": words.level(one.dataset),
        "study": words.level(one.study, "study"),
        "factors": ", ".join(words.factor(factor) for factor in keys_of(one)),
        "cell": ", ".join(words.value(level, factor) for factor, level in plot.cell),
        "rate": spell(plot.rate),
    }
    alt = words.say(f"alt.{plot.kind}", **values)
    return Picture(localised(name, words.language), alt, words.say(f"caption.{plot.kind}"))
