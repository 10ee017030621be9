"""Memory that is planned: what is free, what a program takes, tiles that fit, and what happens when memory runs out."""

import json

import jax
import numpy as np
import pytest
from problems import BASE, comparison, plans

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse
from jaxcompare.engine import sweep
from jaxcompare.execution import compare, store, trainer
from jaxcompare.planning import fitting, layout, memory
from jaxcompare.planning.memory import Cost, Footprint

RATES = {"learning_rate": [0.3, 0.2, 0.1, 0.03, 0.01]}


def mesh(devices=2):
    return sweep.local_mesh(jax.devices()[:devices])


def wide(**base):
    """A program whose one tile holds five variants, for a network that is not tiny."""
    return plans(comparison(grid=RATES, **{"hidden": [64, 64], "seeds": 2, **base}), tile_replicas=5)[0]


class Device:
    def __init__(self, platform, **statistics):
        self.platform, self.statistics = platform, statistics

    def memory_stats(self):
        return self.statistics or None


def test_free_bytes_is_of_the_fullest_device():
    gpus = [Device("gpu", bytes_limit=100, bytes_in_use=used) for used in (10, 60)]
    assert memory.free_bytes(gpus) == 40
    assert memory.free_bytes([Device("gpu")]) is None
    alone, four = (memory.free_bytes([Device("cpu")] * count) for count in (1, 4))
    assert 0 < four < alone  # CPU devices share the RAM


@pytest.mark.parametrize(("text", "size"), [("2G", 2**31), ("512m", 2**29), ("100", 100), ("1.5 KiB", 1536)])
def test_sizes_are_read(text, size):
    assert memory.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "two", "-1G", "0", "2X", "0.1"])
def test_a_size_that_is_none_is_an_error(text):
    with pytest.raises(ConfigError, match=r"--memory .*is not an amount of memory"):
        memory.parse_bytes(text)


def test_shapes_are_halved_down_to_one_replica():
    shape, found = (3, 6), []
    while shape is not None:
        found.append(shape)
        shape = memory.halve(shape)
    assert found == [(3, 6), (2, 6), (1, 6), (1, 3), (1, 2), (1, 1)]


def test_bytes_are_linear_in_replicas_and_arithmetic_is_not_far_off():
    """Two compiles tell of the whole tile, whatever the number of tiles side by side, and of smaller ones."""
    plan = wide()
    cost = fitting.compiled(plan, mesh(2))
    assert cost.of(5) == pytest.approx(fitting.program_bytes(plan, mesh(4)), rel=0.01)
    smaller = plan.replace(plan, shape=(1, 2))
    assert cost.of(2) == pytest.approx(fitting.program_bytes(smaller, mesh(2)), rel=0.1)
    assert cost.of(5) / memory.FAR_BELOW < fitting.arithmetic(plan).of(5) < cost.of(5) * memory.FAR_BELOW


@pytest.mark.parametrize("shape", [(2, 5), (4, 3)])
def test_what_a_tile_of_several_seeds_takes_is_read_off_its_like(shape):
    """One seed is laid out in another way: the line goes through tiles of several."""
    plan = layout.replace(wide(seeds=4), shape=shape)
    few, more = fitting.probes(shape)
    assert min(few[0], more[0]) > 1
    expected = fitting.program_bytes(plan, mesh(1))
    assert fitting.compiled(plan, mesh(1)).of(plan.replicas) == pytest.approx(expected, rel=0.02)


def cnn(**options):
    base = {key: value for key, value in BASE.items() if key not in ("samples", "test_samples")}
    base |= {
        "dataset": "digits",
        "model": "cnn",
        "channels": [16, 32],
        "kernel_size": 3,
        "hidden": [32],
        "batch_size": 256,
    }
    return plans(parse("cnn", {"base": {**base, **options}, "study": [{"grid": RATES}]}), tile_replicas=2)[0]


def test_arithmetic_counts_a_convolutions_positions():
    """Units times pixels of each convolution, not its units alone."""
    pixels = 16 * 8 * 8 + 32 * 4 * 4
    more = fitting.arithmetic(cnn(batch_size=512)).replica - fitting.arithmetic(cnn()).replica
    assert more > 3 * memory.NUMBER * 256 * pixels


@pytest.mark.slow
def test_arithmetic_is_not_far_off_for_convolutions():
    plan = cnn()
    needed = fitting.program_bytes(plan, mesh(1))
    assert needed / memory.FAR_BELOW < fitting.arithmetic(plan).of(plan.replicas) < needed * memory.FAR_BELOW


def test_where_there_is_plenty_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(fitting, "compiled", None)
    (found,) = fitting.fit([wide()], mesh(), limit=2**40)
    assert found.shape == (1, 5)
    assert found.footprint.how == "arithmetic"
    assert found.footprint.free_bytes == 2**40


