"""A results folder: the state of the run into it, the lock, and what may be replaced. All writes are atomic.

<out>/                what is published: tables, pictures, report, manifest.json
<out>/.run/           the run's state, not published: state.json, tiles.json, parts/ (measured tiles), and what `publishing` has
"""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcompare.config.errors import InputError
from jaxcompare.system import publishing
from jaxcompare.system.files import set_aside, write_atomically
from jaxcompare.system.lock import LockedError
from jaxcompare.system.manifest import MANIFEST, damaged, is_ours, read_manifest
from jaxcompare.system.memory import spell_bytes
from jaxcompare.system.strict_json import from_digested_json, to_digested_json

DISK_FAULTS = {
    getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE")
}  # as far as there are
LEAST_FREE = 4 * 2**20  # bytes; the results of a small comparison with its pictures
GOES_ON = "finished training is kept, and the same command goes on from there"
_LOG = logging.getLogger(__name__)


class StoreError(InputError):
    """A results folder that cannot be used as asked."""


class RunFolder:
    """A results folder and the state of the run into it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.run = out / publishing.RUN
        self.state_path = self.run / "state.json"

    def state(self) -> dict[str, Any]:
        """Return the record of the last run into this folder; empty if there was none, or if it is damaged."""
        try:
            self._check_path()
            return from_digested_json(self.state_path.read_bytes(), optional=lambda state: "manifest" not in state)
        except (FileNotFoundError, ValueError):
            return {}
        except OSError as error:
            raise StoreError(f"--out {self.out}: {error.filename} cannot be read: {error.strerror}") from error

    def _check_path(self) -> None:
        """Raise StoreError for a path with a link to nothing, or with a file that should be a folder."""
        for path in (self.out, *self.out.parents):
            if path.is_symlink() and not path.exists():
                raise StoreError(f"--out {self.out}: {path} is a link to nothing; choose another --out")
            if path.exists() and not path.is_dir():
                raise StoreError(f"--out {self.out}: {path} is no folder; choose another --out")

    def is_complete(self, run_digest: str, wanted: Mapping[str, Sequence[str]] | None = None) -> bool:
        """Return whether this very run is published here, whole, with all wanted outputs (languages, say)."""
        state = self.state()
        written = state.get("written", {})
        there = all(set(values) <= set(written.get(name, ())) for name, values in (wanted or {}).items())
        there = there and not state.get("failures")
        if not (state.get("complete") is True and state.get("digest") == run_digest and there):
            return False
        try:
            return not damaged(self.out, read_manifest(self.out))
        except (OSError, ValueError):
            return False

    @contextlib.contextmanager
    def claimed(self, run_digest: str, *, force: bool = False) -> Iterator[None]:
        """Keep other runs out of the folder during a block, and check that this run may write there.

        Results that an earlier run was publishing when it ended are published first. A block that ends before `begin` leaves
        the folder as it was.

        Raises:
            StoreError: another run writes there, the folder cannot be written, holds unfinished work of another config, files
                of others, or results that are damaged.
        """
        self._check_path()
        try:
            with publishing.alone(self.out):
                self._check_content(run_digest, force=force)
                yield
        except LockedError as error:
            who = f" ({error})" if str(error) else ""
            raise StoreError(f"--out {self.out}: another run writes there now{who}; choose another --out") from error
        except OSError as error:
            if not self.concerns(error):
                raise
            then = f"; {GOES_ON}" if self.state() else ""
            where = f" ({error.filename})" if error.filename else ""
            raise StoreError(f"--out {self.out}: cannot be written: {error.strerror or error}{where}{then}") from error

    def check_staged(self, staging: Path, tables: Iterable[str]) -> None:
        """Raise StoreError where a table that was written into the staging folder is not there any more."""
        if any(not (staging / "tables" / f"{name}.parquet").is_file() for name in tables):
            raise StoreError(
                f"--out {self.out}: the folder was removed while the run went on; run the same command again"
            )

    def concerns(self, error: OSError) -> bool:
        """Return whether an error says that a disk is full or fails, or that this folder cannot be written or is gone."""
        name = error.filename
        inside = isinstance(name, str) and Path(name).resolve().is_relative_to(self.out.resolve())
        return inside or error.errno in DISK_FAULTS - {None}

    def _check_content(self, run_digest: str, *, force: bool) -> None:
        state = self.state()
        try:
            there = results_of(self.out)
        except StoreError:
            if not force:
                raise
            there = {}
            set_aside(self.out / MANIFEST)
        if self.state_path.exists() and not state:
            set_aside(self.state_path)
        if state.get("manifest") and not there and not force:
            raise StoreError(
                f"--out {self.out}: {MANIFEST} is gone, which says what the results there are. Put it back, choose another "
                "--out, or give those results up with --force"
            )
        if not state and not force and not there and any(_visible(self.out)):
            raise StoreError(
                f"--out {self.out}: holds files that no run wrote ({next(_visible(self.out)).name} is one); choose an "
                "empty or a new folder, or add results to it with --force"
            )
        if state and not state.get("complete") and state.get("digest") != run_digest and not force:
            raise StoreError(
                f"--out {self.out}: holds unfinished work of another config or version ({state.get('command')}). "
                "Finish that with its own command, choose another --out, or give it up with --force"
            )
        if there and state.get("complete") and state.get("digest") == run_digest:
            for name, how in damaged(self.out, there).items():
                _LOG.warning("%s: %s is %s, and is made again", self.out, name, how)

    def begin(self, run_digest: str, command: str) -> None:
        """Mark the folder, which was claimed, as this run's.

        Raises:
            StoreError: the disk is nearly full, which a run would notice after its training.
        """
        free = shutil.disk_usage(self.run).free
        if free < LEAST_FREE:
            raise StoreError(
                f"--out {self.out}: {spell_bytes(free)} are free on its disk, and the smallest run needs "
                f"{spell_bytes(LEAST_FREE)}"
            )
        self._write({"digest": run_digest, "command": command, "complete": False})

    def complete(
        self, run_digest: str, command: str, written: Mapping[str, Sequence[str]] | None = None, failures: int = 0
    ) -> None:
        """Mark the run as finished, with the outputs that were written and the number of those that failed."""
        done = {"complete": True, "written": dict(written or {}), "failures": failures}
        self._write({"digest": run_digest, "command": command, **done})

    def _write(self, state: Mapping[str, Any]) -> None:
        state = {**state, "manifest": bool(results_of(self.out))}  # a manifest that is gone later is no empty folder
        write_atomically(self.state_path, f"{to_digested_json(state)}\n".encode())


def results_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of the run that was published in a folder; empty where none was.

    Raises:
        StoreError: there is a manifest, and it is damaged.
    """
    try:
        manifest = read_manifest(folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(
            f"--out {folder}: {MANIFEST} cannot be read ({error}). It says which results are there: restore it, choose another "
            "--out, or give those results up with --force"
        ) from error
    return manifest if is_ours(manifest) else {}


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if not path.name.startswith("."))
