"""JSON as its standard has it: no `NaN` and no `Infinity`, which most readers refuse. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from jaxcompare.system.text import readable

DIGEST = "content_digest"


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


def to_digested_json(content: Mapping[str, Any], *, infinity_as_text: bool = False) -> str:
    """Return content as a JSON object with a digest of all else in it, sorted and indented.

    >>> text = to_digested_json({"complete": True})
    >>> from_digested_json(text)
    {'complete': True}
    >>> from_digested_json(text.replace("true", "false"))
    Traceback (most recent call last):
        ...
    ValueError: its digest says that it was changed or damaged
    """
    if DIGEST in content:
        raise ValueError(f"a key of the content is called {DIGEST!r}")
    plain = json.loads(to_json(content, infinity_as_text=infinity_as_text, default=str))
    return to_json({**plain, DIGEST: _digest(plain)}, indent=2, sort_keys=True)


def from_digested_json(
    text: str | bytes, *, optional: Callable[[dict], bool] = lambda content: False
) -> dict[str, Any]:
    """Return the content of `to_digested_json`.

    Args:
        text: the JSON.
        optional: whether content may lack a digest.

    Raises:
        ValueError: no JSON object, or none with this digest.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("its lists or tables are too deep") from error
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}, not a JSON object")
    found = content.pop(DIGEST, None)
    if found != _digest(content) and not (found is None and optional(content)):
        raise ValueError("its digest says that it was changed or damaged")
    return content


def _digest(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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
