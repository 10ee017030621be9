"""Measured tiles, kept while a run goes on: a stopped run continues, and an extended run trains only what is new."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxcompare.config.comparison import digest
from jaxcompare.execution.checkpoints import FORMAT
from jaxcompare.execution.fingerprint import code_digest, flags, plugin_digests, versions
from jaxcompare.planning.cadence import Arrays
from jaxcompare.planning.programs import Tile, identity
from jaxcompare.system.files import set_aside, write_atomically
from jaxcompare.system.sealed import DamagedError, seal, unseal

SUFFIX = ".tile"  # sealed NPZ


class TileCache:
    """Measured tiles in a folder, those of each version of the code in their own; a file is named by what decides the tile."""

    def __init__(self, root: Path | None = None, device: str = "") -> None:
        """Use a folder, or keep nothing where `root` is None."""
        self.root = root
        code = code_digest()
        self.common = {"versions": versions(), "code": code, "device": device, "flags": flags()}
        self.folder = root and root / code[:16]

    def _path(self, folder: Path, tile: Tile) -> Path:
        program = tile.program
        content = {
            **self.common,
            "tile": identity(program, tile.seeds, tile.variants),
            "shape": program.shape,
            "data": program.material.digest,
            "plugins": plugin_digests(variant.settings for variant in tile.variants),
        }
        return folder / f"{digest(content)[:32]}{SUFFIX}"

    def get(self, tile: Tile) -> Arrays | None:
        """Return the tile's measurements, or None; a damaged file is set aside."""
        content = None if self.folder is None else _read(self._path(self.folder, tile))
        if content is None:
            return None
        with np.load(io.BytesIO(content)) as arrays:
            return dict(arrays)

    def put(self, tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a tile's measurements; its checkpoints are not needed any more."""
        if self.folder is not None:
            buffer = io.BytesIO()
            np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
            write_atomically(self._path(self.folder, tile), seal(buffer.getvalue()))
            for path in self._checkpoints(self.folder, tile):
                path.unlink(missing_ok=True)

    def _checkpoints(self, folder: Path, tile: Tile) -> list[Path]:
        """Return the two files of a tile's checkpoints, the older one first."""
        paths = [self._path(folder, tile).with_suffix(f".checkpoint{FORMAT}-{number}") for number in range(2)]
        return sorted(paths, key=_time_of)

    def put_checkpoint(self, tile: Tile, content: bytes) -> None:
        """Keep a checkpoint of a tile in work, and the one before: a kill while this one is written harms neither."""
        if self.folder is not None:
            write_atomically(self._checkpoints(self.folder, tile)[0], seal(content))

    def checkpoint(self, tile: Tile) -> bytes | None:
        """Return the latest whole checkpoint of a tile, or None; a damaged one is set aside."""
        paths = [] if self.folder is None else self._checkpoints(self.folder, tile)
        return next((content for path in reversed(paths) if (content := _read(path)) is not None), None)

    def clear(self) -> None:
        """Remove every tile of this version of the code."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=not self.folder.exists())

    def prune(self) -> None:
        """Remove what is not needed once a run is complete: tiles of other versions of the code, and what is no whole tile.

        Those are checkpoints of larger tiles that did not fit, what was set aside, and what a kill left half written.
        """
        for other in self.root.iterdir() if self.root is not None and self.root.is_dir() else ():
            if other != self.folder:
                shutil.rmtree(other) if other.is_dir() else other.unlink()
        for path in self.folder.iterdir() if self.folder is not None and self.folder.is_dir() else ():
            if path.suffix != SUFFIX or path.name.startswith("."):
                path.unlink()


def _time_of(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _read(path: Path) -> bytes | None:
    """Return what was sealed in a file, or None; a damaged file is set aside."""
    try:
        return unseal(path.read_bytes())
    except FileNotFoundError:
        return None
    except DamagedError:
        set_aside(path)
        return None
