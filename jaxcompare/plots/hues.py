"""Colours beyond the palette, for sheets of many levels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.colors import hsv_to_rgb, to_hex, to_rgb

# Hues of three shades, none of them pale.
FURTHER = np.array([hsv_to_rgb((hue / 36, 0.8, shade)) for shade in (0.95, 0.7, 0.5) for hue in range(36)])
# From linear sRGB to the cones' responses, and from their cube roots to Oklab.
TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929],
     [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
TO_OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468],
     [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip


def another(used: Iterable[str]) -> str:
    """Return the colour of `FURTHER` that differs most from the colours in use, the paper's white among them."""
    known = oklab(np.array([to_rgb(colour) for colour in (*used, "white")]))
    nearest = np.linalg.norm(oklab(FURTHER)[:, None] - known, axis=-1).min(axis=1)
    return to_hex(FURTHER[nearest.argmax()].tolist())


def oklab(colours: np.ndarray) -> np.ndarray:
    """Return sRGB colours [N, 3] in Oklab (Ottosson 2020), where equal distances look equally different."""
    linear = np.where(colours > 0.04045, ((colours + 0.055) / 1.055) ** 2.4, colours / 12.92)
    return np.cbrt(linear @ TO_CONES.T) @ TO_OKLAB.T
