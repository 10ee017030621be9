"""Nothing accumulates over a run: what is held at epoch 50 was held at epoch 2."""

import gc
import os
from functools import partial
from pathlib import Path

import jax
import pytest
from problems import BASE, comparison, programs, resources, train

from jaxcompare.engine import sweep
from jaxcompare.execution import compare, training
from jaxcompare.execution.training import SILENT, train_program

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
    monkeypatch.setattr(sweep, "train_tiles", partial(sweep.train_tiles, segment_steps=steps))


def test_epoch_50_holds_what_epoch_2_did(epoch_by_epoch):
    made, held = comparison(grid={"learning_rate": [0.1]}, epochs=50, seeds=1), []

    def trained(*_):
        held.append((on_devices(), on_host()))

    mesh = sweep.local_mesh(jax.devices()[:1])
    train(made, programs(made), SILENT._replace(trained=trained), mesh=mesh)
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
    made, put = comparison(grid={"optimizer": ["sgd", "momentum"]}, epochs=1, seeds=1), []
    replicate = sweep.replicate
    monkeypatch.setattr(training.sweep, "replicate", lambda *given: put.append(replicate(*given)) or put[-1])
    used = resources(sweep.local_mesh(jax.devices()[:1]))
    for count, program in enumerate(programs(made), start=1):
        list(train_program(program, used, SILENT))
        assert len(put) == count  # the next program's data are not there yet
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(put[-1]))
