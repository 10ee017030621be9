"""`python -m jaxcompare.validate [--quick]`: train small known cases and compare them with published and exact values.

Each check prints a line: PASS or FAIL, the computed value, the range that the value must be in, and the source of the range.
Values are computed, never stored. Each check in `jaxcompare.known` gives the reason for its range.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from jaxcompare.config.errors import InputError
from jaxcompare.execution.places import local_devices, start_jax
from jaxcompare.execution.unchecked import unchecked
from jaxcompare.known import Check, checks
from jaxcompare.system.command import command, tell


def line(check: Check, value: float, seconds: float) -> str:
    """Return the printed line of a check and its value."""
    verdict = "PASS" if check.low <= value <= check.high else "FAIL"
    expected = f"expected {check.low:.7g} to {check.high:.7g}"
    return f"{verdict}  {check.name}: {value:.7g}, {expected} ({check.source}; {seconds:.1f} s)"


@unchecked()
def run(wanted: Sequence[Check]) -> int:
    """Compute and print each check; return how many failed. NaN fails."""
    failed = 0
    for check in wanted:
        start = time.perf_counter()
        value = float(check.compute())
        outcome = line(check, value, time.perf_counter() - start)
        failed += outcome.startswith("FAIL")
        tell(outcome)
    return failed


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 if all checks pass, 1 if one fails, 2 if data or devices are missing."""
    parser = argparse.ArgumentParser(prog="python -m jaxcompare.validate", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, without Fashion-MNIST")
    parser.add_argument("--only", metavar="TEXT", default="", help="run only the checks whose name contains TEXT")
    given = parser.parse_args(arguments)
    try:
        start_jax()
        local_devices()
        wanted = [check for check in checks(quick=given.quick) if given.only in check.name]
        failed = run(wanted)
    except InputError as error:
        tell(f"jaxcompare.validate: {error}", "stderr")
        return 2
    tell(f"{len(wanted) - failed} of {len(wanted)} passed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
