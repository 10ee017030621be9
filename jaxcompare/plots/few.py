"""What a sheet has room for: of many cells the best are drawn, and the sheet says how many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.plots import fonts, rooms
from jaxcompare.plots.panels import MOST_CELLS, Tables
from jaxcompare.words import say, spoken

Draw = Callable[[], Any]
Decorator = Callable[[Draw], Draw]


def few(tables: Tables, rows: pd.DataFrame, keys: Sequence[str], most: int = MOST_CELLS) -> tuple[Tables, Decorator]:
    """Return the tables with the best cells among some variants, and a decorator of what draws them.

    Args:
        tables: with `summary`.
        rows: the variants of one picture, of the summary.
        keys: the factors whose levels make a cell.
        most: cells that the picture has room for; all are kept where there are no more.

    Returns:
        The tables, whose summary has only the variants of the kept cells; and a function that takes what draws the picture, and
        returns what draws the picture with a note of how many cells are left out.
    """
    cells = analysis.cells(rows, tuple(keys))
    if len(cells) <= most:
        return tables, _as_it_is
    leaders = pd.DataFrame([analysis.ranked(cell).iloc[0] for cell in cells]).reset_index(drop=True)
    kept = sorted(analysis.ranked(leaders).index[:most])
    variants = pd.concat([cells[place] for place in kept])["variant_id"]
    summary = tables["summary"]
    shown = tables | {"summary": summary[summary["variant_id"].isin(variants)]}

    def noted(draw: Draw) -> Draw:
        return partial(_noted, draw, len(kept), len(cells))

    return shown, noted


def _as_it_is(draw: Draw) -> Draw:
    return draw


def _noted(draw: Draw, kept: int, every: int) -> Any:
    """Draw a picture with the note; an animation has no room for the note."""
    made = draw()
    if isinstance(made, Figure):
        rooms.add_note(made, say("picture.few", kept=kept, every=every))
        fonts.prepare(made, spoken().language)
    return made
