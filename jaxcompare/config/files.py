"""Names of a report's files by kind: the rule, and what a config's table `[files]` may say instead. Standard library only.

A pattern is a file name with placeholders. The rule has the comparison's name in every pattern, so that two comparisons on
one data set never share a file.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Iterable, Mapping
from pathlib import PurePath

# The rule: the pattern of each kind of file. `level` is a variant's cell of the factors compared; `rate` its learning rate.
FILES: dict[str, str] = {
    "results": "experiment_{comparison}_results_{dataset}.png",
    "optimizer_at_rate": "experiment_{comparison}_results_{dataset}_{level}_lr_{rate}.png",
    "lr_comparison": "lr_comparison_{comparison}_{dataset}_{level}.png",
    "rate_map": "rate_map_{comparison}_{dataset}.png",
    "gradient_norms": "gradient_norms_{comparison}_{dataset}.png",
    "activation_distributions": "activation_distributions_{comparison}_{dataset}.png",
    "dead_heatmap": "dead_heatmap_{comparison}_{dataset}.png",
    "dead_units": "dead_units_{comparison}_{dataset}.png",
    "decision_boundary": "decision_boundary_{comparison}_{dataset}_{level}.png",
    "decision_gallery": "decision_gallery_{comparison}_{dataset}.png",
    "decision_animation": "decision_animation_{comparison}_{dataset}.gif",
    "study": "experiment_{comparison}_study_{study}_{dataset}.png",
    "loss_scale": "experiment_{comparison}_study_{study}_{dataset}_loss_scale.png",
    "comparison": "experiment_{comparison}_comparison_{dataset}.csv",
    "study_table": "experiment_{comparison}_study_{study}_{dataset}.csv",
}
NOT_NEEDED = {"comparison", "dataset"}  # placeholders that a pattern may leave out
# Bytes of a name; a Korean letter takes three. Most file systems allow 255, encrypted ones 143. An atomic write needs ten
# more, a language three.
LONGEST = 120


def placeholders(pattern: str) -> set[str]:
    """Return the names of the placeholders in a pattern; raise ValueError where its braces do not match."""
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}


def problem(kind: str, pattern: str) -> str:
    """Say what is wrong with a pattern for a known kind of file; an empty text where nothing is.

    An empty pattern is right: files of that kind are then left out.
    """
    if not pattern:
        return ""
    if re.search(r"[^\w.{}-]", pattern) or pattern.startswith("."):
        return "may have letters, digits, '_', '-' and '.' only, and not begin with '.'"
    known = placeholders(FILES[kind])
    try:
        used = placeholders(pattern)
    except ValueError:
        used = {pattern}
    if not used <= known:
        return f"may use the placeholders {_listed(known)} only"
    if missing := known - used - NOT_NEEDED:
        return f"needs the placeholders {_listed(missing)}: without them, several files would have one name"
    ending = PurePath(FILES[kind]).suffix
    if PurePath(pattern).suffix != ending:
        return f"must end with {ending}"
    return ""


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def file_name(kind: str, values: Mapping[str, str], patterns: Mapping[str, str] | None = None) -> str:
    """Return the name of a file: by the pattern in `patterns`, else by the rule; empty where the pattern is empty.

    Signs in `values` that a file name should not have become underscores, and a name that is too long is cut.
    """
    pattern = FILES[kind] if patterns is None else patterns.get(kind, FILES[kind])
    name = pattern.format_map({key: re.sub(r"[^\w.-]", "_", value) for key, value in values.items()})
    return name and safe(name)


def safe(name: str) -> str:
    """Return a text as the name of one file: never another folder, hidden, or longer than `LONGEST` bytes.

    Signs that a file system does not take become underscores. Of a longer name, head and tail remain, and between them a
    digest of the whole.

    >>> safe("lr_comparison.png"), safe("config_z/../x.toml"), safe("..")
    ('lr_comparison.png', 'config_z_.._x.toml', '_.')
    >>> len(safe("comparison_" + 60 * "한" + ".png").encode()) <= LONGEST
    True
    """
    name = re.sub(r'[/\\:*?"<>|\x00-\x1f\x7f]|^(?=$)|^\.', "_", name)
    whole = name.encode(errors="surrogateescape")
    if len(whole) <= LONGEST:
        return name
    room = (LONGEST - len(mark := f"-{_mark(name)}-")) // 2
    return whole[:room].decode(errors="ignore") + mark + whole[-room:].decode(errors="ignore")


def _mark(content: str) -> str:
    return hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()[:8]


def is_free(name: str, taken: Iterable[str]) -> bool:
    """Return whether no name in `taken` is the same, as file systems of Windows and macOS compare names: in any case."""
    return name.casefold() not in {other.casefold() for other in taken}


def free(name: str, taken: Iterable[str], content: str) -> str:
    """Return a name, marked by its content before the ending where the name is taken."""
    if is_free(name, taken):
        return name
    path = PurePath(name)
    return safe(f"{path.stem}-{_mark(content)}{path.suffix}")
