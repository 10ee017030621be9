"""Cases whose outcome is known, exactly or from publications: the checks of `python -m jaxcompare.validate`."""

from __future__ import annotations

from jaxcompare.known.check import Check
from jaxcompare.known.exact import EXACT
from jaxcompare.known.published import PUBLISHED, SMALL

__all__ = ["EXACT", "PUBLISHED", "SMALL", "Check", "checks"]


def checks(*, quick: bool = False) -> tuple[Check, ...]:
    """Return every check, exact checks first; the quick checks need no download and take less than a minute."""
    return (*EXACT, *SMALL) if quick else (*EXACT, *SMALL, *PUBLISHED)
