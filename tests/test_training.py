"""Places take the next tile from one queue: in which order, how many at once, and what happens where one of them fails."""

import random
import threading
import time

import jax
import numpy as np
import pandas as pd
import pytest
from problems import comparison, programs, resources, train, trained_tiles

from jaxcompare.execution import training
from jaxcompare.execution.places import local_places
from jaxcompare.execution.training import SILENT, LocalTraining

pytestmark = pytest.mark.usefixtures("quick_compilation")
WAIT = 60.0  # seconds, for what happens at once or never


def several(count, **base):
    """Programs of one tile each, for one executable."""
    made = comparison({"data_seed": list(range(count)), "learning_rate": [0.1]}, seeds=1, hidden=[8], **base)
    return made, programs(made)


@pytest.fixture
def watched(monkeypatch):
    """The events of a training: ("compile" or "train", its end or not, program, threads at work)."""
    events, lock = [], threading.Lock()

    def watch(name, what, of):
        original = getattr(training, name)

        def call(first, *given):
            with lock:
                events.append((what, "begins", of(first)))
            try:
                return original(first, *given)
            finally:
                with lock:
                    events.append((what, "ends", of(first)))

        monkeypatch.setattr(training, name, call)

    watch("compiled", "compile", lambda program: program.name)
    watch("train_tile", "train", lambda tile: tile.program.name)
    return events


def most_at_once(events, what):
    now, most = 0, 0
    for kind, when, _ in events:
        now += (kind == what) * (1 if when == "begins" else -1)
        most = max(most, now)
    return most


def test_eight_programs_of_one_tile_train_on_eight_places_at_once(monkeypatch):
    made, planned = several(8)
    assert [len(program.tiles) for program in planned] == [1] * 8
    original, all_there = training.train_tile, threading.Barrier(8)

    def together(*given):
        all_there.wait(WAIT)  # raises where not all eight are in work at once
        return original(*given)

    monkeypatch.setattr(training, "train_tile", together)
    found = train(made, planned, places=local_places(8)).frames
    assert len(found["replicas"]) == 8


@pytest.mark.parametrize("places", [1, 3])
def test_the_order_in_which_tiles_finish_changes_nothing(places, monkeypatch):
    made = comparison({"learning_rate": [0.1, 0.2, 0.3], "optimizer": ["sgd", "adam"]}, hidden=[8])
    planned = programs(made, tile_replicas=2)
    expected = train(made, planned).frames
    original = training.train_tile

    def late(*given):
        time.sleep(random.random() / 20)
        return original(*given)

    monkeypatch.setattr(training, "train_tile", late)
    found = train(made, planned, places=local_places(places)).frames
    for name in expected.keys() - {"timing"}:
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)


def test_a_measurement_that_seems_longer_than_all_of_training_leaves_both_times_unknown(monkeypatch):
    made = comparison({"learning_rate": [0.1]}, seeds=1, hidden=[8])
    monkeypatch.setattr(training.sweep, "measuring_seconds", lambda *_, **__: 1e-9)
    known = train(made, programs(made)).frames["timing"]
    assert known["train_seconds"].between(0, known["wall_seconds"], inclusive="neither").all()
    assert known["evaluate_seconds"].eq(1e-9).all()
    monkeypatch.setattr(training.sweep, "measuring_seconds", lambda *_, **__: 1e9)
    timing = train(made, programs(made)).frames["timing"]
    assert timing[["train_seconds", "evaluate_seconds"]].isna().all(axis=None)
    assert timing["wall_seconds"].gt(0).all()


def test_studies_train_in_the_order_of_the_config_and_the_longest_tile_first(watched, monkeypatch):
    made = comparison({"batch_size": [64, 16, 32]}, seeds=1, hidden=[8])
    planned = programs(made)
    sizes = {program.name: program.settings.batch_size for program in planned}
    other = programs(comparison({"learning_rate": [0.1]}, name="before", seeds=1, hidden=[8]))
    blocker = programs(comparison({"learning_rate": [0.1]}, name="first", seeds=1, hidden=[8]))
    added, original = threading.Event(), training.compiled

    def compiled(program, *given):
        assert added.wait(WAIT)
        return original(program, *given)

    monkeypatch.setattr(training, "compiled", compiled)
    used = resources(local_places(1))
    with LocalTraining(used) as work:
        work.cores = 1  # one worker, which does one thing at a time
        for order, each in ((0, blocker), (2, planned), (1, other)):
            work.add(each, order)
        added.set()
        for each in (planned, other, blocker):
            work.measured(each)
    order = [name for what, when, name in watched if (what, when) == ("train", "begins")]
    assert [sizes[name] for name in order if name in sizes] == [16, 32, 64]
    assert order.index(other[0].name) == 1


