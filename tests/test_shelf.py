"""Compiled programs kept on disk: what is loaded gives the same bits, and only what was made from the same is loaded."""

import os

import jax
import numpy as np
import pytest
from problems import comparison, plans

from jaxcompare.engine import sweep
from jaxcompare.execution import store, trainer
from jaxcompare.execution.program_cache import ProgramStore

pytestmark = pytest.mark.usefixtures("quick_compilation")


def mesh(devices=2):
    return sweep.local_mesh(jax.devices()[:devices])


def plan_of(width, **base):
    """Of a width that no other test has: what JAX's own cache holds is not put on the shelf."""
    return plans(comparison({"learning_rate": [0.1, 0.3]}, hidden=[width], seeds=1, **base))[0]


def trained(made, where, shelf):
    job = trainer.prepare([made], where, trainer.Forgetful(), shelf=shelf)[0]
    return job.trainer, [one.arrays for one in trainer.train_job(job, trainer.Forgetful(), lambda tick: None)]


def files(folder):
    return sorted(folder.glob("*.program"))


@pytest.mark.parametrize(
    ("width", "options", "data"),
    [(21, {}, 1), (35, {"precision": "float16", "optimizer": "adamw"}, 1), (36, {}, 2)],
    ids=["float32", "float16", "two devices a tile"],
)
def test_a_program_from_the_shelf_is_not_compiled_and_gives_the_same_bits(width, options, data, tmp_path, monkeypatch):
    made, where = plan_of(width, **options), sweep.local_mesh(jax.devices()[: 2 * data], data=data)
    first_trainer, first = trained(made, where, ProgramStore(tmp_path, where))
    assert len(files(tmp_path)) == 1
    monkeypatch.setattr(sweep, "build", lambda blueprint: pytest.fail("it was compiled again"))
    second_trainer, second = trained(made, where, ProgramStore(tmp_path, where))
    assert second_trainer.executables.memory == first_trainer.executables.memory
    for one, other in zip(first, second, strict=True):
        one.pop("timing", None), other.pop("timing", None)
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize(
    ("width", "change"),
    [(22, {"epochs": 60, "evaluate_every": 7}), (39, {"dataset": "circles"}), (40, {"data_seed": 5})],
)
def test_what_shares_a_program_finds_it_and_trains_as_if_compiled_for_it(width, change, tmp_path):
    where = mesh()
    made, other = plan_of(width, epochs=51), plan_of(width, **{"epochs": 51, **change})  # 50 epochs' ends a segment
    trained(made, where, ProgramStore(tmp_path, where))
    assert ProgramStore(tmp_path, where).get(other) is not None
    found = trained(other, where, ProgramStore(tmp_path, where))[1]
    sweep._COMPILED.clear()
    for one, same in zip(found, trained(other, where, None)[1], strict=True):
        for name in one.keys() - {"timing"}:
            np.testing.assert_array_equal(one[name], same[name])


@pytest.mark.parametrize(
    ("width", "change"),
    [(31, {"batch_size": 16}), (32, {"optimizer": "adamw"}), (33, {"hidden": [24]}), (34, {"samples": 400})],
)
def test_another_program_is_not_found(tmp_path, width, change):
    where = mesh()
    shelf = ProgramStore(tmp_path, where)
    made = plan_of(width)
    shelf.get(made)
    shelf.put(made, sweep.build(trainer.blueprint(made, where)))
    assert shelf.get(made) is not None
    other = plans(comparison({"learning_rate": [0.1, 0.3]}, **{"hidden": [width], "seeds": 1, **change}))[0]
    assert ProgramStore(tmp_path, where).get(other) is None


def test_other_code_configuration_or_devices_find_nothing(tmp_path, monkeypatch):
    made = plan_of(25)
    names = [ProgramStore(tmp_path, mesh())._path(made), ProgramStore(tmp_path, mesh(1))._path(made)]
    monkeypatch.setattr(store, "code_digest", lambda: "other")
    names.append(ProgramStore(tmp_path, mesh())._path(made))
    with jax.default_matmul_precision("bfloat16"):
        names.append(ProgramStore(tmp_path, mesh())._path(made))
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    names.append(ProgramStore(tmp_path, mesh())._path(made))
    assert len(set(names)) == len(names)


def test_what_jax_had_in_its_cache_is_not_kept(tmp_path):
    made, where = plan_of(26), mesh()
    sweep.build(trainer.blueprint(made, where))  # JAX keeps it, and so
    sweep._COMPILED.clear()
    trained(made, where, ProgramStore(tmp_path, where))
    assert files(tmp_path) == []


def test_what_cannot_be_read_now_stays_and_what_cannot_be_kept_is_not(tmp_path, monkeypatch):
    made, where = plan_of(37), mesh()
    trained(made, where, ProgramStore(tmp_path, where))
    (path,) = files(tmp_path)

    def refuse(*_, **__):
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr("os.utime", refuse)
        assert ProgramStore(tmp_path, where).get(made) is not None
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "read_bytes", refuse)
        assert ProgramStore(tmp_path, where).get(made) is None
    assert files(tmp_path) == [path]
    monkeypatch.setattr("jaxcompare.execution.program_cache.write_atomically", refuse)
    other = plan_of(38)
    assert trained(other, where, ProgramStore(tmp_path, where))[1]


def test_a_damaged_file_is_compiled_anew(tmp_path):
    made, where = plan_of(27), mesh()
    trained(made, where, ProgramStore(tmp_path, where))
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    sweep._COMPILED.clear()
    assert ProgramStore(tmp_path, where).get(made) is None
    assert files(tmp_path) == []
    assert trained(made, where, ProgramStore(tmp_path, where))[1]


def test_functions_of_ones_own_are_not_kept(tmp_path):
    where = mesh()
    made = plans(comparison({"activation": ["jax.numpy:tanh"]}, hidden=[28], seeds=1))[0]
    trained(made, where, ProgramStore(tmp_path, where))
    assert files(tmp_path) == []


def test_without_a_folder_nothing_is_kept():
    made, where = plan_of(29), mesh()
    shelf = ProgramStore(None, where)
    assert trained(made, where, shelf)[1]
    assert shelf.get(made) is None


def test_what_was_not_used_for_long_is_removed(tmp_path):
    old, young = tmp_path / "old.program", tmp_path / "young.program"
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    ProgramStore(tmp_path, mesh())
    assert not old.exists()
    assert young.exists()
