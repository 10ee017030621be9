"""`python -m jaxcompare.report results/` remakes pictures, CSVs and report from the tables that a run left there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from jaxcompare.config import outputs
from jaxcompare.config.errors import InputError
from jaxcompare.report import read_fields, read_manifest, read_tables, write
from jaxcompare.system import publishing
from jaxcompare.system.command import command, tell
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.lock import LockedError
from jaxcompare.system.manifest import MANIFEST, digests_of, write_manifest
from jaxcompare.system.messages import LOG, shown_on_stderr
from jaxcompare.words import say


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0; 1 where a part failed; 2 with a message where the results or the arguments are unusable."""
    parser = argparse.ArgumentParser(prog="python -m jaxcompare.report", description=__doc__)
    parser.add_argument("results", type=Path, help="the folder that a run wrote its tables and manifest.json to")
    parser.add_argument("--workers", type=int, default=min(usable_cores(), 4), help="processes that draw")
    outputs.add_arguments(parser)
    given = parser.parse_args(arguments)
    try:
        wanted = outputs.parse(given.lang, given.formats)
        options = {"workers": given.workers, "languages": wanted.languages, "formats": wanted.formats}
        there = given.results.is_dir()
        with shown_on_stderr(), publishing.alone(given.results) if there else nullcontext():
            tables = read_tables(given.results)
            fields, manifest = read_fields(given.results), read_manifest(given.results)
            if not digests_of(manifest):
                LOG.warning(say("error.unchecked", name=given.results / MANIFEST))
            staging = publishing.fresh_staging(given.results)
            written = write(staging, tables, fields, manifest, **options)
            write_manifest(staging, {"files": []} | manifest)  # without digests, as it was
            publishing.publish(given.results)
    except LockedError as error:
        tell(f"jaxcompare.report: {say('error.locked', folder=given.results)} {error}".rstrip(), "stderr")
        return 2
    except (InputError, OSError) as error:
        tell(f"jaxcompare.report: {error}", "stderr")
        return 2
    tell(say("done", count=len(written.paths), folder=given.results))
    return 1 if written.failures else 0


if __name__ == "__main__":
    sys.exit(main())
