"""From checked comparisons to programs that are ready to be compiled: what a run with files and one without share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax

from jaxcompare import data as datasets
from jaxcompare.components import precision
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.errors import every
from jaxcompare.config.parse import asks_precision, parse
from jaxcompare.execution.places import check_batches
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.execution.unchecked import unchecked
from jaxcompare.planning import batches
from jaxcompare.planning.programs import Program, programs_of
from jaxcompare.planning.recipes import check_custom_functions
from jaxcompare.words import say

_LOG = logging.getLogger(__name__)

Notes = dict[str, list[dict[str, Any]]]  # by comparison: what "auto" came to, for the manifest
Planner = Callable[[Comparison], list[Program]]


def settle_precision(
    comparisons: Sequence[Comparison],
    configs: Mapping[str, Mapping[str, Any]],
    device: Callable[[], jax.Device],
    given: Mapping[str, Collection[str]] = {},
) -> tuple[list[Comparison], Notes]:
    """Expand the comparisons again that leave a precision to the device; `device` is asked only where one does.

    `given` is that of `parse`.
    """
    settled, notes = [], {}
    for comparison in comparisons:
        name = comparison.name
        if asks_precision(configs[name]):
            where = device()
            value = precision.fastest(where)
            comparison = parse(name, configs[name], precision=value, given=given)
            notes[name] = [{"key": "precision", "value": value, "device": where.device_kind}]
            _LOG.info("%s: %s", name, say("auto.precision", **notes[name][0]))
        settled.append(comparison)
    return settled, notes


@unchecked()
def prepare(
    comparisons: Sequence[Comparison],
    loaded: Mapping[tuple, datasets.Dataset],
    sizes: TileSizes,
) -> tuple[list[Comparison], dict[str, list[Program]], Planner, Notes]:
    """Choose batch sizes, lay out programs, check custom functions and fit tiles into memory.

    Args:
        comparisons: checked, expanded and with their precision settled.
        loaded: their data sets.
        sizes: where tiles are chosen and kept, with the places.

    Returns:
        The comparisons with their batch sizes, their programs by name, a function that does the same for a confirmation, and
        what "auto" came to.

    Raises:
        ConfigError: a batch that does not fit the data or a place, a custom function that cannot be used, one replica that
            does not fit into memory.
    """
    platform = sizes.places[0].devices.flat[0].platform
    resolved = [
        batches.resolve(comparison, loaded, sizes.places, limit=sizes.limit, chosen=sizes.batches)
        for comparison in comparisons
    ]
    sized = [comparison for comparison, _ in resolved]
    data = sizes.places[0].size
    check_batches(data, (variant.settings for one in sized for study in one.studies for variant in study.variants))

    def plan(comparison: Comparison) -> list[Program]:
        programs = programs_of(comparison, loaded, platform=platform)
        every(check_custom_functions, programs)
        return programs

    @unchecked()
    def plan_and_fit(comparison: Comparison) -> list[Program]:
        programs = plan(comparison)
        sizes.fit(programs)
        return programs

    programs = {comparison.name: plan(comparison) for comparison in sized}
    for each in programs.values():  # once all are known to be sound
        sizes.fit(each)
    return sized, programs, plan_and_fit, {comparison.name: notes for comparison, notes in resolved}
