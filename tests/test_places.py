"""Where tiles train: from the command line's words to places, whose bits do not depend on what else there is."""

import os
import socket
import subprocess
import sys

import jax
import pandas as pd
import pytest

from jaxcompare import compare
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.request import MeshShape, parse_mesh
from jaxcompare.config.settings import Settings
from jaxcompare.execution import places
from jaxcompare.execution.places import local_places


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
    places.check_batches(4, [Settings(batch_size=128)])
    with pytest.raises(ConfigError, match="batch_size = 130 is not a multiple of 4"):
        places.check_batches(4, [Settings(batch_size=128), Settings(batch_size=130)])


def test_a_cpu_has_a_place_a_core_and_each_place_its_own_devices(monkeypatch):
    monkeypatch.setattr(places, "usable_cores", lambda: 5)
    assert [place.size for place in local_places()] == [1] * 5
    assert [place.size for place in local_places(data=2)] == [2] * 3
    made = local_places(3, data=2)
    assert len({device.client for place in made for device in place.devices.flat}) == 3
    assert local_places(3, data=2) == made  # a process makes each once
    assert "PJRT_NPROC" not in os.environ


JOINED = """
import jax, sys
jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
from jaxcompare import run
sys.exit(run.main(["--exp", "b", "--quick", "--out", "out"]))
"""


def test_a_run_under_jax_distributed_is_an_error_that_says_so(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", JOINED, address, str(n)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        for n in range(2)
    ]
    for one in both:
        said = one.communicate(timeout=120)[1]
        assert one.returncode == 2, said
        assert "jax.distributed has joined 2 processes" in said
    assert not (tmp_path / "out").exists()


class Device:
    platform = device_kind = "gpu"


def test_other_devices_are_shared_out(monkeypatch):
    devices = [Device() for _ in range(5)]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    monkeypatch.setattr("jaxcompare.engine.sweep.place_of", list)
    assert local_places() == [[device] for device in devices]
    assert local_places(data=2) == [devices[:2], devices[2:4]]
    assert local_places(1, data=2) == [devices[:2]]
    for count, data in ((5, 2), (None, 6)):
        with pytest.raises(ConfigError, match=r"needs \d+ devices; there are 5 \(gpu\)"):
            local_places(count, data=data)


# The products of 512 examples are cut by the number of threads, where XLA has a choice; so is float16 on two features.
TRAINED = """
import jax, sys
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
from jaxcompare import compare
base = {"dataset": "moons", "samples": 1100, "hidden": [64, 64], "batch_size": 512, "epochs": 3, "seeds": 2}
frames = compare({"base": base, "study": [{"grid": {"precision": ["float32", "float16"]}}]})
print(frames["history"].drop(columns="replica_id").to_csv())
"""


@pytest.mark.parametrize(("devices", "threads"), [(1, None), (2, "16"), (3, None), (8, "2")])
def test_bits_depend_neither_on_the_number_of_devices_nor_on_the_number_of_cores(devices, threads, trained_alone):
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"} | ({"PJRT_NPROC": threads} if threads else {})
    done = subprocess.run(
        [sys.executable, "-c", TRAINED, str(devices)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == trained_alone


@pytest.fixture(scope="module")
def trained_alone():
    return subprocess.run([sys.executable, "-c", TRAINED, "4"], capture_output=True, text=True).stdout
