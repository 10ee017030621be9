"""Nothing accumulates over a run: what is held at epoch 50 was held at epoch 2."""

import ctypes
import gc
import os
import weakref
from functools import partial
from pathlib import Path

import jax
import pytest
from problems import BASE, PROGRAMS, comparison, programs, train

from jaxcompare.engine import segment, sweep
from jaxcompare.execution import compare, training
from jaxcompare.execution.places import local_places
from jaxcompare.execution.program_cache import ProgramCache
from jaxcompare.execution.training import SILENT
from jaxcompare.system.memory import give_back_freed_memory

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


def test_a_calls_own_programs_go_when_it_returns(monkeypatch):
    caches, compiled, freed = [], [], []

    class Watched(ProgramCache):
        def __init__(self):
            super().__init__()
            caches.append(weakref.ref(self))

        def _compile(self, *arguments):
            functions = super()._compile(*arguments)
            compiled.extend(map(weakref.ref, functions))
            return functions

    def give_back():
        freed.append([reference() for reference in (*caches, *compiled)])

    monkeypatch.setattr(compare, "ProgramCache", Watched)
    monkeypatch.setattr(compare, "give_back_freed_memory", give_back)
    config = {"base": {**BASE, "epochs": 1, "seeds": 1}, "study": [{"grid": {"hidden": [[51], [52]]}}]}
    compare.compare(config, places=local_places(1))
    assert len(compiled) == 4
    assert freed == [[None] * 5]
    compare.compare(config, places=local_places(1), programs=PROGRAMS)  # the caller's stay
    assert len(freed) == 1


def test_freed_memory_goes_back_to_the_system():
    if not STATM.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("another C library")
    library, count, size = ctypes.CDLL(None), 40_000, 1600
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    pieces = [library.malloc(size) for _ in range(count)]
    for piece in pieces:
        ctypes.memset(piece, 1, size)
    for piece in pieces[:-1]:  # the last one keeps the heap from shrinking by itself
        library.free(ctypes.c_void_p(piece))
    before = on_host()
    give_back_freed_memory()
    library.free(ctypes.c_void_p(pieces[-1]))
    assert before - on_host() > count * size / 2


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
