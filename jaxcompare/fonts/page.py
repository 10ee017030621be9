"""A font to embed in a page: only the letters that the page uses, so that the page is readable on any machine."""

from __future__ import annotations

import io
from collections.abc import Iterable
from importlib import resources

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

LICENCE_NAMES = [0, 1, 2, 3, 4, 5, 6, 13, 14]  # the font's name, copyright and licence, which must stay in the file


def woff(name: str, letters: Iterable[str]) -> bytes:
    """Return the font file `name` of this package as WOFF, with these letters alone; equal letters give equal bytes."""
    options = Options()
    options.name_IDs, options.layout_features = LICENCE_NAMES, []
    with resources.as_file(resources.files(__package__) / name) as path:
        font = TTFont(path, recalcTimestamp=False)
        kept = Subsetter(options)
        kept.populate(text="".join(sorted(set(letters))))
        kept.subset(font)
    # WOFF 2 is smaller, but needs a compressor that nothing else here needs.
    font.flavor = "woff"
    buffer = io.BytesIO()
    font.save(buffer)
    return buffer.getvalue()
