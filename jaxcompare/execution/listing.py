"""What a command would train, in words: variants x seeds, programs, steps, estimated minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcompare.config.comparison import Comparison
from jaxcompare.config.confirmation import confirming_share
from jaxcompare.config.errors import every
from jaxcompare.data.loading import load_datasets
from jaxcompare.execution.places import first_device
from jaxcompare.execution.prepare import settle_precision
from jaxcompare.execution.progress import COMPILE_SECONDS
from jaxcompare.planning import batches
from jaxcompare.planning.programs import programs_of
from jaxcompare.planning.recipes import check_custom_functions
from jaxcompare.system.cores import usable_cores


def listing(
    comparisons: Sequence[Comparison],
    configs: Mapping[str, Mapping[str, Any]],
    data_dir: str | None,
    folder: Path | None = None,
) -> str:
    """Describe what would train, and check that it can; `folder` is that of data files with relative names."""
    comparisons, _ = settle_precision(comparisons, configs, first_device)
    loaded = load_datasets(comparisons, data_dir, folder=folder)
    cores, lines, whole = usable_cores(), [], 0.0
    for comparison in comparisons:
        comparison, _ = batches.resolve(comparison, loaded, [])
        lines.append(f"{comparison.name}: {comparison.title} - {comparison.question}")
        programs = programs_of(comparison, loaded, platform="cpu")
        every(check_custom_functions, programs)
        for study in comparison.studies:
            own = [program for program in programs if program.study == study.name]
            seconds = sum(COMPILE_SECONDS + program.seconds / cores for program in own) * (1 + confirming_share(study))
            whole += seconds
            steps = ", ".join(str(steps) for steps in sorted({program.total_steps for program in own}))
            lines.append(
                f"  {study.name}: {len(study.variants)} variants x {len(study.seeds)} seeds = "
                f"{len(study.variants) * len(study.seeds)} replicas in {len(own)} program{'s'[: len(own) != 1]}, "
                f"{steps} steps each, about {seconds / 60:.1f} min"
                + (f", the selected ones again on {study.confirm} fresh seeds" if study.confirm else "")
            )
            lines += [f"    {variant.label} ({variant.settings.dataset})" for variant in study.variants]
    lines.append(f"about {whole / 60:.1f} minutes of training in all on this machine's {cores} CPU cores (an estimate)")
    return "\n".join(lines)
