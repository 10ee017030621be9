"""A user's own modules: imported by their files, and known by their sources. Standard library only.

No folder of the user's is on `sys.path`: a file there would be run in place of an installed module of the same name.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import logging
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxcompare.config.comparison import Comparison
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.registry import is_plugin, resolve
from jaxcompare.config.settings import KEYS, Settings

_LOG = logging.getLogger(__name__)
_PARSING = (
    threading.Lock()
)  # Python 3.11 may fail where two threads parse (https://github.com/python/cpython/issues/106905)
_PACKAGE = Path(__file__).parent.parent
_KINDS = tuple(key for key, setting in KEYS.items() if setting.metadata.get("plugin"))  # settings that take a function


def functions(settings: Iterable[Settings]) -> list[tuple[str, str]]:
    """Return kind and name of every custom function that some settings use, each once."""
    used = [(kind, getattr(one, kind)) for one in settings for kind in _KINDS]
    return [(kind, name) for kind, name in dict.fromkeys(used) if is_plugin(name)]


@contextmanager
def imported(comparisons: Iterable[Comparison], folders: Sequence[Path]) -> Iterator[None]:
    """Import the custom functions of comparisons until the block ends, when their modules are forgotten.

    A module is an installed one, if there is one of its name, else a file or a package in one of the folders. There it may
    import other files of these folders by their names.

    Args:
        comparisons: checked.
        folders: the first that has the module gives it.

    Raises:
        ConfigError: a module or function is missing, or the module's own code fails.
    """
    settings = [v.settings for comparison in comparisons for study in comparison.studies for v in study.variants]
    found = functions(settings)
    finder = _Finder([name for _, name in found], folders)
    importlib.invalidate_caches()  # a file may be younger than the last import from its folder
    sys.meta_path.insert(0, finder)  # before Python's own, which would find the modules of a user's package
    try:
        faults = []
        for kind, name in found:
            try:
                resolve(name, {}, kind)
            except ConfigError as error:
                faults.append(str(error))
        if faults:
            raise ConfigError("\n".join(faults))
        finder.say_unused()
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.modules():
            del sys.modules[name]


class _Finder(MetaPathFinder):
    """Finds a user's modules by their files: those of custom functions, and those that such a module's source imports.

    Installed packages look for optional modules that are not there; they do not get a user's file of that name. The sources are
    read once: what is edited while a run goes on is not part of it.
    """

    def __init__(self, names: Iterable[str], folders: Sequence[Path]) -> None:
        self.wanted = {top(name.partition(":")[0]) for name in names}
        self.folders = [str(folder) for folder in folders]
        self.found: dict[str, ModuleSpec] = {}  # modules and packages of no package
        self.sources: dict[str, bytes] = {}  # by file
        waiting = list(self.wanted)
        while waiting:
            name = waiting.pop()
            if name in self.found or _spec(name) is not None:  # what is installed comes first
                continue
            spec = PathFinder.find_spec(name, self.folders)
            if spec is not None:
                self.found[name] = spec
                files = {
                    str(file) for folder in spec.submodule_search_locations or () for file in Path(folder).rglob("*.py")
                }
                for file in files | ({spec.origin} if spec.origin and spec.origin.endswith(".py") else set()):
                    with suppress(OSError):
                        self.sources[file] = Path(file).read_bytes()
                        waiting += map(top, _imports(name, self.sources[file]))

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where a user's module lies."""
        if top(fullname) not in self.found:
            return None
        spec = self.found[fullname] if path is None else PathFinder.find_spec(fullname, path)
        if spec is not None and spec.origin in self.sources:
            spec.loader = _Loader(fullname, spec.origin, self.sources[spec.origin])
        return spec

    def modules(self) -> list[str]:
        """Return the names of the modules that were found here and imported."""
        return [name for name in list(sys.modules) if top(name) in self.found]

    def say_unused(self) -> None:
        """Log each file that has the name of a custom function's module, and is not used."""
        for name in sorted(self.wanted - self.found.keys()):
            spec = PathFinder.find_spec(name, self.folders)
            if spec is not None and spec.origin is not None and spec.origin != _origin(name):
                _LOG.warning("%s is not used: an installed module is named %s; rename the file", spec.origin, name)


class _Loader(SourceFileLoader):
    """Loads a module from a source that was read before, never from compiled code beside the file."""

    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self.source = source

    def get_data(self, path: str) -> bytes:
        """Return the source."""
        if path != self.path:
            raise OSError(f"{path}: not read")
        return self.source

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Refuse: there is no compiled code."""
        raise OSError(f"{path}: no compiled code")

    def set_data(self, path: str, data: Any, *, _mode: int = 0) -> None:
        """Write no compiled code."""


def top(name: str) -> str:
    """Return the name of the package that a module belongs to."""
    return name.partition(".")[0]


def sources(module: str) -> dict[str, bytes]:
    """Return the sources of a user's module and of all modules of the user's that the module imports, by their names.

    A package without a source has an empty one. Installed modules are left out.
    """
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (source := _source(name)) is None:
            continue
        found[name] = source
        parts = name.split(".")
        waiting += [".".join(parts[:count]) for count in range(1, len(parts))]
        waiting += _imports(name, source)
    return found


def file_of(module: str) -> Path | None:
    """Return the file of a module, installed or not; None where there is no such module, or no file."""
    origin = _origin(module)
    return Path(origin) if origin and Path(origin).is_file() else None


def _spec(module: str) -> ModuleSpec | None:
    """Return where a module lies, without importing the packages around it; None where there is no such module."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__spec__", None)
    parent, _, _ = module.rpartition(".")
    around = _spec(parent) if parent else None
    path = None if around is None else around.submodule_search_locations
    if parent and path is None:
        return None
    with suppress(ImportError, ValueError, AttributeError):
        for finder in list(sys.meta_path):
            if (spec := finder.find_spec(module, path)) is not None:
                return spec
    return None


def _origin(module: str) -> str | None:
    spec = _spec(module)
    return None if spec is None else spec.origin


def _source(module: str) -> bytes | None:
    """Return the source of a user's module; None of any other module."""
    spec = _spec(module)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if spec.origin is None:  # a folder without __init__.py is a package, too
        return b"" if folders and not any(map(_installed, folders)) else None
    with suppress(OSError):
        if spec.origin.endswith(".py") and not _installed(spec.origin):
            return spec.loader.source if isinstance(spec.loader, _Loader) else Path(spec.origin).read_bytes()
    return None


def _installed(path: str) -> bool:
    """Return whether a file belongs to Python, to an installed package or to this one."""
    if {"site-packages", "dist-packages"} & set(Path(path).parts):
        return True
    return any(Path(path).resolve().is_relative_to(folder) for folder in _folders())


@cache
def _folders() -> tuple[Path, ...]:
    named = [sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")]
    return (*(Path(path).resolve() for path in named), _PACKAGE)


def _imports(module: str, source: bytes) -> list[str]:
    """Return the names of the modules that a source imports, and of the packages around them."""
    try:
        with _PARSING:
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    package = (_spec(module) or ModuleSpec(module, None)).parent
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            with suppress(ImportError):  # more points than packages
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    parts = [name.split(".") for name in names]
    return list(dict.fromkeys(".".join(each[:count]) for each in parts for count in range(1, len(each) + 1)))
