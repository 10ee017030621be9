"""`batch_size = "auto"`: the largest power of two whose training fits into memory, before any tile is planned."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

from jax.sharding import Mesh

from jaxcompare import data as datasets
from jaxcompare.config.comparison import Comparison, Study, check_ids, digest, variant_id
from jaxcompare.config.errors import every
from jaxcompare.config.names import DATASETS
from jaxcompare.config.settings import AUTO, Settings
from jaxcompare.data.loading import data_key
from jaxcompare.planning import memory
from jaxcompare.planning.programs import Program, programs_of
from jaxcompare.planning.recipes import check_custom_functions
from jaxcompare.words import say

LARGEST = 4096  # a larger batch serves no network here: an epoch becomes a handful of steps
# `planned_bytes` is right within this factor (docs/performance.md): only between the two must a program be compiled.
FAR = 4

_LOG = logging.getLogger(__name__)


def resolve(
    comparison: Comparison,
    loaded: Mapping[tuple, datasets.Dataset],
    places: Sequence[Mesh],
    *,
    limit: int | None = None,
    chosen: MutableMapping[str, int] | None = None,
) -> tuple[Comparison, list[dict[str, Any]]]:
    """Put numbers in place of `batch_size = "auto"`; return the comparison and what the manifest keeps of each choice.

    One replica must fit; the tile is planned afterwards. All variants of a study on one data set get one size, the least of
    theirs: variants with different sizes would not be comparable. A size is at most `LARGEST` and the training set.

    Args:
        comparison: checked and expanded.
        loaded: its data sets.
        places: where tiles train; none: memory is not asked.
        limit: bytes that may be used of each device; None: what is free.
        chosen: sizes of earlier runs by a key; new sizes are added.
    """
    chosen, notes, studies = {} if chosen is None else chosen, [], []
    device = places[0].devices.flat[0].device_kind if places else ""
    for study in comparison.studies:
        sizes: dict[str, int] = {}
        asking = [variant for variant in study.variants if variant.settings.batch_size == AUTO]
        for dataset in dict.fromkeys(variant.settings.dataset for variant in asking):
            mine = tuple(variant for variant in asking if variant.settings.dataset == dataset)
            custom = sorted(
                {loaded[data_key(variant.settings)].digest for variant in mine} if dataset not in DATASETS else ()
            )
            key = digest([[variant.variant_id for variant in mine], device, limit, *custom])[:32]
            if key not in chosen:
                alone = replace(comparison, studies=(replace(study, variants=mine),))
                chosen[key] = _largest(alone, loaded, places, limit)
            sizes[dataset] = chosen[key]
            said = {"study": study.name, "dataset": dataset, "value": sizes[dataset], "most": LARGEST}
            notes.append({"key": "batch_size", **said})
        studies.append(_with_sizes(comparison.name, study, sizes))
    check_ids(comparison.name, studies)
    for note in notes:
        _LOG.info("%s: %s", comparison.name, say("auto.batch_size", **note))
    return replace(comparison, studies=tuple(studies)), notes


def _with_sizes(comparison: str, study: Study, sizes: Mapping[str, int]) -> Study:
    variants = []
    for variant in study.variants:
        if variant.settings.batch_size == AUTO:
            settings = replace(variant.settings, batch_size=sizes[variant.settings.dataset])
            # The id is that of a config with the number: the numbers of such a config come out.
            variant = replace(variant, variant_id=variant_id(comparison, study.name, settings), settings=settings)
        variants.append(variant)
    return replace(study, variants=tuple(variants))


def _largest(
    comparison: Comparison, loaded: Mapping[tuple, datasets.Dataset], places: Sequence[Mesh], limit: int | None
) -> int:
    """Return the largest size with which one replica of each of the comparison's programs fits."""

    def least(settings: Settings) -> int:
        return settings.micro_batches * (places[0].size if places else 1)

    platform = places[0].devices.flat[0].platform if places else "cpu"
    programs = programs_of(_with_least_sizes(comparison), loaded, platform=platform, tile_replicas=1)
    bottom = max(least(program.settings) for program in programs)
    most = min(LARGEST, *(len(program.material.data.train.y) for program in programs))
    every(check_custom_functions, programs)  # before they are compiled
    sizes = memory.powers_of_two(bottom, most) or [bottom]
    if not places:
        return sizes[0]
    free = limit if limit is not None else memory.free_bytes(places)
    return next((size for size in sizes if free is None or _fits(programs, size, places[0], free)), sizes[-1])


def _with_least_sizes(comparison: Comparison) -> Comparison:
    """Put the smallest size that micro-batches allow, so that the comparison can be planned at all."""

    def start(study: Study) -> Study:
        counts = {variant.settings.dataset: variant.settings.micro_batches for variant in study.variants}
        most = max(variant.settings.micro_batches for variant in study.variants)
        return _with_sizes(comparison.name, study, dict.fromkeys(counts, most))

    return replace(comparison, studies=tuple(start(study) for study in comparison.studies))


def _fits(programs: Sequence[Program], size: int, place: Mesh, free: int) -> bool:
    for program in programs:
        sized = _with_size(program, size)
        needed: int | None = memory.planned_bytes(sized)
        if needed is not None and free / FAR < needed <= FAR * free:
            needed = memory.compiled_bytes(sized, place)
        if needed is not None and needed > free:
            return False
    return True


def _with_size(program: Program, size: int) -> Program:
    """Return the program with another batch size, and one replica a tile."""
    variants = tuple(
        replace(variant, settings=replace(variant.settings, batch_size=size)) for variant in program.variants
    )
    return replace(program, variants=variants, shape=(1, 1))
