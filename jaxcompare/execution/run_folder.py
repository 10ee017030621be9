"""A results folder: the state of the run into it, the lock, staging and publishing. All writes are atomic.

<out>/                what is published: tables, pictures, report, manifest.json
<out>/.run/           the run's state, not published: state.json, tiles.json, parts/ (measured tiles), staging/
"""

from __future__ import annotations

import contextlib
import json
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcompare.config.errors import InputError
from jaxcompare.system.files import write_atomically
from jaxcompare.system.lock import LockedError, lock
from jaxcompare.system.manifest import MANIFEST, read_manifest
from jaxcompare.system.strict_json import to_json


class StoreError(InputError):
    """A results folder that cannot be used as asked."""


class RunFolder:
    """A results folder and the state of the run into it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.run = out / ".run"
        self.staging = self.run / "staging"
        self.state_path = self.run / "state.json"
        self.unlock: Callable[[], Any] = lambda: None

    def state(self) -> dict[str, Any]:
        """Return the record of the last run into this folder; empty if there was none."""
        try:
            self._check_path()
            return json.loads(self.state_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except PermissionError as error:
            raise StoreError(f"--out {self.out}: {error.filename} cannot be read: {error.strerror}") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"--out {self.out}: {self.state_path} cannot be read ({error}); move it away") from error

    def _check_path(self) -> None:
        """Raise StoreError for a path with a link to nothing, or with a file that should be a folder."""
        for path in (self.out, *self.out.parents):
            if path.is_symlink() and not path.exists():
                raise StoreError(f"--out {self.out}: {path} is a link to nothing; choose another --out")
            if path.exists() and not path.is_dir():
                raise StoreError(f"--out {self.out}: {path} is no folder; choose another --out")

    def is_complete(self, run_digest: str, wanted: Mapping[str, Sequence[str]] | None = None) -> bool:
        """Return whether this very run is finished and published here, with all wanted outputs (languages, say)."""
        state = self.state()
        finished = state.get("complete") is True and state.get("digest") == run_digest
        written = state.get("written", {})
        there = all(set(values) <= set(written.get(name, ())) for name, values in (wanted or {}).items())
        return finished and there and (self.out / MANIFEST).is_file()

    def begin(self, run_digest: str, command: str, *, force: bool = False) -> None:
        """Mark the folder as this run's.

        Raises:
            StoreError: the folder cannot be written, holds unfinished work of another config, or another run writes there.
        """
        state = self.state()
        if not state and not force and not is_results(self.out) and any(_visible(self.out)):
            raise StoreError(
                f"--out {self.out}: holds files that no run wrote ({next(_visible(self.out)).name} is one); choose an "
                "empty or a new folder, or add results to it with --force"
            )
        if state and not state.get("complete") and state.get("digest") != run_digest and not force:
            raise StoreError(
                f"--out {self.out}: holds unfinished work of another config or version ({state.get('command')}). "
                "Finish that with its own command, choose another --out, or give it up with --force"
            )
        try:
            self._lock()
            write_atomically(self.state_path, _json({"digest": run_digest, "command": command, "complete": False}))
        except OSError as error:
            raise StoreError(f"--out {self.out}: cannot be written: {error.strerror or error}") from error

    def _lock(self) -> None:
        """Keep others out until the run is complete or this object is gone."""
        self.unlock()
        try:
            self.unlock = weakref.finalize(self, lock(self.run))
        except LockedError as error:
            who = f" ({error})" if str(error) else ""
            raise StoreError(f"--out {self.out}: another run writes there now{who}; choose another --out") from error

    def complete(self, run_digest: str, command: str, written: Mapping[str, Sequence[str]] | None = None) -> None:
        """Mark the run as finished, with the outputs that were written."""
        state = {"digest": run_digest, "command": command, "complete": True, "written": dict(written or {})}
        write_atomically(self.state_path, _json(state))
        self.unlock()

    def fresh_staging(self) -> Path:
        """Return an empty folder to write the results into."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.staging.mkdir(parents=True)
        return self.staging

    def publish(self) -> None:
        """Move the staged files into place: every file is the old one or the new one, never half of one.

        Files that only the last run wrote are removed; files that no run wrote stay.
        """
        old = set(read_manifest(self.out)["files"]) if is_results(self.out) else set()
        new = [path.relative_to(self.staging) for path in sorted(self.staging.rglob("*")) if path.is_file()]
        last = Path(MANIFEST)  # it says that the rest is there
        for path in [*(path for path in new if path != last), last]:
            (self.out / path).parent.mkdir(parents=True, exist_ok=True)
            (self.staging / path).replace(self.out / path)
        for name in old - {str(path) for path in new}:
            target = (self.out / name.replace("\0", "")).resolve()  # a manifest may have been written by anyone
            if self.out.resolve() in target.parents and self.run.resolve() not in target.parents and target.is_file():
                target.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    target.parent.rmdir()
        shutil.rmtree(self.staging, ignore_errors=True)


def is_results(folder: Path) -> bool:
    """Return whether the manifest says that a run was published here."""
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError):
        return False
    return all(manifest.get(key) is not None for key in ("jaxcompare", "experiments", "files"))


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if not path.name.startswith("."))


def _json(state: Mapping[str, Any]) -> bytes:
    return (to_json(state, indent=2, sort_keys=True) + "\n").encode()
