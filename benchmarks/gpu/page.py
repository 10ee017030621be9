"""From what was found to Markdown: a section a question, as docs/performance.md takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from benchmarks.gpu.questions import QUESTIONS
from jaxcompare.system.memory import spell_bytes

Row = dict[str, Any]
Answers = dict[str, Row]  # of one question's jobs
NONE = "-"
CLOSE = 0.95  # of the best rate: the smallest tile that reaches it is as good


def markdown(found: Row) -> str:
    """The whole page."""
    machine = machine_of(found)
    lines = ["# Measured on a GPU", "", _where(found)]
    if found.get("quick"):
        lines += ["", "From `--quick`: it shows that everything runs, and nothing else."]
    if machine.get("platform") == "cpu":
        lines += ["", "Tried out on a CPU: no figure here says anything of a GPU."]
    for name, question in QUESTIONS.items():
        if answers := found["questions"].get(name):
            lines += ["", f"## {question.title}", "", *_section(name, answers, machine), *_missing(answers)]
    return "\n".join(lines) + "\n"


def machine_of(found: Row) -> Row:
    """What is known of the device, its ceilings included."""
    ceilings = found["questions"].get("ceilings", {}).get("ceilings", {}).get("answer") or {}
    return {**found["machine"], **ceilings}


def _section(name: str, answers: Answers, machine: Row) -> list[str]:
    """One that cannot be made stops no other."""
    try:
        return SECTIONS[name](answers, machine)
    except Exception as error:
        return [f"This section could not be made: {type(error).__name__}: {error}"]


def _where(found: Row) -> str:
    machine, packages = found["machine"], ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    limit = machine.get("memory_bytes")
    held = f", {spell_bytes(limit)} for JAX" if limit else ""
    seconds = found.get("wall_seconds")
    took = f"; the last run took {seconds / 60:.1f} minutes" if seconds else ""
    driver = f" ({machine['driver']})" if machine.get("driver") else ""
    device = f"{machine.get('device', 'No device')}{driver}{held}"
    return f"{device}; {found['cores']} CPU cores, {found['system']}; {packages}{took}."


def _missing(answers: Answers) -> list[str]:
    """What was not measured, and why; and what was measured in another run than the rest."""
    found = []
    codes = {row["code"] for row in answers.values() if "answer" in row and "code" in row}
    if len(codes) > 1:
        found += [f"- {name}: code {row['code']}" for name, row in answers.items() if "answer" in row]
    for name, row in answers.items():
        answer = row["answer"] if isinstance(row.get("answer"), dict) else {}
        why = row.get("error") or row.get("skipped") or answer.get("skipped")
        if why:
            found.append(f"- {'Stopped early' if answer.get('rows') else 'Not measured'}, {name}: {why}")
        if "failed_since" in row:
            found.append(f"- Measured in an earlier run, {name}; in the last: {row['failed_since']}")
    return ["", *found] if found else []


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table; None is a dash."""
    cells = [[NONE if cell is None else str(cell).replace("|", "/") for cell in row] for row in rows]
    if not cells:
        return []
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in cells),
    ]


def number(value: float | None) -> str | None:
    """Four figures or whole.

    >>> number(12345.6), number(1.23456), number(None)
    ('12,346', '1.23', None)
    """
    if value is None:
        return None
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def size(value: float | None) -> str | None:
    """Bytes for people."""
    return None if value is None else spell_bytes(int(value))


def percent(value: float | None) -> str | None:
    """A share."""
    return None if value is None else f"{value:.0%}"


def ratio(value: float | None, to: float | None) -> str | None:
    """One over another.

    >>> ratio(3.0, 2.0), ratio(None, 2.0)
    ('1.50', None)
    """
    return f"{value / to:.2f}" if value and to else None


def roofline(machine: Row, kind: str, operations: float, moved: float) -> tuple[float | None, str]:
    """The most replica-steps a second that products or copying allow, and which of them binds.

    >>> machine = {"products": {"float32": {"median": 100.0}}, "copy": {"median": 30.0}}
    >>> roofline(machine, "float32", operations=10, moved=6)
    (5.0, 'bytes')
    """
    product = machine.get("products", {}).get(kind, {}).get("median")
    copy = machine.get("copy", {}).get("median")
    if not product or not copy:
        return None, NONE
    allowed = {"products": product / operations, "bytes": copy / moved}
    binding = min(allowed, key=allowed.__getitem__)
    return allowed[binding], binding


