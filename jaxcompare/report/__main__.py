"""`python -m jaxcompare.report results/` remakes pictures, CSVs and report from the tables that a run left there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxcompare.config import outputs
from jaxcompare.config.errors import InputError
from jaxcompare.report import read_fields, read_manifest, read_tables, write
from jaxcompare.system.command import command, tell
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.messages import shown_on_stderr
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
        tables = read_tables(given.results)
        fields, manifest = read_fields(given.results), read_manifest(given.results)
        options = {"workers": given.workers, "languages": wanted.languages, "formats": wanted.formats}
        with shown_on_stderr():
            written = write(given.results, tables, fields, manifest, **options)
    except (InputError, OSError) as error:
        tell(f"jaxcompare.report: {error}", "stderr")
        return 2
    tell(say("done", count=len(written.paths), folder=given.results))
    return 1 if written.failures else 0


if __name__ == "__main__":
    sys.exit(main())
