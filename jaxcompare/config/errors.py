"""Errors that a user can fix: a command prints their message, a line a fault, and exits with code 2."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable
from typing import Any

LONGEST = 120  # signs of a text in a message


class InputError(Exception):
    """Unusable input; each line of the message names the field, the value and what would be valid."""


class ConfigError(InputError, ValueError):
    """An invalid config, override or option of the command line."""


def every(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """Return what a function makes of each argument, as `map` does.

    Raises:
        ConfigError: with the lines of all calls that raise one.

    >>> every(int, ["1", "2"])
    [1, 2]
    """
    found, lines = [], []
    for each in zip(*arguments, strict=True):
        try:
            found.append(function(*each))
        except ConfigError as error:
            lines += str(error).splitlines()
    if lines:
        raise ConfigError("\n".join(dict.fromkeys(lines)))
    return found


def together(*checks: Callable[[], Any]) -> list[Any]:
    """Return what each check returns; one ConfigError has the lines of all checks that raise one."""
    return every(lambda check: check(), checks)


class _Brief(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = LONGEST
        self.maxlist = self.maxtuple = self.maxdict = 12

    def repr_int(self, x: int, level: int) -> str:
        """Return a number; of a long one its length, since Python writes no number of 5,000 digits."""
        return repr(x) if abs(x) < 10**40 else f"(a number of about {x.bit_length() * 30103 // 100000} digits)"


def shown(value: Any) -> str:
    """Return a value as a message has it: on one line, and not too long.

    >>> shown("a"), shown([1, 2.5]), shown(10**4999)
    ("'a'", '[1, 2.5]', '(a number of about 4999 digits)')
    """
    return _Brief().repr(value)


def brief(text: str, longest: int = LONGEST) -> str:
    r"""Return a text as a message has it: on one line, and not too long.

    >>> brief("two\nlines"), len(brief("x" * 1000))
    ('two lines', 120)
    """
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 20]} ... {line[-15:]}"
