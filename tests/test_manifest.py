"""What a manifest says of the device: driver, CUDA and memory where there are any."""

from types import SimpleNamespace

import jax

from jaxcompare.execution import manifest
from jaxcompare.report.environment import environment
from jaxcompare.words import ENGLISH


def gpu(version="PJRT C API\ncuda 12090", **statistics):
    client = SimpleNamespace(platform_version=version)
    return SimpleNamespace(platform="gpu", client=client, memory_stats=lambda: statistics or None)


def test_driver_and_cuda_are_read(tmp_path):
    told = tmp_path / "proc" / "driver" / "nvidia" / "version"
    told.parent.mkdir(parents=True)
    told.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build\nGCC version: 12.2.0"
    )
    assert manifest.software(gpu(), tmp_path) == {"driver": "570.133.20", "cuda": "12.9"}
    assert manifest.software(gpu("something else"), tmp_path / "none") == {"driver": None, "cuda": None}
    assert manifest.software(jax.devices("cpu")[0]) == {"driver": None, "cuda": None}


def test_memory_is_that_of_the_fullest_device_or_not_known():
    devices = [gpu(bytes_limit=100, peak_bytes_in_use=30), gpu(bytes_limit=100, peak_bytes_in_use=70)]
    assert manifest.device_memory(devices) == {"limit": 100, "peak": 70}
    assert manifest.device_memory([*devices, gpu()]) is None
    host = manifest.host_memory()
    assert host is None or 0 < host["peak"] < host["limit"]


def environment_of(**device):
    blocks = environment(ENGLISH, {"a": {"device": {"kind": "x", **device}}}, {"a": "A"})
    return dict(blocks[1].rows)


def test_the_environment_says_what_there_is_and_what_there_is_not():
    told = environment_of(platform="gpu", driver="570.1", cuda="12.9", memory={"limit": 2**30, "peak": 2**20})
    assert (told["driver"], told["CUDA"]) == ("570.1", "12.9")
    assert told["device memory"] == "1 GiB in total; at most 1 MiB used"
    told = environment_of(platform="gpu", driver=None, cuda=None, memory=None, host_memory=None)
    assert set(told.values()) == {"kind x, platform gpu", "not measured"}
    told = environment_of(platform="cpu", driver=None, cuda=None, memory=None, host_memory={"limit": 2**30})
    assert told["driver"] == told["CUDA"] == "not used"
    assert told["machine memory"] == "1 GiB in total"
    assert "device memory" not in told
    assert "driver" not in environment_of(platform="cpu")  # a manifest from before it was recorded
