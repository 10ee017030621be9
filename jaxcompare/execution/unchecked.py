"""JAX's checks of numbers, switched off around programs in which NaN and infinity have a meaning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def unchecked() -> Iterator[None]:
    """Switch JAX_DEBUG_NANS and JAX_DEBUG_INFS off; a block, or a decorator.

    NaN marks what was not measured, infinity is a norm without a limit, and a replica that diverges is a result. A check would
    end a healthy run.
    """
    with jax.debug_nans(False), jax.debug_infs(False):
        yield
