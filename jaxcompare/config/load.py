"""Read configs from files: the shipped ones by name, a user's own by path. Standard library only."""

from __future__ import annotations

import tomllib
import unicodedata
from pathlib import Path
from typing import Any

from jaxcompare.config.errors import ConfigError, brief, shown
from jaxcompare.config.limits import MOST_CHARACTERS
from jaxcompare.config.registry import nearest


def shipped() -> dict[str, Path]:
    """Return the shipped configs by name, in order; a name is the part of the file's name before the first underscore."""
    package = Path(__file__).parent.parent
    inside, beside = package / "configs", package.parent / "configs"  # in an installed package; in a checkout
    files = sorted((inside if inside.is_dir() else beside).glob("*.toml"))
    return {path.stem.partition("_")[0]: path for path in files}


def load(comparison: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the config of a shipped comparison or of a file, unchecked.

    Raises:
        ConfigError: no such comparison or file, or the file is not TOML.
    """
    configs = shipped()
    path = configs.get(comparison) or _user_path(comparison, configs)
    name = comparison if comparison in configs else unicodedata.normalize("NFC", path.stem)  # macOS decomposes letters
    try:
        with path.open(encoding="utf-8-sig") as file:  # some editors of Windows begin with a mark
            text = file.read(MOST_CHARACTERS + 1)
        if len(text) > MOST_CHARACTERS:
            raise ConfigError(f"{path}: is longer than a config may be, {MOST_CHARACTERS} letters")
        return name, toml(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not in UTF-8 ({error}); save the file in UTF-8") from error
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {brief(str(error))}") from error


def toml(text: str) -> dict[str, Any]:
    """Return a text's content.

    Raises:
        tomllib.TOMLDecodeError: the text is not TOML, or something in it is too long or too deep for Python.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("lists or tables are too deep in each other") from error
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        raise tomllib.TOMLDecodeError("a number has too many digits") from error


def _user_path(comparison: str, configs: dict[str, Path]) -> Path:
    """Return the path of a user's config; raise ConfigError where there is none, or its name is a shipped comparison's."""
    path = Path(comparison)
    if path.suffix != ".toml":
        raise ConfigError(
            f"--exp: no comparison {shown(comparison)}; {nearest(comparison, [*configs, 'all'])}, or a FILE.toml"
        )
    try:
        there = path.is_file()
        near = path.parent.glob("*.toml") if not there and path.parent.is_dir() else []
        names = sorted(one.name for one in near)
    except (OSError, ValueError) as error:  # a name that no file can have
        raise ConfigError(f"--exp {brief(comparison)}: cannot be read: {getattr(error, 'strerror', error)}") from error
    if not there:
        raise ConfigError(f"--exp: there is no file {brief(comparison)}; {nearest(path.name, names)}")
    if path.stem in configs:
        raise ConfigError(f"--exp: a file named {path.name} would replace comparison {path.stem!r}; rename the file")
    return path
