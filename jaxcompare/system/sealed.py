"""Content with a digest over all of it, so that damage is noticed before anything is read from it. Standard library only."""

from __future__ import annotations

import hashlib
import hmac

FIRST_LINE = b"jaxcompare sealed 1\n"  # the number is the version of this format
DIGEST_BYTES = 32


class DamagedError(ValueError):
    """The content is not what was sealed, or was sealed with another key."""


def seal(content: bytes, key: bytes = b"") -> bytes:
    """Return content with its digest in front.

    Args:
        content: any bytes.
        key: at most 64 bytes. Without a key, damage is noticed; with one, also content that somebody else made.

    >>> unseal(seal(b"some numbers"))
    b'some numbers'
    """
    return FIRST_LINE + _digest(content, key) + content


def unseal(content: bytes, key: bytes = b"") -> bytes:
    """Return what was sealed.

    Args:
        content: of `seal`.
        key: that it was sealed with.

    Raises:
        DamagedError: a byte was changed, lost or added, the key is another one, or nothing was ever sealed here.
    """
    if not content.startswith(FIRST_LINE):
        raise DamagedError(f"the first line is not {FIRST_LINE.decode().strip()!r}")
    body = content[len(FIRST_LINE) :]
    digest, inside = body[:DIGEST_BYTES], body[DIGEST_BYTES:]
    if not hmac.compare_digest(digest, _digest(inside, key)):
        raise DamagedError("the digest is another one")
    return inside


def _digest(content: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=key).digest()
