"""What a compiled program does in one turn of its loops, counted from XLA's text: kernels, products, bytes."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any, NamedTuple

COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\((.*)$")
SHAPE = re.compile(r"\b(pred|bf16|[sufc]\d+)\[([\d,]*)\]")
TARGET = re.compile(r'custom_call_target="([^"]+)"')
BODY = re.compile(r"body=%?([\w.\-]+)")
CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
OPERAND = re.compile(r"%([\w.\-]+)")
# These cost nothing at run time.
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id"}


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    opcode: str  # with the target of a custom call
    bytes: int  # of the result
    operands: tuple[str, ...]
    line: str


def computations(text: str) -> dict[str, list[Instruction]]:
    """Return the instructions of each computation."""
    found: dict[str, list[Instruction]] = {}
    inside: list[Instruction] = []
    for line in text.splitlines():
        if head := COMPUTATION.match(line):
            inside = found.setdefault(head[1], [])
        elif one := INSTRUCTION.match(line):
            target = TARGET.search(line)
            operands, _, _ = one[4].partition(")")
            opcode = f"{one[3]} {target[1]}" if target else one[3]
            given = one[2].partition("}, ")[0] if "__cublas" in opcode else one[2]  # without scratch space
            inside.append(Instruction(one[1], opcode, size(given), tuple(OPERAND.findall(operands)), line))
    return found


def size(shape: str) -> int:
    """Return the bytes of a shape, or of all shapes in a tuple.

    >>> size("f32[2,3]{1,0}"), size("(bf16[4]{0}, s32[], pred[8]{0})")
    (24, 20)
    """
    bits = {"pred": 8, "bf16": 16}
    shapes = [(bits.get(kind) or int(kind[1:]), lengths.split(",")) for kind, lengths in SHAPE.findall(shape)]
    return sum(each * math.prod(int(length) for length in lengths if length) // 8 for each, lengths in shapes)


def summary(text: str) -> list[dict[str, Any]]:
    """Return one turn of each loop, the loop with the most products first: kernels by opcode, and the bytes that they move.

    On a GPU each instruction of a loop's body that is not in `FREE` is a kernel, or a call into a library; an instruction that
    only waits for another (`-done`) is none. Bytes are those of all operands and results, as if a kernel touched the whole of
    each: a gather touches less.
    """
    every = computations(text)
    whiles = (BODY.search(one.line) for inside in every.values() for one in inside if one.opcode == "while")
    loops = [_loop(every, body[1]) for body in whiles if body and body[1] in every]
    return sorted(loops, key=lambda loop: -loop["products"])


def _loop(every: dict[str, list[Instruction]], body: str) -> dict[str, Any]:
    sizes, moved = {one.name: one.bytes for one in every[body]}, dict[str, int]()
    kernels = [one for one in every[body] if one.opcode not in FREE and not one.opcode.endswith("-done")]
    for one in kernels:
        # The result of an instruction that starts another repeats its operands.
        read = () if one.opcode.endswith("-start") else set(one.operands)
        if one.opcode not in ("while", "conditional"):  # their own bodies count
            moved[one.name] = one.bytes + sum(sizes.get(name, 0) for name in read)
    counts = dict(Counter(one.opcode for one in kernels).most_common())
    known = {"body": body, "kernels": len(kernels), "counts": counts, "bytes": sum(moved.values())}
    largest = dict(sorted(moved.items(), key=lambda item: -item[1])[:8])
    return known | {"products": sum(_multiplies(every, one) for one in kernels), "largest": largest}


def _multiplies(every: dict[str, list[Instruction]], one: Instruction) -> bool:
    """Return whether an instruction is a product, or a kernel with one inside."""
    if one.opcode == "dot" or "gemm" in one.opcode or "matmul" in one.opcode:
        return True
    called = CALLED.search(one.line) if one.opcode in ("fusion", "call") else None
    return called is not None and any(_multiplies(every, inner) for inner in every.get(called[1], ()))
