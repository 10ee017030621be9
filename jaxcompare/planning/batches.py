"""`batch_size = "auto"`: the largest power of two whose training fits into memory, before anything else is planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jax.sharding import Mesh

from jaxcompare import data as datasets
from jaxcompare.config.comparison import Comparison, Study, digest, variant_id
from jaxcompare.config.settings import AUTO, Settings
from jaxcompare.engine import sweep
from jaxcompare.planning import fitting, memory
from jaxcompare.planning.layout import Plan, check, plan
from jaxcompare.planning.programs import tiles_of
from jaxcompare.words import say

# More than this serves no network here: an epoch becomes a handful of steps.
LARGEST = 4096


def resolve(
    comparison: Comparison,
    loaded: Mapping[tuple, datasets.Dataset],
    mesh: Mesh | None,
    *,
    limit: int | None = None,
    book: fitting.Book | None = None,
) -> tuple[Comparison, list[dict[str, Any]]]:
    """The comparison with numbers for `batch_size = "auto"`, and of each what the manifest keeps, which is said as well.

    One replica must fit; the tile is planned afterwards. All variants of a study on one data set get one size, the least of
    theirs: they would not be comparable otherwise. A size is at most `LARGEST` and the training set.

    Args:
        comparison: checked and expanded.
        loaded: its data sets.
        mesh: the devices; None: memory is not asked.
        limit: bytes that may be used of each device; None: what is free.
        book: of sizes that were chosen before, and are now.
    """
    book, notes, studies = book or fitting.Book(), [], []
    for study in comparison.studies:
        sizes: dict[str, int] = {}
        asking = [variant for variant in study.variants if variant.settings.batch_size == AUTO]
        for dataset in dict.fromkeys(variant.settings.dataset for variant in asking):
            mine = tuple(variant for variant in asking if variant.settings.dataset == dataset)
            key = digest([[variant.variant_id for variant in mine], book.device, limit])[:32]
            if key not in book.batches:
                alone = replace(comparison, studies=(replace(study, variants=mine),))
                book.batches[key] = _largest(alone, loaded, mesh, limit)
            sizes[dataset] = book.batches[key]
            told = {"study": study.name, "dataset": dataset, "value": sizes[dataset], "most": LARGEST}
            notes.append({"key": "batch_size", **told})
        studies.append(_resolved(comparison.name, study, sizes))
    for note in notes:
        fitting.tell(f"{comparison.name}: {say('auto.batch_size', **note)}")
    return replace(comparison, studies=tuple(studies)), notes


def _resolved(comparison: str, study: Study, sizes: Mapping[str, int]) -> Study:
    variants = []
    for variant in study.variants:
        if variant.settings.batch_size == AUTO:
            settings = replace(variant.settings, batch_size=sizes[variant.settings.dataset])
            # As if the number had stood in the config: the same numbers come of it.
            variant = replace(variant, variant_id=variant_id(comparison, study.name, settings), settings=settings)
        variants.append(variant)
    return replace(study, variants=tuple(variants))


def _largest(
    comparison: Comparison, loaded: Mapping[tuple, datasets.Dataset], mesh: Mesh | None, limit: int | None
) -> int:
    """The largest size with which one replica of each of the comparison's programs fits."""

    def least(settings: Settings) -> int:
        return settings.micro_batches * (mesh.shape[sweep.DATA] if mesh is not None else 1)

    started = _resolved_all(comparison)
    plans = plan(started, loaded, platform="cpu")  # for the data alone: the tile does not matter
    bottom = max(least(one.program.settings) for one in plans)
    most = min(LARGEST, *(len(one.material.data.train.y) for one in plans))
    for one in plans:
        check(one)  # a user's own functions, before they are compiled
    sizes = memory.powers_of_two(bottom, most) or [bottom]
    if mesh is None:
        return sizes[0]
    free = limit if limit is not None else memory.free_bytes(list(mesh.devices.flat))
    return next((size for size in sizes if free is None or _fits(plans, size, mesh, free)), sizes[-1])


def _resolved_all(comparison: Comparison) -> Comparison:
    """With the smallest size that micro-batches allow, so that it can be planned at all."""

    def start(study: Study) -> Study:
        counts = {variant.settings.dataset: variant.settings.micro_batches for variant in study.variants}
        most = max(variant.settings.micro_batches for variant in study.variants)
        return _resolved(comparison.name, study, dict.fromkeys(counts, most))

    return replace(comparison, studies=tuple(start(study) for study in comparison.studies))


def _fits(plans: Sequence[Plan], size: int, mesh: Mesh, free: int) -> bool:
    held = sum(fitting.data_bytes(one) for one in plans)
    for one in plans:
        sized, left = with_size(one, size), free - (held - fitting.data_bytes(one))
        if fitting.arithmetic(sized).of(1) > memory.FAR_BELOW * left:
            return False  # arithmetic is not so far off: compiling would tell the same
        if fitting.cost_of(sized, mesh, left)[0].of(1) > left:
            return False
    return True


def with_size(one: Plan, size: int) -> Plan:
    """The plan with another batch size, and one replica a tile."""
    variants = tuple(
        replace(variant, settings=replace(variant.settings, batch_size=size)) for variant in one.program.variants
    )
    program = replace(one.program, variants=variants)
    steps = len(one.material.data.train.y) // size
    return replace(one, program=program, shape=(1, 1), tiles=tuple(tiles_of(program, (1, 1))), steps_per_epoch=steps)
