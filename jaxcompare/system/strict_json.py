"""JSON as its standard has it: no `NaN` and no `Infinity`, which most readers refuse. Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from jaxcompare.system.text import readable


def to_json(content: Any, *, infinity_as_text: bool = False, **options: Any) -> str:
    """Return content as JSON; a number that is not finite is null, and a text is one that UTF-8 can hold.

    Args:
        content: numbers, texts, mappings, sequences, and NumPy's scalars and arrays.
        infinity_as_text: write an infinity as the text "inf" or "-inf", which a config takes in place of the number.
        options: of `json.dumps`.

    >>> to_json({"loss": float("nan"), "clip_norm": float("inf")}, infinity_as_text=True)
    '{"loss": null, "clip_norm": "inf"}'
    """
    return json.dumps(_plain(content, infinity_as_text=infinity_as_text), allow_nan=False, **options)


def _plain(value: Any, *, infinity_as_text: bool) -> Any:
    if hasattr(value, "tolist"):  # NumPy's
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value) if infinity_as_text and math.isinf(value) else None
    if isinstance(value, Mapping):
        return {_readable(key): _plain(part, infinity_as_text=infinity_as_text) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, infinity_as_text=infinity_as_text) for part in value]
    return _readable(value)


def _readable(value: Any) -> Any:
    return readable(value) if isinstance(value, str) else value


def with_infinities(value: Any) -> Any:
    """Return content read from JSON, with the infinities that `infinity_as_text` wrote as texts."""
    if isinstance(value, dict):
        return {key: with_infinities(part) for key, part in value.items()}
    if isinstance(value, list):
        return [with_infinities(part) for part in value]
    return float(value) if value in ("inf", "-inf") else value
