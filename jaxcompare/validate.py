"""`python -m jaxcompare.validate [--quick]`: small known cases are trained and held against published and exact values.

A line each: the value found, the range that it must lie in, its source, PASS or FAIL. Values are computed, never stored; why a
range is what it is stands with its check in `jaxcompare.known`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from jaxcompare.execution.devices import start_jax
from jaxcompare.known import Check, checks


def line(check: Check, value: float, seconds: float) -> str:
    """A check's outcome, as it is printed."""
    verdict = "PASS" if check.low <= value <= check.high else "FAIL"
    expected = f"expected {check.low:.7g} to {check.high:.7g}"
    return f"{verdict}  {check.name}: {value:.7g}, {expected} ({check.source}; {seconds:.1f} s)"


def run(wanted: Sequence[Check]) -> int:
    """Computes and prints each check; returns how many failed (a value that is not a number fails)."""
    failed = 0
    for check in wanted:
        start = time.perf_counter()
        value = float(check.compute())
        told = line(check, value, time.perf_counter() - start)
        failed += told.startswith("FAIL")
        print(told, flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 where everything passed, 1 where something failed, 2 where data are missing."""
    parser = argparse.ArgumentParser(prog="python -m jaxcompare.validate", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, without Fashion-MNIST")
    parser.add_argument("--only", metavar="TEXT", default="", help="the checks whose name has this in it")
    given = parser.parse_args(arguments)
    start_jax()
    from jaxcompare.data import DataError

    wanted = [check for check in checks(quick=given.quick) if given.only in check.name]
    try:
        failed = run(wanted)
    except DataError as error:
        print(f"jaxcompare.validate: {error}", file=sys.stderr)
        return 2
    print(f"{len(wanted) - failed} of {len(wanted)} passed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