def share(row: Row, machine: Row, moved: str) -> float | None:
    """Of the roofline, with `traffic` or `streamed` bytes."""
    allowed, _ = roofline(machine, row["kind"], row["operations"], row[moved])
    return row["median"] / allowed if allowed and "median" in row else None


def answered(answers: Answers) -> dict[str, Any]:
    """What was found, without what failed."""
    return {name: row["answer"] for name, row in answers.items() if row.get("answer")}


def _machine(answers: Answers, machine: Row) -> list[str]:
    names = ("device", "devices", "compute_capability", "runtime", "driver", "memory_bytes")
    return table(("what", "is"), [(name, machine[name]) for name in names if machine.get(name) is not None])


def _ceilings(answers: Answers, machine: Row) -> list[str]:
    rows = [(f"product, {kind}", _rate(one, 1e12, "TFLOP/s")) for kind, one in machine.get("products", {}).items()]
    rows.append(("copy, read and written", _rate(machine.get("copy", {}), 1e12, "TB/s")))
    return table(("what", "median [least, greatest]"), rows)


def _rate(row: Row, unit: float, name: str) -> str:
    if "median" not in row:
        return row.get("error", NONE)
    return f"{row['median'] / unit:.3g} [{row['least'] / unit:.3g}, {row['greatest'] / unit:.3g}] {name}"


def _precisions(answers: Answers, machine: Row) -> list[str]:
    found = answered(answers)
    full = found.get("float32", {})
    whole = [
        [kind, one["replicas"], number(one.get("median")), ratio(one.get("median"), full.get("median"))]
        for kind, one in found.items()
    ]
    float32 = {row["optimizer"]: row.get("compiled_bytes") for row in full.get("programs", [])}
    programs = [_program(kind, row, machine, float32) for kind, one in found.items() for row in one["programs"]]
    return [
        *table(("products", "replicas", "replica-steps/s", "to float32"), whole),
        "",
        *table([name for name, _ in programs[0]] if programs else (), [[cell for _, cell in one] for one in programs]),
        "",
        "Least: parameters and state read and written once. Each pass: weights read forward and, but for the first",
        "layer's, backward, and gradients written and read, besides. As compiled: the operands and results of every",
        "kernel of a step, from XLA's text; with half precision, weights converted and read again are among them. What",
        "stays in the device's cache from one step to the next is not moved: where a tile fits into it, shares above",
        "100% are possible.",
    ]


def _program(kind: str, row: Row, machine: Row, float32: Row) -> list[tuple[str, Any]]:
    """A program's line, head and all."""
    row = {**row, "kind": kind}
    step = (row.get("hlo", {}).get("loops") or [{}])[0]
    moved = step["bytes"] / (row["tile"][0] * row["tile"][1]) if "bytes" in step else None
    allowed, binding = roofline(machine, kind, row["operations"], row["streamed"])
    return [
        ("products", kind),
        ("optimizer", row["optimizer"]),
        ("tile, seeds x variants", _shape(row["tile"])),
        ("replica-steps/s", _median(row)),
        ("of the roofline, least", percent(share(row, machine, "traffic"))),
        ("of the roofline, each pass", percent(share(row, machine, "streamed"))),
        ("which binds", binding if allowed else None),
        ("MB a replica-step: least", number(row["traffic"] / 1e6)),
        ("each pass", number(row["streamed"] / 1e6)),
        ("as compiled", number(moved / 1e6 if moved else None)),
        ("kernels a step", step.get("kernels")),
        ("bytes of the program", size(row.get("compiled_bytes"))),
        ("to float32", ratio(row.get("compiled_bytes"), float32.get(row["optimizer"]))),
    ]


def _median(row: Row) -> str:
    """A rate, or why there is none."""
    return number(row.get("median")) or f"failed: {row.get('error')}"


