"""Memory that is planned: what is free, what a program takes, tiles that fit, and what happens when memory runs out."""

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from problems import BASE, PROGRAMS, comparison, programs, resources, train

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse
from jaxcompare.config.request import parse_bytes
from jaxcompare.engine import sweep
from jaxcompare.execution import training
from jaxcompare.execution.places import local_places
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.planning import memory

RATES = {"learning_rate": [0.3, 0.2, 0.1, 0.03, 0.01]}


def wide(**base):
    """A program whose one tile holds five variants, for a network that is not tiny."""
    return programs(comparison(grid=RATES, **{"hidden": [64, 64], "seeds": 2, **base}), tile_replicas=5)[0]


class Device:
    def __init__(self, platform, **statistics):
        self.platform, self.statistics = platform, statistics

    def memory_stats(self):
        return self.statistics or None


def places(*devices):
    return [SimpleNamespace(devices=np.asarray([device])) for device in devices]


def test_free_bytes_is_of_the_fullest_device():
    gpus = [Device("gpu", bytes_limit=100, bytes_in_use=used) for used in (10, 60)]
    assert memory.free_bytes(places(*gpus)) == 40
    assert memory.free_bytes(places(Device("gpu"))) is None
    alone, four = (memory.free_bytes(places(*[Device("cpu")] * count)) for count in (1, 4))
    assert 0 < four < alone  # CPU devices share the RAM


@pytest.mark.parametrize(("text", "size"), [("2G", 2**31), ("512m", 2**29), ("100", 100), ("1.5 KiB", 1536)])
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "two", "-1G", "0", "2X", "0.1"])
def test_a_size_that_is_none_is_an_error(text):
    with pytest.raises(ConfigError, match=r"--memory .*is not an amount of memory"):
        parse_bytes(text)


def test_shapes_are_halved_down_to_one_replica():
    shape, found = (3, 6), []
    while shape is not None:
        found.append(shape)
        shape = memory.halve(shape)
    assert found == [(3, 6), (2, 6), (1, 6), (1, 3), (1, 2), (1, 1)]


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
    return programs(parse("cnn", {"base": {**base, **options}, "study": [{"grid": RATES}]}), tile_replicas=2)[0]


@pytest.mark.parametrize("made", [wide, pytest.param(cnn, marks=pytest.mark.slow)])
def test_what_is_counted_is_not_far_from_what_is_compiled(made):
    program = made()
    compiled = memory.compiled_bytes(program, local_places(1)[0])
    assert compiled / 4 < memory.planned_bytes(program) < compiled * 4


def test_the_count_has_every_replica_and_the_one_data_set():
    program = wide()
    one, two, three = (memory.planned_bytes(replace(program, shape=(1, width))) for width in (1, 2, 3))
    assert three - two == two - one > 0
    assert one - (two - one) == program.material.bytes


def test_the_count_has_a_convolutions_positions():
    """Units times pixels of each convolution, not its units alone."""
    pixels = 16 * 8 * 8 + 32 * 4 * 4
    more = memory.planned_bytes(cnn(batch_size=512)) - memory.planned_bytes(cnn())
    assert more > 2 * 3 * 4 * 256 * pixels  # two replicas


def test_where_there_is_plenty_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(sweep, "lowered", None)
    program, sizes = wide(), TileSizes(local_places(2), limit=2**40)
    sizes.fit([program])
    assert sizes.chain(program) == [program]
    assert (sizes.entry(program)["how"], sizes.entry(program)["free_bytes"]) == ("arithmetic", 2**40)


@pytest.fixture
def known_cost(monkeypatch):
    """Programs that take 100 bytes and 10 a replica, 5 in micro-batches."""

    def known(program):
        return 100 + program.tile_replicas * (10 if program.settings.micro_batches == 1 else 5)

    monkeypatch.setattr(memory, "planned_bytes", known)


@pytest.mark.parametrize(
    ("limit", "shape", "micro_batches"),
    [(150, (1, 5), 1), (149, (1, 3), 1), (129, (1, 2), 1), (119, (1, 1), 1), (105, (1, 1), 2)],
)
def test_tiles_are_halved_until_they_fit(known_cost, caplog, limit, shape, micro_batches):
    program, sizes = wide(batch_size=128), TileSizes(local_places(2), limit=limit)
    with caplog.at_level(logging.INFO, "jaxcompare"):
        sizes.fit([program])
    current = sizes.chain(program)[-1]
    assert (current.shape, current.settings.micro_batches) == (shape, micro_batches)
    assert sizes.entry(program)["planned_bytes"] <= limit
    assert all(v.settings.micro_batches == micro_batches for tile in current.tiles for v in tile.variants)
    assert ("in place of 1 x 5 replicas" in caplog.text) == (shape != (1, 5))


