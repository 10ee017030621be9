"""How devices are shared out, from the command line's words to a mesh."""

import os
import subprocess
import sys

import jax
import pandas as pd
import pytest

from jaxcompare import compare
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.settings import Settings
from jaxcompare.engine import sweep
from jaxcompare.execution import devices
from jaxcompare.execution.devices import MeshShape, parse_mesh


@pytest.mark.parametrize(
    ("text", "shape"),
    [("replica=4,data=2", (4, 2)), ("data=2", (None, 2)), ("replica=3", (3, 1)), ("data=1, replica=1", (1, 1))],
)
def test_a_mesh_is_read(text, shape):
    assert parse_mesh(text) == MeshShape(*shape)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("replicas=4", "no axis 'replicas'; did you mean replica?"),
        ("data=0", "data = '0' is not a whole number of at least 1"),
        ("replica=two", "replica = 'two'"),
        ("data=2,data=2", "data is given twice"),
        ("", "no axis ''"),
    ],
)
def test_a_mesh_that_cannot_be_is_an_error(text, message):
    with pytest.raises(ConfigError, match="--mesh") as caught:
        parse_mesh(text)
    assert message in str(caught.value)


def test_jax_that_has_started_keeps_its_devices(monkeypatch, caplog):
    count = len(jax.local_devices())
    monkeypatch.setattr(devices, "usable_cores", lambda: count + 3)
    with caplog.at_level("INFO"):
        assert devices.start_jax() is jax
    assert f"uses the devices that there are ({count})" in caplog.text
    assert len(jax.local_devices()) == count


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"JAX_PLATFORMS": "cuda"}, "JAX_PLATFORMS=cuda: "),
        ({"JAX_PLATFORMS": "banana"}, "JAX_PLATFORMS=banana: Unable to initialize backend 'banana'"),
        ({"JAX_ENABLE_X64": "banana"}, "JAX cannot be imported: invalid truth value 'banana'"),
    ],
    ids=str,
)
def test_devices_that_are_not_there_are_one_line(variables, message, tmp_path):
    if variables.get("JAX_PLATFORMS") == "cuda" and jax.default_backend() != "cpu":
        pytest.skip("there is a GPU")
    (tmp_path / "tiny.toml").write_text('[base]\ndataset = "moons"\n[[study]]\n[study.grid]\nlearning_rate = [0.1]\n')
    command = [sys.executable, "-m", "jaxcompare.run", "--exp", "tiny.toml", "--out", "out"]

    def ran(*more):
        given = {"cwd": tmp_path, "env": os.environ | variables, "capture_output": True, "text": True}
        return subprocess.run([*command, *more], check=False, **given)

    done = ran()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"jaxcompare: error: {message}")
    assert not (tmp_path / "out").exists()
    if "JAX_PLATFORMS" in variables:
        assert ran("--list").returncode == 0


def test_checks_for_nan_and_infinity_end_no_healthy_run(quick_compilation):
    """NaN marks what was not measured, infinity is a norm without a limit, and divergence is a result."""
    base = {
        "dataset": "moons",
        "samples": 100,
        "hidden": [4],
        "epochs": 4,
        "seeds": 1,
        "batch_size": 16,
        "activation": "tanh",
    }
    config = {"base": base, "study": [{"grid": {"learning_rate": [0.1, 1e6], "loss": ["mse_logits"]}}]}
    plain = compare(config)
    for name in ("jax_debug_nans", "jax_debug_infs"):
        jax.config.update(name, True)
    try:
        checked = compare(config)
    finally:
        for name in ("jax_debug_nans", "jax_debug_infs"):
            jax.config.update(name, False)
    pd.testing.assert_frame_equal(checked["history"], plain["history"], check_exact=True)
    assert list(plain["replicas"]["first_nonfinite_step"].notna()) == [False, True]


def test_batches_fall_into_equal_parts():
    devices.check_batches(MeshShape(1, 4), [Settings(batch_size=128)])
    with pytest.raises(ConfigError, match="batch_size = 130 is not a multiple of 4"):
        devices.check_batches(MeshShape(1, 4), [Settings(batch_size=128), Settings(batch_size=130)])


def test_the_mesh_is_over_the_devices_that_there_are():
    count = len(jax.local_devices())
    assert sweep.tiles_at_once(devices.make_mesh(devices.EVERY_DEVICE)) == count
    mesh = devices.make_mesh(MeshShape(None, 2))
    assert dict(mesh.shape) == {"replica": count // 2, "data": 2}
    assert devices.make_mesh(MeshShape(1, 2)).size == 2
    for shape in (MeshShape(count, 2), MeshShape(None, count + 1)):
        with pytest.raises(ConfigError, match=f"there are {count}"):
            devices.make_mesh(shape)
