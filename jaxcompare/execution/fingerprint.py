"""What decides numbers beside the config: versions of packages, our own sources, the user's modules."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from importlib import metadata
from pathlib import Path

from jaxcompare.config.comparison import digest
from jaxcompare.config.registry import is_plugin
from jaxcompare.config.settings import Settings

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
# The parts of the package that decide numbers; what the others do changes no bits. `devices.py` chooses how many devices there
# are, which XLA compiles for.
DECIDE_NUMBERS = (
    *("types.py", "config/", "components/", "data/", "engine/", "diagnostics/", "planning/"),
    "execution/devices.py",
)


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers."""
    return {package: metadata.version(package) for package in PACKAGES}


def code_digest() -> str:
    """Return the sha256 of the sources that decide numbers: results never mix two states of the code."""
    root = Path(__file__).parent.parent
    sources = {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).as_posix().startswith(DECIDE_NUMBERS)
    }
    return digest(sources)


def plugin_digests(settings: Settings) -> dict[str, str]:
    """Return the sha256 of each module that a variant's custom functions come from: an edited function is another one.

    Imports of such a module are not followed. A missing module is an error later, when the function is used.
    """
    digests = {}
    for key in ("activation", "loss", "optimizer", "schedule"):
        name = getattr(settings, key)
        if is_plugin(name):
            module = name.partition(":")[0]
            with contextlib.suppress(ImportError, ValueError, OSError, TypeError):
                spec = importlib.util.find_spec(module)
                if spec is not None and spec.origin is not None:
                    digests[module] = hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    return digests
