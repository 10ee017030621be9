"""TensorBoard's protocol buffers: figures over seeds, histograms, hyperparameters, pictures, a layout."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from jaxcompare import analysis
from jaxcompare.config.comparison import spell
from jaxcompare.config.settings import KEYS, NOT_FACTORS, Settings
from jaxcompare.engine.segment import HISTOGRAM_BINS
from jaxcompare.planning.cadence import histogram_counts, histogram_ranges

Runs = Sequence[Mapping[str, np.ndarray]]  # each seed's measurements at one epoch, by `level/name`

# Columns of the table of hyperparameters, written after a variant's last epoch. TensorBoard takes a tag's last point, so the
# columns need separate tags: a variant that diverged has its last mean at an earlier epoch.
FINALS = {
    "final/test_accuracy": "test_accuracy/mean",
    "final/validation_accuracy": "validation_accuracy/mean",
    "final/train_subset_loss": "train_subset_loss/mean",
    "final/diverged": "failed/diverged",
    "final/n": "failed/n",
}
# Figures that are drawn with a band.
BANDS = tuple(f"{part}_{kind}" for kind in ("accuracy", "loss") for part in ("validation", "test", "train_subset"))
KIND_NAMES = {"gradient": "gradient_log10"}  # shown in place of a kind that does not say enough


def records(values: Sequence[Any], step: int, seconds: float, *, first: bool) -> bytes:
    """Return an event as a TensorFlow record; the `first` event of a file follows the version."""
    events = [Event(wall_time=seconds, step=step, summary=Summary(value=list(values)))]
    if first:
        events.insert(0, Event(wall_time=seconds, file_version="brain.Event:2"))
    return b"".join(_record(event.SerializeToString()) for event in events)


def _record(data: bytes) -> bytes:
    """Return length, checksum of the length, data, checksum of the data."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def figures(runs: Runs, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """Return figures over seeds [n]; a layer's figure has the layer's name at its end."""
    found = {}
    for name in runs[0]:
        level, _, figure = name.partition("/")
        stacked = np.stack([run[name] for run in runs])
        if level == "figures":
            found[figure] = stacked
        elif level == "layers":
            found |= {f"{figure}/{layers[index]}": stacked[:, index] for index in range(stacked.shape[1])}
    return found


def scalars(values: Mapping[str, float]) -> Iterator[Any]:
    """Yield the finite values; the others were not measured, or a run diverged."""
    return (
        Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items() if math.isfinite(value)
    )


def aggregated(runs: Runs, layers: Sequence[str], *, last: bool) -> Iterator[Any]:
    """Yield mean, low and high of each figure that every seed has, the count of diverged seeds, and the final figures."""
    found = figures(runs, layers)
    finite = found.pop("finite").astype(bool)
    shown: dict[str, float] = {"failed/diverged": float((~finite).sum()), "failed/n": float(finite.size)}
    for name, values in found.items():
        shown |= {f"{name}/{part}": value for part, value in analysis.mean_interval(values)._asdict().items()}
    final = {tag: shown[name] for tag, name in FINALS.items() if last}
    return scalars(shown | final)


def histograms(runs: Runs, layers: Sequence[str], settings: Settings) -> Iterator[Any]:
    """Yield the histograms of a snapshot over all seeds; none where a seed diverged or no snapshot was taken."""
    if "snapshot/histograms" not in runs[0] or not all(run["figures/finite"] for run in runs):
        return
    ranges = histogram_ranges(settings)
    snapshots = [{name.partition("/")[2]: values for name, values in run.items()} for run in runs]
    for index, layer in enumerate(layers):
        each = [histogram_counts(snapshot, index) for snapshot in snapshots]
        for kind in each[0]:
            counts = np.sum([one[kind] for one in each], axis=0)
            yield _histogram(f"{KIND_NAMES.get(kind, kind)}/{layer}", counts, *ranges[kind])


def _histogram(name: str, counts: np.ndarray, low: float, high: float) -> Any:
    """Return a histogram from counts [bins + 2]; the first and last count lie outside the range."""
    width = (high - low) / HISTOGRAM_BINS
    ends = low + width * np.arange(HISTOGRAM_BINS + 2)  # each bin's upper end
    centres = ends - width / 2
    moments = (float(counts @ centres), float(counts @ centres**2))
    return summary.histogram_raw(
        name, low - width, high + width, int(counts.sum()), *moments, ends.tolist(), counts.astype(float).tolist()
    ).value[0]


def hyperparameters(names: Mapping[str, str], settings: Settings) -> list[Any]:
    """Return a variant's row in the table of hyperparameters: every factor, so that all rows have the same keys."""
    return list(summary.hparams(_row(names, settings), {})[1].value)


def _row(names: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    """Return every factor by name: a number where the factor is always finite, else its spelling."""
    found: dict[str, Any] = dict(names)
    for key, rule in KEYS.items():
        value = getattr(settings, key)
        if key in NOT_FACTORS:
            continue
        if rule.default is not MISSING and type(rule.default) in (int, float) and math.isfinite(rule.default):
            found[key] = float(value)
        elif isinstance(value, Mapping):
            found[key] = ", ".join(f"{name} {number:g}" for name, number in sorted(value.items())) or "-"
        else:
            found[key] = "-" if value is None else spell(value)
    return found


def finished() -> list[Any]:
    """Return the end of a run."""
    return list(summary.hparams({}, {})[2].value)


def overview(names: Mapping[str, str], settings: Settings) -> list[Any]:
    """Return the table's columns, and the figures that are drawn with bands: the same for all runs."""
    columns = summary.hparams(_row(names, settings), dict.fromkeys(FINALS, 0.0))[0]
    charts = {name: ["Margin", [f"{name}/{part}" for part in ("mean", "low", "high")]] for name in BANDS}
    return [*columns.value, *summary.custom_scalars({"mean and 95% interval over seeds": charts}).value]


def image(name: str, data: bytes) -> Any:
    """Return a picture (PNG or GIF)."""
    width, height = Image.open(io.BytesIO(data)).size
    return Summary.Value(
        tag=name, image=Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data)
    )