def test_one_replica_that_does_not_fit_is_an_error_that_names_what_it_needs(known_cost):
    message = (
        r"tiny: study 'main': hidden = \[64, 64\] does not fit: .*105 bytes with micro_batches = \d+.*104 bytes is free"
    )
    with pytest.raises(ConfigError, match=message):
        TileSizes(local_places(2), limit=104).fit([wide(batch_size=128, probe_size=1, train_subset=1)])


def test_a_tile_is_used_again_on_later_runs(known_cost, tmp_path, caplog):
    path, program = tmp_path / "tiles.json", wide()
    sizes = TileSizes(local_places(2), limit=129, path=path)
    sizes.fit([program])
    sizes.save()
    assert [one["tile"] for one in json.loads(path.read_text())["tiles"].values()] == [[1, 2]]
    again = TileSizes(local_places(2), limit=129, path=path)
    with caplog.at_level(logging.INFO, "jaxcompare"):
        again.fit([wide()])
    assert "as before" in caplog.text
    assert again.chain(wide())[-1].shape == (1, 2)
    assert again.entries == sizes.entries
    assert TileSizes(local_places(2), limit=129, path=path, blank=True).entries == {}
    path.write_text("damaged")
    assert TileSizes(local_places(2), limit=129, path=path).entries == {}


@pytest.mark.usefixtures("quick_compilation")
def test_running_out_of_memory_halves_the_tile_and_goes_on(monkeypatch, tmp_path, caplog):
    """What was measured stays, in its own shape; every replica is there once, as if nothing had happened."""
    made, attempts, original = comparison(grid=RATES, seeds=2, hidden=[8]), [], training.train_tile

    def exhausted(tile, *given):
        """A device that holds two replicas, and says so from the second tile on."""
        attempts.append(tile)
        if tile.program.tile_replicas > 2 and len(attempts) > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes.")
        return original(tile, *given)

    monkeypatch.setattr(training, "train_tile", exhausted)
    tiles, path, one = TileCache(tmp_path / "parts", "cpu"), tmp_path / "tiles.json", local_places(1)

    def trained():
        planned, sizes = programs(made, tile_replicas=5), TileSizes(one, path=path)
        sizes.fit(planned)
        assert all((len(sizes.chain(program)) == 1) == (not attempts) for program in planned)
        return train(made, planned, places=one, tiles=tiles, sizes=sizes)

    with caplog.at_level(logging.INFO, "jaxcompare"):
        found = trained().frames
    monkeypatch.setattr(training, "train_tile", original)
    expected = train(made, programs(made, tile_replicas=2), places=one).frames
    assert "tiles of 1 x 3 replicas" in caplog.text
    assert (
        "tiles of 1 x 2 replicas (seeds x variants) in place of 1 x 5 replicas (seeds x variants): memory ran out"
        in caplog.text
    )
    assert list(found["replicas"]["replica_id"]) == list(expected["replicas"]["replica_id"])
    np.testing.assert_allclose(found["history"]["test_loss"], expected["history"]["test_loss"], rtol=1e-3, atol=1e-4)
    assert len(list(tiles.folder.iterdir())) == 1 + 3  # one tile of five, then 2, 1 and 2 replicas
    monkeypatch.setattr(training, "train_tile", None)  # a later run finds all of them, in either shape
    assert len(trained().frames["replicas"]) == 10


def test_a_program_that_says_more_when_it_is_compiled_is_halved_before_it_runs(monkeypatch):
    program, one = wide(hidden=[8]), local_places(1)
    needed = PROGRAMS.get(memory.smaller(program), one[0])[0].memory.total
    monkeypatch.setattr(memory, "planned_bytes", lambda program: 1)
    sizes = TileSizes(one, limit=needed + 1000)
    sizes.fit([program])
    current, compiled, _ = training.compiled(program, resources(one, sizes=sizes), one[0])
    assert current.shape in ((1, 3), (1, 2))
    assert compiled.memory.total <= needed + 1000
    assert sizes.entry(program)["how"] == "compiled"


def test_other_errors_are_not_taken_for_it():
    assert training.out_of_memory(MemoryError())
    assert training.out_of_memory(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"))
    assert not training.out_of_memory(jax.errors.JaxRuntimeError("INVALID_ARGUMENT: shapes"))
    assert not training.out_of_memory(ValueError("RESOURCE_EXHAUSTED"))
    program, sizes = wide(batch_size=1), TileSizes(local_places(1))
    sizes.fit([program])
    for _ in range(3):  # tiles of 3, 2 and 1 replicas
        sizes.lower(program, "memory ran out")
    with pytest.raises(ConfigError, match="memory ran out with one replica at a time and micro_batches = 1: no room"):
        sizes.lower(program, "memory ran out", error=MemoryError("no room"))
