"""Tiles that fit into memory: each program's cost is learnt before it trains, and its tile lowered until it fits.

What was found is kept beside the run (`.run/tiles.json`) rather than with the compiled programs: a run that goes on must cut
the same tiles, to find those that are measured and to give the same bits, while another run, on a day with more memory
free, shall not inherit a tile that a neighbour's job once made small.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from jaxcompare.config.experiment import digest
from jaxcompare.config.settings import ConfigError
from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.planning import assemble, memory
from jaxcompare.planning.layout import Plan, blueprint, lower, widest_first
from jaxcompare.planning.memory import Cost, Footprint
from jaxcompare.planning.programs import LayerShape, Tile, identity, layers, parameters
from jaxcompare.system.files import write_atomically
from jaxcompare.system.memory import spell_bytes


class Book:
    """The tile that each program was given, in a file where one is named: later runs into the same folder use it again."""

    def __init__(
        self, path: Path | None = None, device: str = "", limit: int | None = None, *, blank: bool = False
    ) -> None:
        self.path, self.device, self.limit = path, device, limit
        self.lock = threading.Lock()  # programs are compiled side by side
        self.entries: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, int] = {}  # what `batch_size = "auto"` came to
        if path is not None and not blank:
            try:
                read = json.loads(path.read_text(encoding="utf-8"))
                self.entries, self.batches = dict(read["tiles"]), dict(read["batches"])
            except (OSError, ValueError, KeyError, TypeError):
                self.entries, self.batches = {}, {}  # none yet, or damaged: planned anew

    def _key(self, plan: Plan) -> str:
        first = widest_first(plan)[0]
        whole = identity(first.program, Tile((), first.program.variants))
        return digest([self.device, self.limit, whole, first.shape, first.material.digest])[:32]

    def recall(self, plan: Plan, *, data: int = 1) -> Plan:
        """The plan with the tile that it was given before; as it is, if it never was."""
        entry = self.entries.get(self._key(plan))
        found: Plan | None = plan
        while entry is not None and found is not None:
            if [list(found.shape), found.program.settings.micro_batches] == [entry["tile"], entry["micro_batches"]]:
                return replace(found, footprint=Footprint(entry["planned_bytes"], entry["free_bytes"], entry["how"]))
            found = lower(found, data=data)
        return plan

    def note(self, plan: Plan) -> None:
        """Keeps the plan's tile."""
        planned, free, how = plan.footprint or Footprint(None, None, "not planned")
        entry = {
            "program": plan.program.name,
            "tile": list(plan.shape),
            "micro_batches": plan.program.settings.micro_batches,
            "planned_bytes": planned,
            "free_bytes": free,
            "how": how,
        }
        with self.lock:
            self.entries[self._key(plan)] = entry

    def save(self) -> None:
        """Writes the file, if there is one."""
        if self.path is not None:
            with self.lock:
                text = json.dumps({"tiles": self.entries, "batches": self.batches}, indent=2, sort_keys=True) + "\n"
                write_atomically(self.path, text.encode())

    def latest(self, plans: Sequence[Plan], mesh: Mesh) -> list[Plan]:
        """The plans as they were trained in the end."""
        return [self.recall(plan, data=mesh.shape[sweep.DATA]) for plan in plans]


def tell(line: str) -> None:
    """Says it where progress is shown."""
    print(line, file=sys.stderr, flush=True)


def fit(plans: Sequence[Plan], mesh: Mesh, *, limit: int | None = None, book: Book | None = None) -> list[Plan]:
    """The plans with tiles that fit, each with its footprint; what was lowered is said.

    Args:
        plans: all that are held at once: each keeps its data set on the devices.
        mesh: the devices.
        limit: bytes that may be used of each device; None: what is free.
        book: of tiles that programs were given before, and are now.

    Raises:
        ConfigError: one replica does not fit.
    """
    book = book or Book()
    free = limit if limit is not None else memory.free_bytes(list(mesh.devices.flat))
    held = sum(data_bytes(plan) for plan in plans)
    found = []
    for plan in plans:
        left = None if free is None else free - (held - data_bytes(plan))
        fitted = fit_one(plan, mesh, left, book)
        book.note(fitted)
        found.append(fitted)
    return found


def fit_one(plan: Plan, mesh: Mesh, left: int | None, book: Book) -> Plan:
    """The plan, lowered until it takes no more bytes than are left."""
    data = mesh.shape[sweep.DATA]
    found = book.recall(plan, data=data)
    if found.footprint is not None and (left is None or (found.footprint.planned_bytes or 0) <= left):
        if found.wider is not None:
            tell(f"{lowered(found)}, as before")
        return replace(found, footprint=found.footprint._replace(free_bytes=left))
    cost, how = cost_of(found, mesh, left)
    while left is not None and cost.of(found.replicas) > left:
        smaller = lower(found, data=data)
        if smaller is None or (found.replicas == 1 and arithmetic(smaller) == arithmetic(found)):
            raise ConfigError(too_large(found, cost.of(1), left, mesh))
        # One replica compiles otherwise than several, one seed than several, and so does each number of micro-batches.
        if smaller.replicas == 1 or smaller.shape[0] < min(found.shape[0], 2):
            cost, how = cost_of(smaller, mesh, left)
        found = smaller
    found = replace(found, footprint=Footprint(cost.of(found.replicas), left, how))
    if found.wider is not None:
        tell(lowered(found))
    return found


