"""Text as UTF-8 can hold it. Standard library only."""

from __future__ import annotations


def readable(text: str) -> str:
    r"""Return text in which bytes that the locale could not read, of a file's name say, are read as UTF-8.

    Python keeps such bytes as lone surrogates, which neither UTF-8 nor JSON may hold. A byte that is not UTF-8 becomes a
    replacement character, so the result is for people and not the name of a file.

    >>> readable(b"caf\xc3\xa9.toml".decode("ascii", "surrogateescape"))
    'café.toml'
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
