"""Compiled programs kept on disk: what is loaded gives the same bits, and only what was made from the same is loaded."""

import os
import random

import jax
import numpy as np
import pytest
from problems import comparison, programs, quickly_compiled, resources, trained_tiles

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
    assert [entry.serialized for entry in cache.entries.values()] == [None]


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


def flipped(content, place):
    return content[: place // 8] + bytes([content[place // 8] ^ 1 << place % 8]) + content[place // 8 + 1 :]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A program, with the folder and content of its file; tests damage the file and put the content back."""
    folder = tmp_path_factory.mktemp("sound")
    with quickly_compiled():
        made = program_of(27)
        ProgramCache(folder).get(made, place())
        (path,) = files(folder)
        return made, path, path.read_bytes()


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_anywhere_is_noticed_before_a_byte_is_used(sound, seed, monkeypatch, caplog):
    _, path, content = sound
    monkeypatch.setattr(program_cache.pickle, "loads", lambda *_: pytest.fail("it was used"))
    path.write_bytes(flipped(content, random.Random(seed).randrange(8 * len(content))))
    cache = ProgramCache(path.parent)
    assert cache._load(path, cache._entry("any"), place()) is None
    assert not path.exists()
    assert caplog.text.count("damaged") >= 1
    assert len(caplog.records) == 1


def test_a_damaged_file_is_set_aside_once_and_the_program_compiled_again(sound, monkeypatch, caplog):
    made, path, content = sound
    path.write_bytes(content[:1000])
    assert ProgramCache(path.parent).get(made, place())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content[:1000]
    monkeypatch.setattr(program_cache, "lowered", fail_to_compile)
    assert ProgramCache(path.parent).get(made, place())
    assert len(caplog.records) == 1


def test_a_file_under_another_key_is_left_alone(sound, monkeypatch, tmp_path, caplog):
    """That of another host, whose home is another one."""
    made, path, content = sound
    path.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(program_cache, "cache_folder", lambda: tmp_path)
        assert ProgramCache(path.parent).get(made, place())
        assert len(files(path.parent)) == 2
        (stranger,) = set(files(path.parent)) - {path}
        path.replace(stranger)
        path.write_bytes(content)
        patch.setattr(program_cache.pickle, "loads", lambda *_: pytest.fail("it was used"))
        assert ProgramCache(path.parent).get(made, place())  # a file that somebody named as ours
    assert "damaged" in caplog.text
    assert path.read_bytes() == content
    stranger.unlink()


def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch, caplog):
    made = program_of(44)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert trained(made, place(), ProgramCache(tmp_path))
    assert files(tmp_path) == []
    assert [record.message for record in caplog.records] == [
        f"compiled programs are not kept in {tmp_path}: {tmp_path} belongs to another user (number {os.getuid()})"
    ]


def test_without_a_key_programs_are_not_kept(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(program_cache, "cache_folder", lambda: None)
    assert ProgramCache(tmp_path / "programs").folder is None
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(program_cache, "cache_folder", lambda: tmp_path / "file")
    assert ProgramCache(tmp_path / "programs").folder is None
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"compiled programs are not kept in {tmp_path / 'programs'}"
    ] * 2


def test_memory_keeps_the_programs_used_last(monkeypatch):
    first, second, third = (programs(comparison({"learning_rate": [0.1]}, hidden=[width]))[0] for width in (45, 46, 47))
    compiled = []

    def compile(self, program, *_):
        compiled.append(program)
        return [None, None]

    monkeypatch.setattr(ProgramCache, "_compile", compile)
    monkeypatch.setattr(sweep, "memory_of", lambda _: None)
    cache, where = ProgramCache(most=2), place()
    for program in (first, second, first, third, first, second):
        cache.get(program, where)
    assert compiled == [first, second, third, second]
    assert len(cache.entries) == 2


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
    old, young = tmp_path / "old.1234.program", tmp_path / "young.1234.program"
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    ProgramCache(tmp_path)
    assert not old.exists()
    assert young.exists()