def lowered(plan: Plan) -> str:
    """What became of a plan's tile, in words."""
    first, settings = widest_first(plan)[0], plan.program.settings
    words = f"{plan.program.name}: tiles of {_spell(plan.shape)} in place of {_spell(first.shape)}"
    if settings.micro_batches != first.program.settings.micro_batches:
        words += f", batches in {settings.micro_batches} micro-batches"
    planned, free = plan.footprint[:2] if plan.footprint else (None, None)
    if planned is None or free is None:
        return f"{words}: memory ran out"
    return f"{words}: {spell_bytes(planned)} planned of {spell_bytes(free)} free on each device"


def _spell(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} replicas (seeds x variants)"


def too_large(plan: Plan, needed: int, left: int, mesh: Mesh) -> str:
    """Why a single replica cannot be trained."""
    settings, device = plan.program.settings, mesh.devices.flat[0].device_kind
    return (
        f"{plan.program.comparison}: study {plan.program.study!r}: hidden = {list(settings.hidden)} does not fit: one "
        f"replica with its data needs about {spell_bytes(needed)} with micro_batches = {settings.micro_batches} of "
        f"batch_size = {settings.batch_size}, and of each {device} device {spell_bytes(max(0, left))} is free; smaller "
        f"layers, remat = true, or a smaller probe_size = {settings.probe_size} need less"
    )


def data_bytes(plan: Plan) -> int:
    """Of a data set on one device."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(plan.material.data))


def arithmetic(plan: Plan) -> Cost:
    """What a program must hold, by arithmetic; nothing is compiled."""
    settings, material, grid = plan.program.settings, plan.material, plan.material.data.grid
    splits = sum(len(getattr(material.data, name).y) for name in ("train_subset", "validation", "test"))
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(_one_carry(plan)))
    shapes = layers(settings, material.features, material.classes)
    return memory.estimate(
        outputs=(material.features, *map(_numbers, shapes)),
        parameters=parameters(settings, material.features, material.classes),
        examples=max(settings.batch_size // settings.micro_batches, len(material.data.probe.y)),
        evaluated=max(min(train_step.EVALUATION_CHUNK, splits), 0 if grid is None else len(grid)),
        state=state,
        data=data_bytes(plan),
    )


# What is convolved is pooled and laid out anew as well, and so is its gradient: by XLA's account on CPU it takes 13 to 16 times
# its own size while a gradient is taken, where a dense layer's output takes three times.
CONVOLVED = 4


def _numbers(shape: LayerShape) -> int:
    """Numbers that a layer makes of one example."""
    return shape.units * shape.positions * (CONVOLVED if shape.positions > 1 else 1)


def _one_carry(plan: Plan) -> Any:
    recipe = assemble.recipe(plan.program, plan.material.classes)
    hparams = assemble.hparams(plan.program, plan.program.settings, plan.total_steps)
    return jax.eval_shape(
        lambda data: segment.init_carry(recipe, jax.numpy.int32(0), hparams, data), plan.material.data
    )


def cost_of(plan: Plan, mesh: Mesh, left: int | None) -> tuple[Cost, str]:
    """What a program takes, and how that is known: by arithmetic where that is far below what is left."""
    reckoned = arithmetic(plan)
    if left is None or memory.FAR_BELOW * reckoned.of(plan.replicas) <= left:
        return reckoned, "arithmetic"
    return compiled(plan, mesh), "compiled"


def compiled(plan: Plan, mesh: Mesh) -> Cost:
    """What a program takes by the account of two compiled ones, of the tile and of half of it; nothing is put on the devices.

    The line through both is exact for the first tiles that are tried. Smaller programs tell less: XLA lays a tile of several
    seeds and variants out in another way than one of a single seed, and rounds small arrays up (for an H200, two and three
    replicas of one seed would say 460 MiB of a tile of 10 x 9, which takes 629).
    """
    if plan.replicas == 1:
        alone = program_bytes(plan, mesh)
        return arithmetic(plan) if alone is None else Cost(0, alone)
    few, more = probes(plan.shape)
    bytes_of = {shape: program_bytes(replace(plan, shape=shape), mesh) for shape in (few, more)}
    low, high = bytes_of[few], bytes_of[more]
    if low is None or high is None:
        return arithmetic(plan)
    return memory.through_two((math.prod(few), low), (math.prod(more), high))


def probes(shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two tiles, the smaller first, that are laid out alike and tell what one of this shape takes: of several replicas.

    >>> probes((10, 9)), probes((2, 9)), probes((1, 9)), probes((1, 2))
    (((5, 9), (10, 9)), ((2, 9), (3, 9)), ((1, 5), (1, 9)), ((1, 2), (1, 3)))
    """
    half = memory.halve(shape) or (1, 1)
    if math.prod(half) == 1:
        return (1, 2), (1, 3)  # of a single replica XLA makes another program, which holds less
    return (shape, (shape[0] + 1, shape[1])) if half[0] < min(shape[0], 2) else (half, shape)


def program_bytes(plan: Plan, mesh: Mesh) -> int | None:
    """Of the compiled training of a plan's tile, on each device: arguments, results and temporaries."""
    return sweep.program_bytes(blueprint(plan, mesh))
