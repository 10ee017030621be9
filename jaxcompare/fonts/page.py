"""A font for a page: of one that is shipped here only the letters that stand on the page, so that it reads anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterable
from importlib import resources

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

LICENCE_NAMES = [0, 1, 2, 3, 4, 5, 6, 13, 14]  # the font's name, copyright and licence go with it


def woff(name: str, letters: Iterable[str]) -> bytes:
    """The file `name` of this package with these letters alone, as WOFF; the same letters give the same bytes."""
    options = Options()
    options.name_IDs, options.layout_features = LICENCE_NAMES, []
    with resources.as_file(resources.files(__package__) / name) as path:
        font = TTFont(path, recalcTimestamp=False)
        kept = Subsetter(options)
        kept.populate(text="".join(sorted(set(letters))))
        kept.subset(font)
    # WOFF 2 is smaller still, but needs a compressor that nothing else here needs.
    font.flavor = "woff"
    buffer = io.BytesIO()
    font.save(buffer)
    return buffer.getvalue()
