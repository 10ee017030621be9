"""The room of a sheet's texts: titles, names and notes are cut, wrapped or given more height."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from jaxcompare.plots import labels

LINE = 0.19  # inches of a line of a legend or a note
LETTERS, LETTERS_BOLD = 118, 94  # Latin letters of one point's size on an inch
MOST_X, MOST_Y = 36, 26  # letters of a name on an axis
TITLE_LINES, TITLE_LINE = 3, 0.15  # lines that a panel's long title may take, and their inches
PANEL = 0.8  # of a panel's width: what its axis' names leave to its title


def raise_by(figure: Figure, inches: float) -> None:
    """Make a figure higher; the note stays as far below the upper edge as it was."""
    before = figure.get_figheight()
    figure.set_figheight(before + inches)
    for text in _notes(figure):
        x, y = text.get_position()
        text.set_position((x, 1 - (1 - y) * before / (before + inches)))


def add_note(figure: Figure, more: str) -> None:
    """Add a line to the note below a sheet's title."""
    raise_by(figure, LINE)
    for note in _notes(figure):
        x, y = note.get_position()
        note.set_text(f"{note.get_text()}\n{more}")
        note.set_position((x, y - LINE / 2 / figure.get_figheight()))
        title: Any = figure._suptitle  # type: ignore[attr-defined]
        title.set_text(f"{title.get_text()}\n")  # its lines keep the panels away


def _notes(figure: Figure) -> list[Text]:
    """Return the note below a sheet's title, if the sheet has a note."""
    return [text for text in figure.texts if text is not figure._suptitle]  # type: ignore[attr-defined]


def fit(figure: Figure) -> None:
    """Cut titles, names on axes and legends of panels to the room that they have; cut texts of one kind stay different."""
    title: Any = figure._suptitle  # type: ignore[attr-defined]
    if title is not None:
        _cut([title], figure.get_figwidth())
    for ax, room in (found := _rooms(figure)).items():
        labels.rename(ax.xaxis, partial(labels.shortened, most=MOST_X))
        labels.rename(ax.yaxis, partial(labels.shortened, most=MOST_Y))
        _cut([ax.xaxis.label], room.width)
        _cut([ax.yaxis.label], room.height)
        if (legend := ax.get_legend()) is not None:
            _cut(legend.get_texts(), PANEL * room.width)
    titles = [text for ax in found for text in (ax.title, ax._left_title) if text.get_text()]  # type: ignore[attr-defined]
    if titles:
        room = min(found.values())
        lines = _cut(titles, PANEL * room.width, TITLE_LINES)
        raise_by(figure, TITLE_LINE * (lines - 1) * room.rows)


class Room(NamedTuple):
    """The room of a panel, in inches, and the rows of panels."""

    width: float
    height: float
    rows: int


def _rooms(figure: Figure) -> dict[Axes, Room]:
    """Return the room of each panel of a sheet; bars of colours have none."""
    found = {}
    for ax in figure.axes:
        if (place := ax.get_subplotspec()) is not None:
            rows, columns = place.get_gridspec().get_geometry()
            found[ax] = Room(figure.get_figwidth() / columns, figure.get_figheight() / rows, rows)
    return found


def _cut(texts: Sequence[Text], inches: float, lines: int = 1) -> int:
    """Cut texts of one kind to a width, each of their lines separately; return how many lines the longest line becomes."""
    rows = [text.get_text().split("\n") for text in texts]
    for place in range(max(map(len, rows), default=0)):
        having = [(text, row) for text, row in zip(texts, rows, strict=True) if len(row) > place]
        bold = all(text.get_fontweight() in ("bold", 700) for text, _ in having)
        size = max(float(text.get_fontsize()) for text, _ in having)
        most = int(inches * (LETTERS_BOLD if bold else LETTERS) / size)
        for (_, row), cut in zip(
            having, labels.shortened([row[place] for _, row in having], lines * most), strict=True
        ):
            row[place] = labels.wrapped(cut, most) if lines > 1 else cut
    for text, row in zip(texts, rows, strict=True):
        text.set_text("\n".join(row))
    return max((part.count("\n") + 1 for row in rows for part in row), default=1)
