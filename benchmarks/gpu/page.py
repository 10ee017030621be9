"""From the answers to Markdown: a section a question, as docs/performance.md takes them."""

from __future__ import annotations

from itertools import groupby

from benchmarks.gpu.questions import QUESTIONS
from benchmarks.tables import Row, shown, table, ways_table

NOTES = {
    "precisions": "Least: parameters and state read and written once. Each pass: weights are also read forward and, except the "
    "first layer's, backward, and gradients written and read. As compiled: operands and results of all kernels of a step, from "
    "XLA's text. What stays in the device's cache from one step to the next is not moved: shares above 100% are possible.",
    "replicas": "The roofline leaves activations out: in small networks they are the larger part of the bytes.",
    "flags": "Weights: a digest after 40 steps. In parts of 15 and 25, and in another process, they must be the same.",
}
CLOSE = 0.95  # of the best rate: the smallest tile that reaches this share is as good


def markdown(known: Row) -> str:
    """Return the whole page."""
    machine, packages = known["machine"], ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    took = f"the last run took {known.get('wall_seconds', 0) / 60:.1f} minutes"
    where = f"{machine.get('device', 'No device')}; {known['cores']} CPU cores, {known['system']}; {packages}; {took}."
    lines = ["# Measured on a GPU", "", where]
    if known["quick"]:
        lines += ["", "From `--quick`: it shows that everything runs, and nothing else."]
    if machine.get("platform") == "cpu":
        lines += ["", "Tried out on a CPU: no figure here says anything of a GPU."]
    for name, question in QUESTIONS.items():
        if answers := known["questions"].get(name):
            lines += ["", f"## {question['title']}", "", *_section(name, answers, rates_of(known)), *_missing(answers)]
    return "\n".join(lines) + "\n"


def rates_of(known: Row) -> dict[str, float]:
    """Return the device's ceilings: operations a second of each kind of products, bytes a second of a copy."""
    rows = known["questions"].get("ceilings", {}).get("ceilings", {}).get("answer") or []
    return {row["what"]: row["rate"] for row in rows if "rate" in row}


def rows_of(answers: dict[str, Row], ceilings: dict[str, float]) -> list[Row]:
    """Return the rows of all answers, with their shares of the roofline."""
    return [with_roofline(row, ceilings) for answer in answers.values() for row in answer.get("answer") or []]


def with_roofline(row: Row, ceilings: dict[str, float]) -> Row:
    """Add what products or copying allow to a row: its share, with the least bytes and with each pass, and which binds.

    >>> row = {"kind": "float32", "operations": 10, "traffic": 5, "streamed": 6, "median": 4.0}
    >>> done = with_roofline(row, {"float32": 100.0, "copy": 30.0})
    >>> done["of the roofline, each pass"], done["binds"]
    (0.8, 'bytes')
    """
    if "streamed" not in row:
        return row
    mb = {"MB a replica-step, least": row["traffic"] / 1e6, "each pass": row["streamed"] / 1e6}
    row = row | mb | {"as compiled": row["moved"] / 1e6 if "moved" in row else None}
    if row["kind"] in ceilings and "copy" in ceilings and "median" in row:
        products = ceilings[row["kind"]] / row["operations"]
        for title, moved in (("least", row["traffic"]), ("each pass", row["streamed"])):
            row[f"of the roofline, {title}"] = row["median"] / min(products, ceilings["copy"] / moved)
        row["binds"] = "products" if products < ceilings["copy"] / row["streamed"] else "bytes"
    return row


def _section(name: str, answers: dict[str, Row], ceilings: dict[str, float]) -> list[str]:
    """Return the tables of a question; a section that cannot be written stops no other."""
    try:
        rows, lines = rows_of(answers, ceilings), list[str]()
        for _, some in groupby(
            rows, key=lambda row: (row.get("table"), row.get("network") if name == "replicas" else 0)
        ):
            each = list(some)
            lines += [*(ways_table(each) if "way" in each[0] else table(shown(each))), ""]
            if name == "replicas" and (timed := [row for row in each if "median" in row]):
                best = max(row["median"] for row in timed)
                enough = next(row for row in timed if row["median"] >= CLOSE * best)
                lines += [f"{CLOSE:.0%} of the best rate is first reached with {enough['replicas']:,} in a tile.", ""]
        return [*lines, *([NOTES[name]] if name in NOTES and rows else [])]
    except Exception as error:
        return [f"This section could not be written: {type(error).__name__}: {error}"]


def _missing(answers: dict[str, Row]) -> list[str]:
    """Return what was not measured, and why."""
    lines = []
    for name, row in answers.items():
        if why := row.get("error"):
            lines.append(f"- {'Stopped early' if row.get('answer') else 'Not measured'}, {name}: {why}")
        if "failed_since" in row:
            lines.append(f"- Measured in an earlier run, {name}; in the last: {row['failed_since']}")
    return ["", *lines] if lines else []
