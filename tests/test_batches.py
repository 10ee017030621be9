"""`batch_size = "auto"`: what it comes to, that it is said, and where it cannot stand."""

import logging

import pytest
from problems import BASE, comparison

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.overrides import parse_assignment
from jaxcompare.config.parse import parse
from jaxcompare.config.settings import AUTO
from jaxcompare.data import loading
from jaxcompare.execution import compare, manifest
from jaxcompare.execution.places import local_places
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.planning import batches, memory


def devices():
    return local_places(2)


def resolve(made, limit, chosen=None):
    return batches.resolve(made, loading.load_datasets([made]), devices(), limit=limit, chosen=chosen)


def sizes(made):
    return [variant.settings.batch_size for study in made.studies for variant in study.variants]


@pytest.fixture
def a_byte_an_example(monkeypatch):
    """A replica takes as many bytes as its micro-batch has examples, twice that with AdamW."""

    def known(program, place=None):
        del place
        settings = program.settings
        each = 2 if settings.optimizer == "adamw" else 1
        return each * settings.batch_size // settings.micro_batches

    monkeypatch.setattr(memory, "compiled_bytes", known)
    monkeypatch.setattr(memory, "planned_bytes", lambda program: 2 * known(program))


@pytest.mark.parametrize(("limit", "size"), [(2**40, 256), (128, 128), (127, 64), (1, 1)])
def test_the_largest_power_of_two_that_fits(a_byte_an_example, caplog, limit, size):
    """At most the 270 training examples. What comes of it is as if the number had stood in the config."""
    with caplog.at_level(logging.INFO, "jaxcompare"):
        made, (note,) = resolve(comparison(batch_size="auto"), limit)
    assert set(sizes(made)) == {size}
    assert made == comparison(batch_size=size)
    assert (note["key"], note["value"], note["dataset"]) == ("batch_size", size, "moons")
    told = caplog.text
    assert f'batch_size = "auto" is {size} on moons' in told
    assert "Batch size changes training itself" in told


def test_there_is_a_largest_size_however_much_there_is(monkeypatch, a_byte_an_example):
    monkeypatch.setattr(batches, "LARGEST", 32)
    assert set(sizes(resolve(comparison(batch_size="auto"), 2**40)[0])) == {32}


def test_micro_batches_make_room_for_a_larger_batch(a_byte_an_example):
    assert set(sizes(resolve(comparison(batch_size="auto", micro_batches=4), 16)[0])) == {64}


def test_variants_of_a_study_get_one_size_and_data_sets_their_own(a_byte_an_example):
    grid = {"optimizer": ["sgd", "adamw"], "dataset": ["moons", "digits"]}
    base = {key: value for key, value in BASE.items() if key not in ("samples", "test_samples")}
    made = parse("x", {"base": {**base, "batch_size": "auto"}, "study": [{"grid": grid}]})
    found = {v.settings.dataset: v.settings.batch_size for v in resolve(made, 2**40)[0].studies[0].variants}
    assert found == {"moons": 1024, "digits": 1024}
    assert set(sizes(resolve(made, 100)[0])) == {32}  # AdamW takes 64 of 100 bytes then


def test_a_size_is_used_again_and_a_grid_of_numbers_goes_before_auto(a_byte_an_example, tmp_path):
    kept = TileSizes(devices(), path=tmp_path / "tiles.json")
    resolve(comparison(batch_size="auto"), 64, kept.batches)
    kept.save()
    kept = TileSizes(devices(), path=tmp_path / "tiles.json")
    assert list(kept.batches.values()) == [64]
    made = comparison(grid={"batch_size": [16, 32]}, batch_size="auto")
    assert resolve(made, 64) == (made, [])


@pytest.mark.usefixtures("quick_compilation")
def test_a_comparison_trains_with_it(a_byte_an_example, monkeypatch):
    monkeypatch.setattr(memory, "planned_bytes", lambda program: 1)
    config = {"base": {**BASE, "batch_size": "auto", "epochs": 1, "seeds": 1}, "study": [{"grid": {"loss": ["mse"]}}]}
    found = compare.compare(config)["replicas"]
    assert list(found["batch_size"]) == [256]
    assert list(found["steps_per_epoch"]) == [1]


def test_the_manifest_says_the_number(a_byte_an_example):
    made, _ = resolve(comparison(batch_size="auto"), 64)
    assert manifest.resolved(made)["study"][0]["base"]["batch_size"] == 64


def test_where_auto_cannot_stand_is_said():
    assert sizes(comparison(batch_size=parse_assignment("base.batch_size=auto")[1]))[0] == AUTO
    with pytest.raises(ConfigError, match=r'grid.batch_size = \[64, .auto.\]: "auto" cannot be in a grid'):
        comparison(grid={"batch_size": [64, "auto"]})
    with pytest.raises(ConfigError, match=r"micro_batches = 3 is not a power of two, as batch_size = .auto. will be"):
        comparison(batch_size="auto", micro_batches=3)
    with pytest.raises(ConfigError, match="batch_size = 'Auto' is not a whole number, or \"auto\""):
        comparison(batch_size="Auto")
    with pytest.raises(ConfigError, match=r'batch_size = 0 is out of range; .* at least 1 and at most \d+, or "auto"'):
        comparison(batch_size=0)
    with pytest.raises(ConfigError, match="epochs = 'auto' is not a whole number"):
        comparison(epochs="auto")
