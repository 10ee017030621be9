"""Nothing accumulates over a run: what is held at epoch 50 was held at epoch 2."""

import gc
import os
from functools import partial
from pathlib import Path

import jax
import pytest
from problems import BASE, comparison, programs, train

from jaxcompare.engine import segment, sweep
from jaxcompare.execution import compare, training
from jaxcompare.execution.places import local_places
from jaxcompare.execution.training import SILENT

pytestmark = pytest.mark.usefixtures("quick_compilation")

STATM = Path("/proc/self/statm")
MARGIN = 8 * 2**20  # bytes of host memory that allocators may keep to and fro


def on_devices():
    return sum(array.nbytes for array in jax.live_arrays())


def on_host():
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.exists() else 0


@pytest.fixture
def epoch_by_epoch(monkeypatch):
    """Segments of one epoch each, so that every epoch's end is heard of."""
    steps = programs(comparison())[0].steps_per_epoch
    monkeypatch.setattr(sweep, "train_tile", partial(sweep.train_tile, segment_steps=steps))


def test_epoch_50_holds_what_epoch_2_did(epoch_by_epoch):
    made, held = comparison(grid={"learning_rate": [0.1]}, epochs=50, seeds=1), []

    def trained(*_):
        held.append((on_devices(), on_host()))

    train(made, programs(made), SILENT._replace(trained=trained), places=local_places(1))
    assert len(held) == 51  # one before the first step
    (devices_then, host_then), (devices_now, host_now) = held[2], held[-1]
    assert devices_now == devices_then
    assert host_now <= host_then + MARGIN


def test_a_finished_run_holds_nothing_on_the_devices():
    config = {"base": {**BASE, "epochs": 1, "seeds": 1}, "study": [{"grid": {"optimizer": ["sgd", "momentum"]}}]}
    compare.compare(config)  # what is made once and for all is made here
    gc.collect()
    before = on_devices()
    compare.compare(config)
    gc.collect()
    assert on_devices() == before


def test_a_programs_data_go_when_it_is_trained(monkeypatch):
    made, put = comparison(grid={"dataset": ["moons", "circles"]}, epochs=1, seeds=1), []
    put_there = sweep.put

    def watched(place, arrays):
        if isinstance(arrays, segment.Data):
            assert all(
                leaf.is_deleted() for data in put for leaf in jax.tree.leaves(data)
            )  # a place holds one data set
            put.append(put_there(place, arrays))
            return put[-1]
        return put_there(place, arrays)

    monkeypatch.setattr(training.sweep, "put", watched)
    train(made, programs(made), places=local_places(1))
    assert len(put) == 2
    assert all(leaf.is_deleted() for data in put for leaf in jax.tree.leaves(data))
