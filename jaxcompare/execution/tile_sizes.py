"""The tile that each program really gets: as planned, or smaller where memory is short.

The sizes are kept beside the run (`.run/tiles.json`) rather than with the compiled programs. A run that is resumed must cut the
same tiles, to find the measured ones and to give the same bits. Another run, on a day with more memory free, must not inherit a
tile that a neighbour's job once made small.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxcompare.config.comparison import digest
from jaxcompare.config.errors import ConfigError
from jaxcompare.planning import memory
from jaxcompare.planning.programs import Program, Tile, identity
from jaxcompare.system.files import set_aside, write_atomically
from jaxcompare.system.memory import spell_bytes
from jaxcompare.system.strict_json import from_digested_json, to_digested_json

_LOG = logging.getLogger(__name__)


class TileSizes:
    """Sizes of tiles by program, in memory and in a file where one is named."""

    def __init__(
        self, places: Sequence[Mesh], *, limit: int | None = None, path: Path | None = None, blank: bool = False
    ) -> None:
        """Read what an earlier run kept.

        Args:
            places: where tiles train.
            limit: bytes that may be used of each device; None: what is free.
            path: of the file; a damaged file is set aside.
            blank: ignore what the file has.
        """
        self.places, self.limit, self.path = places, limit, path
        self.device = places[0].devices.flat[0].device_kind
        self.lock = threading.Lock()  # programs are compiled side by side
        self.entries: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, int] = {}  # the numbers of `batch_size = "auto"`
        if path is not None and not blank:
            try:
                kept = from_digested_json(path.read_bytes())
                self.entries, self.batches = dict(kept["tiles"]), dict(kept["batches"])
            except FileNotFoundError:
                pass
            except (ValueError, KeyError, TypeError):
                set_aside(path)

    def free_bytes(self) -> int | None:
        """Return the bytes that may be used of each device; None: the devices do not say."""
        return self.limit if self.limit is not None else memory.free_bytes(self.places)

    def _key(self, program: Program) -> str:
        whole = identity(program, (), program.variants)
        return digest([self.device, self.limit, whole, program.shape, program.material.digest])[:32]

    def chain(self, program: Program) -> list[Program]:
        """Return a program as planned, the smaller ones that memory led to, and last the current one."""
        entry, chain = self.entries.get(self._key(program)), [program]
        while entry is not None:
            if [list(chain[-1].shape), chain[-1].settings.micro_batches] == [entry["tile"], entry["micro_batches"]]:
                return chain
            following = self._smaller(chain[-1])
            if following is None:
                break
            chain.append(following)
        return [program]

    def entry(self, program: Program) -> dict[str, Any]:
        """Return what is known of a planned program's tile and memory; empty if nothing is."""
        return self.entries.get(self._key(program), {})

    def _smaller(self, program: Program) -> Program | None:
        return memory.smaller(program, data=self.places[0].size)

    def _note(self, planned: Program, current: Program, needed: int | None, free: int | None, how: str) -> None:
        entry = {
            "program": current.name,
            "tile": list(current.shape),
            "micro_batches": current.settings.micro_batches,
            "planned_bytes": needed,
            "free_bytes": free,
            "how": how,
        }
        with self.lock:
            self.entries[self._key(planned)] = entry

    def save(self) -> None:
        """Write the file, where one is named."""
        if self.path is not None:
            with self.lock:
                text = to_digested_json({"tiles": self.entries, "batches": self.batches})
                write_atomically(self.path, f"{text}\n".encode())

    def fit(self, programs: Sequence[Program]) -> None:
        """Choose a tile for each program that fits by the count of `planned_bytes`.

        Raises:
            ConfigError: one replica does not fit.
        """
        for program in programs:
            self._fit(program)

    def _fit(self, program: Program) -> None:
        current, free = self.chain(program)[-1], self.free_bytes()
        needed = memory.planned_bytes(current)
        before = current
        while free is not None and needed > free:
            following = self._smaller(current)
            if following is None:
                raise memory.too_large(current, needed, free, self.device)
            less = memory.planned_bytes(following)
            if current.tile_replicas == 1 and less >= needed:
                raise memory.too_large(current, needed, free, self.device)
            current, needed = following, less
        how = "arithmetic" if current is not before else self.entry(program).get("how", "arithmetic")
        self._note(program, current, needed, free, how)
        if current is not program:
            again = ", as before" if current is before else ""
            _LOG.info("%s%s", self._in_words(program, current, f"{spell_bytes(needed)} planned", free), again)

    def lower(
        self, program: Program, reason: str, *, needed: int | None = None, error: Exception | None = None
    ) -> None:
        """Choose the next smaller tile for a planned program, and say so.

        Args:
            program: as planned.
            reason: "compiled" (XLA's account is more than what is free), or "memory ran out".
            needed: bytes of the tile that did not fit; None: not known.
            error: what ended the training.

        Raises:
            ConfigError: one replica does not fit.
        """
        current, free = self.chain(program)[-1], self.free_bytes()
        following = self._smaller(current)
        if following is None:
            first_line = str(error or f"{spell_bytes(needed or 0)} needed").partition("\n")[0]
            raise ConfigError(
                f"{program.comparison}: study {program.study!r}: memory ran out with one replica at a time and "
                f"micro_batches = {current.settings.micro_batches}: {first_line}"
            ) from error
        self._note(program, following, None, free, reason)
        self.save()
        why = reason if needed is None else f"{spell_bytes(needed)} compiled"
        _LOG.info("%s", self._in_words(program, following, why, None if needed is None else free))

    def _in_words(self, planned: Program, current: Program, why: str, free: int | None) -> str:
        words = f"{current.name}: tiles of {_spell(current.shape)} in place of {_spell(planned.shape)}"
        count = current.settings.micro_batches
        if count != planned.settings.micro_batches:
            words += f", batches in {count} micro-batches"
        return f"{words}: {why}" + (f" of {spell_bytes(free)} free on each device" if free is not None else "")


def _spell(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} replicas (seeds x variants)"


def recut(tile: Tile, program: Program) -> list[Tile]:
    """Cut a tile of a wider program into tiles of this one."""
    own = {variant.variant_id: variant for variant in program.variants}
    return program.tiles_of(tile.seeds, tuple(own[variant.variant_id] for variant in tile.variants))
