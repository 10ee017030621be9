import atexit
import contextlib
import os
import shutil
import tempfile

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers are given their session's folder
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="jaxcompare-tests-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import jax  # after that: JAX reads where to keep what it compiles as it is imported
import pytest
from problems import dots, quickly_compiled

# Before JAX starts: tests of tiles need more than one device, whatever the machine.
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_platforms", "cpu")
# What is compiled is shared by a session's workers, tests and the processes that they start; the user's is left alone.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


class Examples:
    """Those of docstrings, too, are of what becomes of numbers; no fixture of this folder reaches them."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        with quickly_compiled() if isinstance(item, pytest.DoctestItem) else contextlib.nullcontext():
            return (yield)


def pytest_configure(config):
    config.pluginmanager.register(Examples())


@pytest.fixture
def quick_compilation():
    """For tests of what becomes of numbers, not of the numbers."""
    with quickly_compiled():
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """For tests of all but pictures: they are dots."""
    monkeypatch.setattr("jaxcompare.report.draw_all", dots)
