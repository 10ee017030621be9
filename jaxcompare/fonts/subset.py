"""`python -m jaxcompare.fonts.subset NanumGothic.ttf NanumGothicBold.ttf`: make the fonts of this package.

The source is NanumGothic (NAVER Corporation, SIL Open Font License 1.1, `OFL.txt`; Debian's package fonts-nanum 20200506-1).
The subset keeps Latin letters, signs and the 2,350 syllables of KS X 1001, without hints. The licence reserves the name of the
original, so the subset has another name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FAMILY = "Jaxcompare Gothic"
STYLES = ("Regular", "Bold")
# Latin with its signs, Greek, punctuation, arrows, mathematics, shapes, Korean punctuation and single letters.
RANGES = (
    *((0x20, 0x7F), (0xA0, 0x100), (0x391, 0x3CA), (0x2010, 0x2040), (0x2190, 0x2195), (0x2200, 0x2270)),
    *((0x25A0, 0x25D0), (0x3000, 0x3020), (0x3131, 0x318F)),
)
LICENCE = "SIL Open Font License, Version 1.1"
MINUS, DASH = 0x2212, 0x2013  # matplotlib writes negative numbers with the minus, which the original lacks
BOLD = 700


def letters() -> set[int]:
    """Return the code points that the subset keeps."""
    syllables = {code for code in range(0xAC00, 0xD7A4) if len(chr(code).encode("euc_kr")) == 2}
    return syllables.union(*(range(*ends) for ends in RANGES))


def subset(source: Path, style: str) -> TTFont:
    """Return the font of a style with the code points of `letters`, under its new name."""
    options = Options()
    options.hinting, options.layout_features, options.name_IDs = False, ["kern"], [0]
    options.name_languages = [0x409]
    options.drop_tables += ["DSIG", "GSUB", "GPOS", "EBDT", "EBLC", "EBSC", "gasp", "vhea", "vmtx"]
    font = TTFont(source)
    made = Subsetter(options)
    made.populate(unicodes=letters())
    made.subset(font)
    full = FAMILY if style == "Regular" else f"{FAMILY} {style}"
    names = {1: FAMILY, 2: style, 3: f"{full}; a subset", 4: full, 5: "Version 1.0", 6: file_of(style).stem}
    names |= {13: LICENCE, 14: "https://openfontlicense.org"}
    for key, text in names.items():
        font["name"].setName(text, key, 3, 1, 0x409)
    for table in font["cmap"].tables:
        table.cmap[MINUS] = table.cmap[DASH]
    if style == "Bold":
        font["OS/2"].usWeightClass = BOLD
    return font


def file_of(style: str) -> Path:
    """Return the path of a style's font file."""
    return Path(__file__).parent / f"{FAMILY.replace(' ', '')}-{style}.ttf"


def main(sources: Sequence[str]) -> int:
    """Write one font file per style and return 0."""
    for source, style in zip(sources, STYLES, strict=True):
        subset(Path(source), style).save(file_of(style))
        print(f"{file_of(style)}: {file_of(style).stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
