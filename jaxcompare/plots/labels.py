"""Names that fit: long texts are cut in their middle, and different texts stay different."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

GAP = "\u2026"
LEAST = 12  # letters of a text that is cut
PART, LONG_PART = 30, 45  # letters of a long part after it is cut, and of the longest part that is not
BETWEEN = ", "  # parts


def width(text: str) -> int:
    """Return the approximate width of a text in Latin letters; a Korean syllable is as wide as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def shortened(texts: Sequence[str], most: int) -> list[str]:
    """Return the texts, shortened where one is wider than `most`; those that would be equal get a number.

    First each long part of a text is cut in its middle. Then parts that all texts share are left out, except for the last part,
    which has the number of runs. Then middle parts are left out.

    >>> shortened(["relu", "package.module:a_long_name"], 16)
    ['relu', 'package.…ng_name']
    """
    most = max(most, LEAST)
    if all(width(text) <= most for text in texts):
        return list(texts)
    parts = {text: _parts(text) for text in texts}
    shared = set.intersection(*(set(every[:-1]) for every in parts.values())) if len(parts) > 1 else set()
    found = {}
    for text, every in parts.items():
        own = [*(part for part in every[:-1] if part not in shared), every[-1]]
        found[text] = _joined(every if width(BETWEEN.join(every)) <= most else own, most)
    alike = [text for text, short in found.items() if list(found.values()).count(short) > 1]
    for number, text in enumerate(alike, start=1):
        mark = f" ({number})"
        found[text] = cut(found[text], most - len(mark)) + mark
    return [found[text] for text in texts]


def _parts(text: str) -> list[str]:
    """Return the parts of a text, and of several parts the long ones cut."""
    every = text.split(BETWEEN)
    return [cut(part, PART) if width(part) > LONG_PART else part for part in every] if len(every) > 1 else every


def _joined(parts: Sequence[str], most: int) -> str:
    """Return parts as a text, without middle parts where the text is wider than `most`."""
    for kept in range(len(parts), 1, -1):
        gap = [GAP] if kept < len(parts) else []
        text = BETWEEN.join([*parts[: kept - kept // 2], *gap, *parts[len(parts) - kept // 2 :]])
        if width(text) <= most:
            return text
    return cut(BETWEEN.join(parts), most)


def wrapped(text: str, most: int) -> str:
    r"""Return a text in lines of at most `most`, broken between its parts.

    >>> wrapped("relu, sgd, batch size 16", 14)
    'relu, sgd,\nbatch size 16'
    """
    lines = [""]
    for part in text.split(BETWEEN):
        longer = f"{lines[-1]}{BETWEEN}{part}" if lines[-1] else part
        lines = [*lines[:-1], longer] if width(longer) <= most or not lines[-1] else [*lines, part]
    return ",\n".join(cut(line, most) for line in lines)


def cut(text: str, most: int) -> str:
    """Return a text with its middle left out where the text is wider than `most`."""
    if width(text) <= most:
        return text
    room = most - width(GAP)
    return _head(text, room - room // 2) + GAP + _head(text[::-1], room // 2)[::-1]


def _head(text: str, most: int) -> str:
    """Return the first letters of a text that are at most `most` wide."""
    end = 0
    while end < len(text) and width(text[: end + 1]) <= most:
        end += 1
    return text[:end]


def rename(axis: Axis, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
    """Change the names on an axis, which `set_ticks` gave; an axis of numbers stays."""
    named = isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)
    if not named or not isinstance(axis.get_major_locator(), FixedLocator):
        return
    before = [label.get_text() for label in axis.get_majorticklabels()]
    after = list(change(before))
    if after != before:
        axis.set_ticks(axis.get_majorticklocs(), after)