def _shape(shape: Sequence[int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _torch(answers: Answers, machine: Row) -> list[str]:
    rows = [row for one in answered(answers).values() for row in one.get("rows", [])]
    ours = {(row["workload"], row["replicas"]): row.get("median") for row in rows if row["way"] == "ours"}
    head = ("workload", "replicas", "way", "replica-steps/s", "[least, greatest]", "ours / this way", "compiled in, s")
    return table(
        head,
        (
            (
                row["workload"],
                row["replicas"],
                _way(row),
                _median(row),
                f"[{number(row['least'])}, {number(row['greatest'])}]" if "least" in row else None,
                ratio(ours.get((row["workload"], row["replicas"])), row.get("median")),
                number(row.get("compile_seconds")),
            )
            for row in rows
        ),
    )


def _way(row: Row) -> str:
    skipped = row.get("details", {}).get("cuda_graphs_skipped")
    return f"{row['way']} (CUDA graphs left out {skipped} times)" if skipped else row["way"]


def _tiles(answers: Answers, machine: Row) -> list[str]:
    lines: list[str] = []
    for rows in answered(answers).values():
        if lines:
            lines.append("")
        lines += _tile_table(rows, machine)
    return [*lines, "", "The roofline leaves activations out: of small networks' bytes they are the larger part."]


def _tile_table(rows: Sequence[Row], machine: Row) -> list[str]:
    head = ("network", "seeds x variants", "replicas", "replica-steps/s", "of roofline, each pass", "bytes a replica")
    body = [
        (
            row["network"],
            _shape(row["shape"]),
            row["replicas"],
            _median(row),
            percent(share(row, machine, "streamed")),
            size(row["compiled_bytes"] / row["replicas"]) if row.get("compiled_bytes") else None,
        )
        for row in rows
    ]
    lines = table(head, body)
    timed = [row for row in rows if "median" in row]
    if len({row["replicas"] for row in timed}) > 1:
        best = max(row["median"] for row in timed)
        enough = next(row for row in timed if row["median"] >= CLOSE * best)
        lines += ["", f"{percent(CLOSE)} of the best rate is first reached with {enough['replicas']:,} in a tile."]
    return lines


def _flags(answers: Answers, machine: Row) -> list[str]:
    found = {name: rows[0] for name, rows in answered(answers).items()}
    plain = found.get("as they are", {}).get("median")
    body = [(name, _median(row), ratio(row.get("median"), plain)) for name, row in found.items()]
    return table(("XLA's options", "replica-steps/s", "to as they are"), body)


def _planner(answers: Answers, machine: Row) -> list[str]:
    head = ("program", "replicas", "arithmetic", "planned", "compiled", "most held", "planned / held")
    return table(
        head,
        (
            [
                name,
                row["replicas"],
                size(row["reckoned_bytes"]),
                size(row["planned_bytes"]),
                size(row["compiled_bytes"]),
                size(row["peak_bytes"]),
                ratio(row["planned_bytes"], row["peak_bytes"]),
            ]
            for name, row in answered(answers).items()
        ),
    )


def _over_ask(answers: Answers, machine: Row) -> list[str]:
    head = (
        "network",
        "asked, seeds x variants",
        "bytes",
        "of",
        "trained in",
        "tiles",
        "replicas trained",
        "finite",
        "s",
    )
    return table(
        head,
        (
            [
                row["network"],
                _shape(row["asked"]),
                size(row["asked_bytes"]),
                size(row["limit_bytes"]),
                _shape(row["ended"]),
                row["tiles"],
                f"{row['replicas']} of {row['wanted']}",
                row["all_finite"],
                number(row["seconds"]),
            ]
            for row in answered(answers).values()
            if "asked" in row
        ),
    )


def _studies(answers: Answers, machine: Row, *, rates: bool = False) -> list[str]:
    """With their rates, where nothing else was on the device while they were compiled."""
    lines: list[str] = []
    for name, one in answered(answers).items():
        if "summary" not in one:
            continue
        labels = {row["variant_id"]: row["label"] for row in one["summary"]}
        lines += [f"Study {name}, {one['seconds']:.0f} s, its programs compiled before.", ""]
        tables = (
            table(
                ("variant", "n", "failed", "test accuracy [95% interval]"),
                ([row["label"], row["n"], row["n_failed"], _accuracy(row)] for row in one["summary"]),
            ),
            table(
                ("first - second", "the second", "n", "points of test accuracy [95% interval]", "p, Holm"),
                (
                    [
                        f"{row['first']} - {row['second']}",
                        labels.get(row["second_id"], row["apart"]),
                        row["n"],
                        _difference(row),
                        number(row["p_t_holm"]),
                    ]
                    for row in one["differences"]
                ),
            ),
            table(
                ("float16", "n", "steps skipped, mean (most), of", "loss scale, median, start to end"),
                ([labels[row["variant_id"]], row["n"], _skipped(row), _scale(row)] for row in one["scales"]),
            ),
            table(
                (
                    "program",
                    "replicas",
                    "arguments",
                    "temporaries",
                    *(["replica-steps/s, measurements included"] if rates else []),
                ),
                (
                    [
                        row["program"],
                        row["replicas"],
                        size(row["argument_bytes"]),
                        size(row["temporary_bytes"]),
                        *([number(row["replica_steps_per_second"])] if rates else []),
                    ]
                    for row in one["timing"]
                ),
            ),
        )
        for made in tables:
            lines += [*made, ""] if made else []
    return lines[:-1]


def _skipped(row: Row) -> str:
    return f"{row['skipped_mean']:.3g} ({row['skipped_most']}) of {row['steps']}"


def _scale(row: Row) -> str:
    return " ".join(number(value) or NONE for value in _thinned(row["scale"]))


def _accuracy(row: Row) -> str:
    mean, low, high = (row[f"test_accuracy_{part}"] for part in ("mean", "low", "high"))
    return _interval(mean, low, high, "{:.4f}".format)


def _difference(row: Row) -> str:
    return _interval(row["difference"], row["low"], row["high"], lambda value: f"{100 * value:+.2f}")


def _interval(middle: float | None, low: float | None, high: float | None, spell: Callable[[float], str]) -> str:
    """What is known of a figure and its interval.

    >>> _interval(1.0, 0.0, 2.0, str), _interval(1.0, None, None, str), _interval(None, None, None, str)
    ('1.0 [0.0, 2.0]', '1.0', '-')
    """
    if middle is None:
        return NONE
    return spell(middle) if low is None or high is None else f"{spell(middle)} [{spell(low)}, {spell(high)}]"


def _thinned(values: Sequence[float], most: int = 8) -> list[float]:
    """Some of many, the ends among them.

    >>> _thinned(list(range(15)), 3)
    [0, 7, 14]
    """
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _choices(answers: Answers, machine: Row) -> list[str]:
    head = ("workload", "replicas", "chosen", "in one program", "tiles", "a program each", "tiles", "each / one")

    def line(row: Row) -> list[Any]:
        one, each = row["in one program"], row["a program each"]
        return [
            row["workload"],
            row["replicas"],
            f"{row['key']}: {', '.join(row['values'])}",
            _median(one),
            _tiles_of(one),
            _median(each),
            _tiles_of(each),
            ratio(each.get("median"), one.get("median")),
        ]

    return table(head, [line(row) for row in answered(answers).values()])


def _tiles_of(row: Row) -> str | None:
    """Shapes of tiles, and how many there are of each; programs with the same are told once."""
    told = [f"{_shape(shape)}, {count} of them" for *shape, count in row.get("tiles", [])]
    return "; ".join(dict.fromkeys(told)) or None


def _profile(answers: Answers, machine: Row) -> list[str]:
    lines: list[str] = []
    for name, row in answered(answers).items():
        if "kernels" not in row:
            continue
        busy = f"{row['busy_seconds']:.3g} s of {row['seconds']:.3g} s in kernels"
        told = f"{row['network']}, {_shape(row['shape'])}, {name}, {row['steps']} steps: {busy}"
        lines += [
            f"{told}, as profiled, which slows starts down; without the profiler {row['alone_seconds']:.3g} s.",
            "",
        ]
        body = (
            [
                one["name"],
                percent(one["share"]),
                number(one["calls"] / row["steps"]),
                number(1e6 * one["seconds"] / one["calls"]),
            ]
            for one in row["kernels"]
        )
        lines += [*table(("kernel", "of the time", "a step", "µs each"), body), ""]
    return lines[:-1]


SECTIONS: dict[str, Callable[[Answers, Row], list[str]]] = {
    "machine": _machine,
    "ceilings": _ceilings,
    "precisions": _precisions,
    "torch": _torch,
    "replicas": _tiles,
    "planner": _planner,
    "over_ask": _over_ask,
    "studies": _studies,
    "choices": _choices,
    "flags": _flags,
    "profile": _profile,
    "shares": _tiles,
    "remat": partial(_studies, rates=True),
    "others": _torch,
    "more": _torch,
}
