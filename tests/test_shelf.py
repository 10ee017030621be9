"""Compiled programs kept on disk: what is loaded gives the same bits, and only what was made from the same is loaded."""

import jax
import numpy as np
import pytest
from problems import comparison, plans

from jaxcompare import assemble, store, sweep, trainer
from jaxcompare.shelf import ProgramStore

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


def test_a_program_from_the_shelf_is_not_compiled_and_gives_the_same_bits(tmp_path, monkeypatch):
    made, where = plan_of(21), mesh()
    _, first = trained(made, where, ProgramStore(tmp_path, where))
    assert len(files(tmp_path)) == 1
    monkeypatch.setattr(sweep, "build", lambda blueprint: pytest.fail("it was compiled again"))
    second_trainer, second = trained(made, where, ProgramStore(tmp_path, where))
    assert second_trainer.executables.memory is not None
    for one, other in zip(first, second, strict=True):
        one.pop("timing", None), other.pop("timing", None)
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_longer_training_and_another_data_set_of_the_shape_share_a_program(tmp_path):
    where = mesh()
    shelf = ProgramStore(tmp_path, where)
    made = plan_of(22, epochs=2)
    shelf.get(made)
    shelf.put(made, sweep.build(trainer.blueprint(made, where)))
    assert ProgramStore(tmp_path, where).get(plan_of(22, epochs=2, evaluate_every=2)) is not None
    assert ProgramStore(tmp_path, where).get(plan_of(22, epochs=2, dataset="circles")) is not None


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
    import os

    old, young = tmp_path / "old.program", tmp_path / "young.program"
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    ProgramStore(tmp_path, mesh())
    assert not old.exists()
    assert young.exists()


def test_tiles_are_cut_to_speed_and_assemble_says_how():
    """A network beyond 20,000 parameters trains alone on a CPU device."""
    assert assemble.tile_replicas(plan_of(30).program.settings, 2, 2, "cpu") == 6
    assert assemble.tile_replicas(plan_of(200, batch_size=16).program.settings, 784, 10, "cpu") == 1
