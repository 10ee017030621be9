"""Compiled programs kept on disk: what is loaded gives the same bits, and only what was made from the same is loaded."""

import os

import jax
import numpy as np
import pytest
from problems import comparison, programs, resources, trained_tiles

from jaxcompare.engine import sweep
from jaxcompare.execution import program_cache
from jaxcompare.execution.places import local_places
from jaxcompare.execution.program_cache import ProgramCache

pytestmark = pytest.mark.usefixtures("quick_compilation")


def place(index=0, data=1):
    return local_places(index + 1, data=data)[index]


def program_of(width, **base):
    """Of a width that no other test has: what JAX's own cache holds is not kept."""
    return programs(comparison({"learning_rate": [0.1, 0.3]}, hidden=[width], seeds=1, **base))[0]


def trained(program, where, cache):
    return [arrays for _, arrays in trained_tiles(program, resources([where], compiled=cache))]


def files(folder):
    return sorted(folder.glob("*.program"))


def fail_to_compile(*_, **__):
    pytest.fail("it was compiled again")


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"timing"}:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize(
    ("width", "options", "data"),
    [(21, {}, 1), (35, {"precision": "float16", "optimizer": "adamw"}, 1), (36, {}, 2)],
    ids=["float32", "float16", "two devices a tile"],
)
def test_a_program_from_disk_is_not_compiled_and_gives_the_same_bits(width, options, data, tmp_path, monkeypatch):
    made, where = program_of(width, **options), place(data=data)
    first_cache = ProgramCache(tmp_path)
    first = trained(made, where, first_cache)
    assert len(files(tmp_path)) == 1
    monkeypatch.setattr(program_cache, "lowered", fail_to_compile)
    second_cache = ProgramCache(tmp_path)
    assert_same_bits(trained(made, where, second_cache), first)
    assert second_cache.get(made, where)[0].memory == first_cache.get(made, where)[0].memory


@pytest.mark.parametrize(
    ("width", "change"),
    [(22, {"epochs": 60, "evaluate_every": 7}), (39, {"dataset": "circles"}), (40, {"data_seed": 5})],
)
def test_what_shares_a_program_finds_it_and_trains_as_if_compiled_for_it(width, change, tmp_path, monkeypatch):
    where = place()
    made, other = (
        program_of(width, epochs=51),
        program_of(width, **{"epochs": 51, **change}),
    )  # 50 epochs' ends a segment
    trained(made, where, ProgramCache(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(program_cache, "lowered", fail_to_compile)
        found = trained(other, where, ProgramCache(tmp_path))
    assert_same_bits(found, trained(other, where, ProgramCache()))


@pytest.mark.parametrize(
    ("width", "change"),
    [(31, {"batch_size": 16}), (32, {"optimizer": "adamw"}), (33, {"hidden": [24]}), (34, {"samples": 400})],
)
def test_another_program_is_not_found(width, change):
    cache, where = ProgramCache(), place()
    other = programs(comparison({"learning_rate": [0.1, 0.3]}, **{"hidden": [width], "seeds": 1, **change}))[0]
    assert cache.key(program_of(width), where) == cache.key(program_of(width), where) != cache.key(other, where)


def test_other_code_configuration_or_devices_find_nothing(monkeypatch):
    made = program_of(25)
    keys = [ProgramCache().key(made, place()), ProgramCache().key(made, place(data=2))]
    with monkeypatch.context() as patch:
        patch.setattr(program_cache, "code_digest", lambda: "other")
        keys.append(ProgramCache().key(made, place()))
    cache = ProgramCache()
    with jax.default_matmul_precision("bfloat16"):
        keys.append(cache.key(made, place()))  # of one cache: programs under other flags are other entries
    assert cache.key(made, place()) == keys[0]
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    keys.append(cache.key(made, place()))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("width", "data"), [(26, 1), (30, 2)])
@pytest.mark.parametrize("one_client", [False, True])
def test_a_program_is_compiled_once_for_all_places(width, data, one_client, monkeypatch):
    made, cache = program_of(width + one_client), ProgramCache()
    every = local_places(3, data=data)
    if one_client:  # as GPUs are
        every = [sweep.place_of(jax.devices()[index * data :][:data]) for index in range(3)]
    first = trained(made, every[0], cache)
    monkeypatch.setattr(program_cache, "lowered", fail_to_compile)
    for other in every[1:]:
        assert_same_bits(trained(made, other, cache), first)


def test_what_cannot_be_serialized_is_compiled_for_each_place(monkeypatch):
    made, cache = program_of(43), ProgramCache()
    monkeypatch.setattr(program_cache.serialize_executable, "serialize", lambda *_: 1 / 0)
    first, second = (trained(made, place(index), cache) for index in range(2))
    assert_same_bits(first, second)
    assert cache.serialized == {}


def test_what_cannot_be_read_now_stays_and_what_cannot_be_kept_is_not(tmp_path, monkeypatch):
    made, where = program_of(37), place()
    trained(made, where, ProgramCache(tmp_path))
    (path,) = files(tmp_path)

    def refuse(*_, **__):
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr("os.utime", refuse)
        patch.setattr(program_cache, "lowered", fail_to_compile)
        assert ProgramCache(tmp_path).get(made, where)
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "read_bytes", refuse)
        assert ProgramCache(tmp_path).get(made, where)  # compiled
    assert files(tmp_path) == [path]
    monkeypatch.setattr(program_cache, "write_atomically", refuse)
    assert trained(program_of(38), where, ProgramCache(tmp_path))
    assert files(tmp_path) == [path]


def test_a_damaged_file_is_removed_and_the_program_compiled_again(tmp_path):
    made, where = program_of(27), place()
    trained(made, where, ProgramCache(tmp_path))
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    assert ProgramCache(tmp_path)._load(path, path.stem, where) is None
    assert files(tmp_path) == []
    assert trained(made, where, ProgramCache(tmp_path))


def test_custom_functions_are_kept_in_memory_alone(tmp_path):
    made, where = programs(comparison({"activation": ["jax.numpy:tanh"]}, hidden=[28], seeds=1))[0], place()
    cache = ProgramCache(tmp_path)
    trained(made, where, cache)
    assert files(tmp_path) == []
    assert cache.get(made, where)[1] == 0.0


def test_without_a_folder_programs_live_as_long_as_the_cache(monkeypatch):
    made, where, cache = program_of(29), place(), ProgramCache()
    compiled, seconds = cache.get(made, where)
    assert seconds > 0
    monkeypatch.setattr(program_cache, "lowered", fail_to_compile)
    assert cache.get(made, where) == (compiled, 0.0)


def test_what_was_not_used_for_long_is_removed(tmp_path):
    old, young = tmp_path / "old.program", tmp_path / "young.program"
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    ProgramCache(tmp_path)
    assert not old.exists()
    assert young.exists()
