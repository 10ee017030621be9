"""English singulars: a catalogue contains `{n} epochs`, and `with_singulars` turns `1 epochs` into `1 epoch`."""

from __future__ import annotations

import re

COUNTED = (
    *("epochs", "steps", "claims", "variants", "grids", "seeds", "rows", "settings", "runs", "replicas", "programs"),
    *("sizes", "files", "examples", "points", "rates", "studies", "pairs", "new seeds"),
)
# A 1 that counts a noun: not part of a decimal, of a larger number or of a range, and not the value of a rate or a norm.
NOT_COUNTED = ("to ", "- ", "at ", "rate ", "norm ", "size ", "batch ", "power ")
ONE = re.compile(rf"(?<![\d.,/]){''.join(f'(?<!{word})' for word in NOT_COUNTED)}\b1 ({'|'.join(COUNTED)})\b")


def with_singulars(text: str) -> str:
    """Return the text with a singular noun after each counting 1.

    >>> with_singulars("1 epochs of 106 steps, corrected for 1 claims; 0.1 points, 0 to 1 steps")
    '1 epoch of 106 steps, corrected for 1 claim; 0.1 points, 0 to 1 steps'
    >>> with_singulars("at rate 1 runs diverged")
    'at rate 1 runs diverged'
    """
    return ONE.sub(lambda match: f"1 {match.group(1)[:-1]}" if match.group(1) != "studies" else "1 study", text)