@pytest.fixture
def known_cost(monkeypatch):
    """Programs that take 100 bytes and 10 a replica: what is lowered then depends on arithmetic alone."""

    def known(plan, mesh):
        del mesh
        return Cost(100, 10 if plan.program.settings.micro_batches == 1 else 5)

    monkeypatch.setattr(fitting, "compiled", known)
    monkeypatch.setattr(fitting, "data_bytes", lambda plan: 0)
    # Never far below what is free, and less with each micro-batch.
    monkeypatch.setattr(fitting, "arithmetic", lambda plan: Cost(1000, 1000 // plan.program.settings.micro_batches))


@pytest.mark.parametrize(
    ("limit", "shape", "micro_batches"),
    [(150, (1, 5), 1), (149, (1, 3), 1), (129, (1, 2), 1), (119, (1, 1), 1), (105, (1, 1), 2)],
)
def test_tiles_are_halved_until_they_fit(known_cost, capsys, limit, shape, micro_batches):
    (found,) = fitting.fit([wide(batch_size=128)], mesh(), limit=limit)
    assert (found.shape, found.program.settings.micro_batches) == (shape, micro_batches)
    assert found.footprint.planned_bytes <= limit
    assert all(v.settings.micro_batches == micro_batches for tile in found.tiles for v in tile.variants)
    said = capsys.readouterr().err
    assert ("in place of 1 x 5 replicas" in said) == (shape != (1, 5))


def test_one_replica_that_does_not_fit_is_an_error_that_names_what_it_needs(known_cost):
    message = (
        r"tiny: study 'main': hidden = \[64, 64\] does not fit: .*105 bytes with micro_batches = \d+.*104 bytes is free"
    )
    with pytest.raises(ConfigError, match=message):
        fitting.fit([wide(batch_size=128, probe_size=1, train_subset=1)], mesh(), limit=104)


def test_a_tile_is_used_again_on_later_runs(known_cost, tmp_path, monkeypatch):
    book = fitting.Book(tmp_path / "tiles.json", "a device", 129)
    (first,) = fitting.fit([wide()], mesh(), limit=129, book=book)
    book.save()
    assert [one["tile"] for one in json.loads((tmp_path / "tiles.json").read_text())["tiles"].values()] == [[1, 2]]
    monkeypatch.setattr(fitting, "compiled", None)
    (again,) = fitting.fit([wide()], mesh(), limit=129, book=fitting.Book(tmp_path / "tiles.json", "a device", 129))
    assert (again.shape, again.tiles, again.footprint) == (first.shape, first.tiles, first.footprint)
    (tmp_path / "tiles.json").write_text("damaged")
    assert fitting.Book(tmp_path / "tiles.json").entries == {}


class Exhausted(trainer.Trainer):
    """A device that holds two replicas, and says so while it trains."""

    holds, attempts = 2, 0

    def run(self, tiles, tick, watch):
        type(self).attempts += 1
        if self.plan.replicas > self.holds and self.attempts > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes.")
        yield from super().run(tiles, tick, watch)


@pytest.mark.usefixtures("quick_compilation")
def test_running_out_of_memory_halves_the_tile_and_goes_on(monkeypatch, tmp_path, capsys):
    """What was measured stays, in its own shape; every replica is there once, as if nothing had happened."""
    monkeypatch.setattr(trainer, "Trainer", Exhausted)
    monkeypatch.setattr(Exhausted, "attempts", 0)
    made = comparison(grid=RATES, seeds=2, hidden=[8])
    parts, book = store.TileStore(tmp_path / "parts", "cpu"), fitting.Book(tmp_path / "tiles.json")
    one = mesh(1)

    def train():
        planned = fitting.fit(plans(made, tile_replicas=5), one, book=book)
        assert [plan.wider is None for plan in planned] == [Exhausted.attempts == 0]
        return compare.train_comparisons([made], {made.name: planned}, mesh=one, parts=parts, book=book).pop("tiny")

    found = train().frames
    expected = compare.train_comparisons([made], {made.name: plans(made, tile_replicas=2)}, mesh=one)["tiny"].frames
    assert "tiles of 1 x 3 replicas" in (said := capsys.readouterr().err)
    assert (
        "tiles of 1 x 2 replicas (seeds x variants) in place of 1 x 5 replicas (seeds x variants): memory ran out"
        in said
    )
    assert list(found["replicas"]["replica_id"]) == list(expected["replicas"]["replica_id"])
    np.testing.assert_allclose(found["history"]["test_loss"], expected["history"]["test_loss"], rtol=1e-3, atol=1e-4)
    assert len(list(parts.folder.iterdir())) == 1 + 3  # one tile of five, then 2, 1 and 2 replicas
    monkeypatch.setattr(trainer, "Trainer", None)  # a later run finds all of them, in either shape
    assert len(train().frames["replicas"]) == 10


def test_a_program_that_says_more_when_it_is_compiled_is_halved_before_it_runs(monkeypatch):
    plan = layout.lower(wide(hidden=[8]))
    needed = fitting.program_bytes(plan, mesh(1))
    tight = plan.replace(wide(hidden=[8]), footprint=Footprint(1, needed + 1000, "arithmetic"))
    made, missing = trainer.make_trainer(tight, list(tight.tiles), mesh(1), fitting.Book())
    assert made.plan.shape in ((1, 3), (1, 2))
    assert sum(len(tile.seeds) * len(tile.variants) for tile in missing) == 10


def test_other_errors_are_not_taken_for_it():
    assert trainer.out_of_memory(MemoryError())
    assert trainer.out_of_memory(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"))
    assert not trainer.out_of_memory(jax.errors.JaxRuntimeError("INVALID_ARGUMENT: shapes"))
    assert not trainer.out_of_memory(ValueError("RESOURCE_EXHAUSTED"))
    one = wide(batch_size=1)
    while (smaller := layout.lower(one)) is not None:
        one = smaller
    with pytest.raises(ConfigError, match="memory ran out with one replica at a time and micro_batches = 1: no room"):
        trainer.make_smaller(one, mesh(1), list(one.tiles), fitting.Book(), MemoryError("no room"))
