"""Cases whose outcome is known, exactly or from publications: what `python -m jaxcompare.validate` computes."""

from __future__ import annotations

from jaxcompare.known.check import Check
from jaxcompare.known.exact import EXACT
from jaxcompare.known.published import PUBLISHED, SMALL


def checks(*, quick: bool = False) -> tuple[Check, ...]:
    """Every check, exact ones first; the quick ones need no download and take less than a minute."""
    return (*EXACT, *SMALL) if quick else (*EXACT, *SMALL, *PUBLISHED)


__all__ = ["EXACT", "PUBLISHED", "SMALL", "Check", "checks"]