def test_programs_that_are_ready_train_while_others_compile(watched, monkeypatch):
    made, planned = several(2)
    first_trained, original = threading.Event(), training.compiled

    def compiled(program, *given):
        if program is planned[1]:
            assert first_trained.wait(WAIT)
        return original(program, *given)

    monkeypatch.setattr(training, "compiled", compiled)

    def trained(name, seconds, kept):
        first_trained.set()

    assert len(train(made, planned, SILENT._replace(trained=trained), places=local_places(2)).frames["replicas"]) == 2


def test_a_program_of_two_studies_is_compiled_once_while_others_compile(monkeypatch):
    """One that waits would leave a core idle, and count the same seconds again."""
    made = comparison({"dataset": ["moons", "circles"], "batch_size": [64, 16]}, seeds=1, hidden=[8])
    planned = programs(made)
    used = resources(local_places(2))
    key_of = {program.name: used.programs.key(program, used.places[0]) for program in planned}
    assert sorted(map(list(key_of.values()).count, key_of.values())) == [2] * 4
    both, original, now, seen = threading.Barrier(2), training.compiled, set(), []

    def compiled(program, *given):
        key = key_of[program.name]
        assert key not in now
        now.add(key)
        if key not in seen:
            seen.append(key)
            both.wait(WAIT)  # the two programs that differ compile side by side
        found = original(program, *given)
        now.discard(key)
        return found

    monkeypatch.setattr(training, "compiled", compiled)
    assert len(train(made, planned, places=local_places(2)).frames["replicas"]) == 4


@pytest.mark.parametrize("alone", [False, True])
def test_nothing_trains_beside_a_compilation_where_that_would_be_measured_by_it(watched, alone):
    """On a GPU XLA tries kernels out while it compiles."""
    _, planned = several(3)
    work = LocalTraining(resources(local_places(2)))
    work.compiles_alone = alone
    with work:
        work.add(planned)
        work.measured(planned)
    kinds = [what for what, _, _ in watched]
    if alone:
        assert kinds == ["compile"] * 6 + ["train"] * 6
    assert most_at_once(watched, "compile") <= work.cores


def test_where_memory_runs_out_tiles_in_work_go_on_and_those_not_begun_are_halved(monkeypatch):
    made = comparison({"learning_rate": [0.4, 0.3, 0.2, 0.1]}, seeds=4, hidden=[8])
    (program,) = programs(made, tile_replicas=4)
    assert [tile.replicas for tile in program.tiles] == [4] * 4
    both, failed, original, shapes = threading.Barrier(2), threading.Event(), training.train_tile, []

    def exhausted(tile, *given):
        whole = tile.program.tile_replicas == 4
        if whole and both.wait(WAIT) == 0:
            failed.set()
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        assert not whole or failed.wait(WAIT)
        shapes.append(tile.program.shape)
        return original(tile, *given)

    monkeypatch.setattr(training, "train_tile", exhausted)
    found = trained_tiles(program, resources(local_places(2)))
    assert sorted(shapes) == [(1, 2)] * 6 + [(1, 4)]
    replicas = [(seed, variant.label) for tile, _ in found for seed in tile.seeds for variant in tile.variants]
    assert sorted(replicas) == sorted({(seed, v.label) for seed in program.seeds for v in program.variants})


def test_a_place_that_fails_ends_the_run_with_its_error(monkeypatch):
    made, planned = several(3)

    def broken(*_):
        raise ValueError("broken")

    monkeypatch.setattr(training, "train_tile", broken)
    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        train(made, planned)
    assert threading.active_count() == before


def test_a_run_that_is_stopped_gives_tiles_up_at_the_end_of_a_segment(monkeypatch):
    _, planned = several(1, epochs=50_000)
    steps = []

    def trained(name, seconds, kept):
        steps.append(seconds)

    with LocalTraining(resources(), SILENT._replace(trained=trained)) as work:
        work.add(planned)
        while len(steps) < 2:
            time.sleep(0.01)
    assert not any(thread.is_alive() for thread in work.threads)
    assert work.failure is None
    assert np.isfinite(steps).all()
