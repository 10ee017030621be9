"""What a compiled program does, counted from XLA's text of it: kernels of each loop's turn, products, copies, transposes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{\s*$")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (?:\([^=]*?\)|\S+) ([a-z][\w\-]*)\(")
TARGET = re.compile(r'custom_call_target="([^"]+)"')
BODY = re.compile(r"body=%?([\w.\-]+)")
CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
# What costs nothing by itself at run time.
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id"}


def computations(text: str) -> dict[str, list[str]]:
    """Each computation's instructions, as lines."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if head := COMPUTATION.match(line):
            lines = found.setdefault(head[1], [])
        elif INSTRUCTION.match(line):
            lines.append(line)
    return found


def opcode(line: str) -> str:
    """An instruction's, and of a custom call its target."""
    found = INSTRUCTION.match(line)
    name = found[1] if found else ""
    target = TARGET.search(line)
    return f"{name} {target[1]}" if target else name


def count(lines: list[str]) -> dict[str, int]:
    """How often each opcode occurs, without those that cost nothing."""
    return dict(Counter(name for line in lines if (name := opcode(line)) not in FREE).most_common())


def summary(text: str) -> dict[str, Any]:
    """Of each loop the kernels of one turn, the loop with the most products first; and what fusions hold in all.

    On a GPU every instruction of a loop's body that is not in `FREE` is a kernel or a call into a library, unless it lies in a
    command buffer (`call` of a computation whose name has `command_buffer`), which is launched as one.
    """
    every = computations(text)
    loops = []
    for lines in every.values():
        for line in lines:
            body = BODY.search(line)
            if body is None or body[1] not in every:
                continue
            inside, buffers = list(every[body[1]]), 0
            for inner in every[body[1]]:
                called = CALLED.search(inner)
                if called and "command_buffer" in called[1] and called[1] in every:
                    inside.remove(inner)
                    inside += every[called[1]]
                    buffers += 1
            counts = count(inside)
            loops.append({"body": body[1], "command_buffers": buffers, "counts": counts, "products": _products(counts)})
    everything = Counter(opcode(line) for lines in every.values() for line in lines)
    shuffled = {name: everything[name] for name in ("transpose", "copy", "dot", "sort") if everything[name]}
    return {"loops": sorted(loops, key=lambda loop: -loop["products"]), "anywhere": shuffled}


def _products(counts: dict[str, int]) -> int:
    return sum(number for name, number in counts.items() if name == "dot" or "gemm" in name or "matmul" in name)
