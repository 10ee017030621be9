"""Measured tiles, kept while a run goes on: a stopped run continues, and an extended run trains only what is new."""

from __future__ import annotations

import io
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxcompare.config.comparison import digest
from jaxcompare.execution.fingerprint import code_digest, flags, plugin_digests, versions
from jaxcompare.planning.cadence import Arrays
from jaxcompare.planning.programs import Tile, identity
from jaxcompare.system.files import write_atomically

DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)  # what reading a damaged archive raises


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
        return folder / f"{digest(content)[:32]}.npz"

    def get(self, tile: Tile) -> Arrays | None:
        """Return the tile's measurements, or None; a damaged file is removed."""
        if self.folder is None:
            return None
        path = self._path(self.folder, tile)
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            return None
        except DAMAGED:
            path.unlink(missing_ok=True)
            return None

    def has(self, tile: Tile) -> bool | None:
        """Return True where a file of the tile exists, else None; the file may be damaged."""
        return (self.folder is not None and self._path(self.folder, tile).is_file()) or None

    def put(self, tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a tile's measurements."""
        if self.folder is not None:
            buffer = io.BytesIO()
            np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
            write_atomically(self._path(self.folder, tile), buffer.getvalue())

    def clear(self) -> None:
        """Remove every tile of this version of the code."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def prune(self) -> None:
        """Remove the tiles of other versions of the code, which this version cannot use."""
        for other in self.root.iterdir() if self.root is not None and self.root.is_dir() else ():
            if other != self.folder:
                shutil.rmtree(other) if other.is_dir() else other.unlink()
