"""Configs as files: those that are shipped, and a user's own. Standard library only."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.registry import nearest


def config_path(experiment: str) -> Path:
    """Where the config of `a`, `b`, `c` or of a file lies.

    Raises:
        ConfigError: neither a known name nor a file.
    """
    if experiment in names.EXPERIMENTS:
        package = Path(__file__).parent.parent
        inside, beside = package / "configs", package.parent / "configs"  # in an installed package; in a checkout
        return (inside if inside.is_dir() else beside) / names.EXPERIMENTS[experiment]
    path = Path(experiment)
    if path.suffix != ".toml":
        raise ConfigError(
            f"--exp: no comparison {experiment!r}; {nearest(experiment, [*names.EXPERIMENTS, 'all'])}, or a FILE.toml"
        )
    if not path.is_file():
        near = path.parent.glob("*.toml") if path.parent.is_dir() else []
        raise ConfigError(f"--exp: there is no file {experiment}; {nearest(path.name, sorted(p.name for p in near))}")
    return path


def load(experiment: str) -> tuple[str, dict[str, Any]]:
    """A comparison's name and its config, read but not checked.

    Raises:
        ConfigError: no such comparison or file, or the file is not TOML.
    """
    path = config_path(experiment)
    name = experiment if experiment in names.EXPERIMENTS else path.stem
    if experiment not in names.EXPERIMENTS and name in names.EXPERIMENTS:
        raise ConfigError(f"--exp: a file named {path.name} would take the place of comparison {name!r}; rename it")
    try:
        return name, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
