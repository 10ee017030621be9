"""Tiles trained by other processes: the same bits as without, whatever ends while they train."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from types import SimpleNamespace

import jax
import pandas as pd
import pytest
from problems import BASE, comparison, programs, quickly_compiled, resources, train

from jaxcompare import compare
from jaxcompare.config.errors import ConfigError
from jaxcompare.engine import sweep
from jaxcompare.execution import checkpoints, remote
from jaxcompare.execution.compare import train_comparisons
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.training import SILENT
from jaxcompare.execution.workers import Workers, check_cluster, connected

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.usefixtures("quick_compilation")
MADE = {"learning_rate": [0.1, 0.2, 0.3], "dataset": ["moons", "circles"]}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name in expected.keys() - {"timing"}:
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)


class Here(Executor):
    """Trains in a thread of this process, one task after the other."""

    def __init__(self):
        self.lock, self.taken = threading.Lock(), 0

    def submit(self, function, *given, **options):
        future = Future()

        def run():
            with self.lock:
                if not future.set_running_or_notify_cancel():
                    return
                self.taken += 1
                try:
                    future.set_result(self.answer(function, *given))
                except BaseException as error:
                    future.set_exception(error)

        threading.Thread(target=run).start()
        return future

    def answer(self, function, *given):
        return function(*given)


@pytest.fixture(scope="module")
def made():
    found = comparison(MADE, hidden=[8])
    return found, programs(found)


@pytest.fixture(scope="module")
def expected(made):
    with quickly_compiled():
        return train(*made).frames


@pytest.fixture(scope="module")
def two_workers():
    """JAX in the workers is configured as here."""
    before = os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS")
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    with connected("local:2") as workers:
        yield workers
    del os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"]
    if before is not None:
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = before


def remotely(made, workers, callbacks=SILENT, **kept):
    used = replace(resources(**kept), workers=workers)
    return train_comparisons([made[0]], {made[0].name: made[1]}, programs, used, callbacks)[made[0].name].frames


def test_two_workers_give_the_same_bits(made, expected, two_workers):
    shares = []
    found = remotely(made, two_workers, SILENT._replace(trained=lambda name, seconds, kept: shares.append(seconds)))
    assert_same(found, expected)
    planned = sum(program.seconds for program in made[1])
    assert sum(shares) == pytest.approx(planned)
    assert len(shares) > sum(len(program.tiles) for program in made[1])  # by segment, not by tile


def test_a_killed_worker_loses_its_tiles_in_work_alone(made, expected, two_workers):
    client = two_workers.executor._client
    processes, killed, kept = list(client.run(os.getpid).values()), [], []

    def trained(name, seconds, again):
        if not killed:
            killed.append(processes[0])
            os.kill(killed[0], signal.SIGKILL)

    callbacks = SILENT._replace(trained=trained, measured=lambda tile, epochs, arrays: kept.append(tile))
    assert_same(remotely(made, two_workers, callbacks), expected)
    assert killed
    assert len(kept) == sum(len(program.tiles) for program in made[1])  # each came back once


def often():
    """In a worker: short segments, and a checkpoint at the end of each."""
    checkpoints.SECONDS_BETWEEN, checkpoints.SHARE = 0.0, float("inf")
    original = sweep.train_tile
    sweep.train_tile = lambda *given, **options: original(*given, **options, segment_steps=2)


def test_a_tile_goes_on_from_its_checkpoint_on_another_worker(made, expected, two_workers, tmp_path, monkeypatch):
    client = two_workers.executor._client
    processes = list(client.run(os.getpid).values())
    client.run(often)  # the workers that take their places are as ever
    kept, answered, killed = TileCache.put_checkpoint, [], []
    found = TileCache.checkpoint

    def put(tiles, tile, content):
        kept(tiles, tile, content)
        if not killed and checkpoints.from_bytes(content)[0].steps >= 4:
            killed.extend(processes)
            for process in processes:
                os.kill(process, signal.SIGKILL)

    def checkpoint(tiles, tile):
        answered.append(found(tiles, tile))
        return answered[-1]

    monkeypatch.setattr(TileCache, "put_checkpoint", put)
    monkeypatch.setattr(TileCache, "checkpoint", checkpoint)
    assert_same(remotely(made, two_workers, tiles=TileCache(tmp_path)), expected)
    assert killed
    went_on = [checkpoints.from_bytes(content)[0].steps for content in answered if content is not None]
    assert max(went_on) >= 4


def test_any_executor_trains(two_workers):
    config = {"base": {**BASE, "hidden": [8], "epochs": 1}, "study": [{"grid": {"learning_rate": [0.1, 0.2]}}]}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert_same(compare(config, executor=executor), compare(config))


def test_a_tile_that_ends_workers_is_halved(made, expected):
    class EndsAtLarge(Here):
        def answer(self, function, task, data):
            if task.tile.program.tile_replicas > 1:
                raise EOFError
            return function(task, data)

    workers = Workers(EndsAtLarge(), "here", ended=lambda error: isinstance(error, EOFError))
    found = remotely(made, workers)
    assert list(found["replicas"]["replica_id"]) == list(expected["replicas"]["replica_id"])
    assert (found["timing"]["tile_replicas"] == 1).all()


def end():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_ended_two_workers_is_not_tried_on_a_third(two_workers):
    client = two_workers.executor._client
    error = two_workers.executor.submit(end).exception(timeout=120)
    assert two_workers.ended(error)
    client.wait_for_workers(2, timeout=60)  # others took their place


def test_a_tile_that_is_too_large_is_halved_and_those_that_wait_are_called_back(made, expected, monkeypatch):
    made = comparison({"learning_rate": [0.4, 0.3, 0.2, 0.1]}, seeds=4, hidden=[8])
    planned = programs(made, tile_replicas=4)
    original, sizes = remote.train_tile, []

    def exhausted(tile, *given):
        sizes.append(tile.program.tile_replicas)
        if sizes[-1] > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return original(tile, *given)

    monkeypatch.setattr(remote, "train_tile", exhausted)
    executor = Here()
    found = remotely((made, planned), Workers(executor, "here"))
    assert len(found["replicas"]) == 16
    assert sizes.count(4) <= 2  # one more may have begun
    assert sizes.count(2) == 8


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("jaxcompare", "9.9", "jaxcompare is 0.1.0 there and 9.9 here"),
        ("versions", {"jax": "9.9"}, "jax is .* there and 9.9 here"),
        ("flags", {"enable_x64": "True"}, "enable_x64 is False there and True here"),
        ("processor", "another", "its processor is another one"),
        ("device", "H100", "device is cpu there and H100 here"),
    ],
)
def test_a_worker_that_differs_is_refused_by_name(made, monkeypatch, key, value, message):
    places = remote._Places()
    monkeypatch.setattr(remote, "_places", lambda: places)
    identity = remote.identity()
    changed = {**identity[key], **value} if isinstance(value, dict) else value
    monkeypatch.setattr(remote, "identity", lambda: identity | {key: changed})
    with pytest.raises(ConfigError, match=f"here: worker .*, process {os.getpid()}: {message}"):
        remotely(made, Workers(Here(), "here"))


def test_custom_code_goes_with_the_task_and_is_checked(tmp_path, monkeypatch, two_workers):
    (tmp_path / "mine_only.py").write_text(
        "import jax.numpy as jnp\n\ndef bent(x):\n    return jnp.tanh(x) + 0.1 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = comparison({"activation": ["mine_only:bent"]}, hidden=[8], seeds=1)
    planned = programs(found)
    assert_same(remotely((found, planned), two_workers), train(found, planned).frames)
    (tmp_path / "mine_only.py").write_text("import jax.numpy as jnp\n\ndef bent(x):\n    return jnp.tanh(x)\n")
    with pytest.raises(ConfigError, match=r"module 'mine_only' differs from the one here .*restarted"):
        remotely((found, planned), two_workers)


def test_an_error_of_a_worker_ends_the_run_and_takes_the_rest_back(made):
    class Broken(Here):
        def answer(self, *_):
            raise ValueError("broken")

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        remotely(made, Workers(Broken(), "here"))
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it must be tcp://HOST:PORT, tls://HOST:PORT, local:N or slurm:FILE"),
        ("tcp:8786", "it must be tcp://HOST:PORT"),
        ("tcp://somewhere", "it must be tcp://HOST:PORT"),
        ("local:none", "'none' is not a number of worker processes"),
        ("local:0", "'0' is not a number of worker processes"),
        ("slurm:missing.toml", "'missing.toml' cannot be read"),
        ("pbs:file", "it must be"),
    ],
)
def test_a_cluster_that_cannot_be_is_an_error(text, message):
    with pytest.raises(ConfigError, match=f"--cluster {text}") as caught:
        check_cluster(text, None)
    assert message in str(caught.value)


def test_a_cluster_has_no_mesh_and_needs_its_extra(monkeypatch, tmp_path):
    with pytest.raises(ConfigError, match="--cluster local:2 cannot be combined with --mesh data=2"):
        check_cluster("local:2", "data=2")
    lacking = tmp_path / "slurm.toml"
    lacking.write_text("workers = 2\ncores = 1\nmemory = '1GB'")
    with pytest.raises(ConfigError, match="lacks 'interface'"):
        check_cluster(f"slurm:{lacking}", None)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'jaxcompare\[cluster\]'"):
        check_cluster("local:2", None)


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr("jaxcompare.execution.workers.SECONDS_TO_ANSWER", 1)
    with (
        pytest.raises(ConfigError, match=r"--cluster tcp://127\.0\.0\.1:9: ") as caught,
        connected("tcp://127.0.0.1:9"),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_ports_are_open_on_this_machine_alone(two_workers):
    import psutil

    every = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [one for process in every for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    assert listening
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}


STUDY = """
[base]
dataset = "moons"
samples = 200
hidden = [8]
epochs = 400
evaluate_every = 100
measure_every = 100
seeds = 4
[[study]]
[study.grid]
optimizer = ["sgd", "adam"]
"""


def run(folder, *more, **streams):
    command = [sys.executable, "-m", "jaxcompare.run", "--exp", "tiny.toml", "--lang", "en", "--formats", "png", *more]
    environment = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, start_new_session=True, **streams)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.toml").write_text(STUDY)
    return tmp_path


def history(out):
    return pd.read_csv(out / "tables" / "history.csv")


@pytest.fixture
def scheduler(tmp_path):
    """A cluster of somebody else: a scheduler, and a worker that joins it."""
    where = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    processes = [subprocess.Popen([*start, "--no-dashboard", "--scheduler-file", str(where)], **quiet)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(where), "--nthreads", "1"]
    processes.append(
        subprocess.Popen([*worker, "--no-dashboard", "--death-timeout", "60"], env=environment, cwd=tmp_path, **quiet)
    )
    while not where.exists():
        time.sleep(0.05)
    time.sleep(0.2)
    yield SimpleNamespace(address=json.loads(where.read_text())["address"], processes=processes)
    for process in processes:
        process.kill()
        process.wait()


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_scheduler_that_ends_is_a_clear_error_and_the_same_command_resumes(folder, scheduler):
    done = run(folder, "--cluster", scheduler.address, "--out", "out", stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    until(lambda: list((folder / "out" / ".run").glob("parts/*/*.tile")))
    scheduler.processes[0].kill()
    _, said = done.communicate(timeout=120)
    assert done.returncode == 2
    assert f"the cluster {scheduler.address} has gone; finished tiles are kept" in said.splitlines()[-1]
    kept = len(list((folder / "out" / ".run").glob("parts/*/*.tile")))
    assert kept >= 1
    assert run(folder, "--out", "out").wait() == 0
    assert run(folder, "--out", "whole").wait() == 0
    pd.testing.assert_frame_equal(history(folder / "out"), history(folder / "whole"), check_exact=True)


@pytest.mark.slow
def test_a_submitter_that_ends_takes_its_workers_along_and_leaves_a_foreign_cluster_idle(folder, scheduler):
    import psutil
    from distributed import Client

    own = run(folder, "--cluster", "local:2", "--out", "own")
    until(lambda: list((folder / "own" / ".run").glob("parts/*/*.tile")))
    children = psutil.Process(own.pid).children(recursive=True)
    assert len(children) >= 2
    own.kill()
    own.wait()
    until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), 30)

    other = run(folder, "--cluster", scheduler.address, "--out", "other")
    until(lambda: list((folder / "other" / ".run").glob("parts/*/*.tile")))
    other.kill()
    other.wait()
    with Client(scheduler.address, set_as_default=False) as client:
        until(lambda: not any(client.processing().values()), 60)
    assert run(folder, "--cluster", scheduler.address, "--out", "other").wait() == 0


SBATCH = """#!/bin/sh
# In place of Slurm's: runs the job's script here, and names it.
script="$1"
nohup sh "$script" > /dev/null 2>&1 &
echo "Submitted batch job $!"
"""


@pytest.mark.slow
def test_jobs_of_slurm_train(folder, monkeypatch):
    programs_here = folder / "bin"
    programs_here.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", '#!/bin/sh\nkill "$@"\n')):
        (programs_here / name).write_text(text)
        (programs_here / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs_here}:{os.environ['PATH']}")
    (folder / "slurm.toml").write_text(
        'workers = 2\ncores = 1\nmemory = "2GB"\ninterface = "lo"\nwalltime = "00:10:00"\n'
    )
    assert shutil.which("sbatch") == str(programs_here / "sbatch")
    assert run(folder, "--cluster", "slurm:slurm.toml", "--out", "jobs").wait(300) == 0
    assert run(folder, "--out", "alone").wait() == 0
    pd.testing.assert_frame_equal(history(folder / "jobs"), history(folder / "alone"), check_exact=True)
