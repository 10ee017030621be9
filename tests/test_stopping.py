"""A command that is stopped ends within seconds in everything that it does, and so do the processes that it started."""

import os
import signal
import subprocess
import sys
import time

import pytest
from problems import RATES, SMALLEST

from jaxcompare.data.download import CHILD
from jaxcompare.system.stopping import SECONDS_TO_END

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
BUSY = 3.0  # seconds that a machine with other work may take longer
STOPPING, STOPPED = "stopping; once more ends now\n", "stopped; the same command goes on\n"
# Of one call into C that lets other threads run, as XLA's compiler does: in it, Python calls no handler of a signal.
COMMAND = """
import hashlib, os, sys, threading, time
from functools import partial
from jaxcompare.system.command import command
from jaxcompare.system.processes import Processes

def compile_for_long():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)

def swallow():
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass

@partial(command, stopped="stopped; the same command goes on")
def main():
    threading.Thread(target=compile_for_long).start()
    with Processes(2) as processes:
        for future in [processes.submit(os.getpid) for _ in range(int(sys.argv[2]))]:
            future.result()
        for _ in range(int(sys.argv[2])):
            processes.submit(time.sleep, 60)
        print("begun", *(process.pid for process in processes.running()), flush=True)
        {"compile": compile_for_long, "sleep": partial(time.sleep, 60), "swallow": swallow}[sys.argv[1]]()

sys.exit(main())
"""
RUN = """
import sys
from jaxcompare import run
from jaxcompare.engine import sweep
from jaxcompare.execution import program_cache

def marked(function, name):
    def call(*arguments, **options):
        print(name, flush=True)
        return function(*arguments, **options)
    return call

program_cache.lowered = marked(program_cache.lowered, "compiling")
sweep.train_tile = marked(sweep.train_tile, "training")
sys.exit(run.main())
"""
TINY = f'title = "Tiny"\nquestion = "Does it end?"{SMALLEST}epochs = 1_000_000{RATES}'


@pytest.fixture(autouse=True)
def interruptible():
    """Processes inherit that SIGINT is ignored, where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def begin():
    """Begins a command; returns it with the numbers of its workers."""
    processes = []

    def begun(does, workers=0):
        process = subprocess.Popen([sys.executable, "-c", COMMAND, does, str(workers)], **PIPES)
        processes.append(process)
        found = [int(worker) for worker in process.stdout.readline().split()[1:]]
        time.sleep(0.5)  # until it does what it said
        assert len(found) == workers
        return process, found

    yield begun
    for process in processes:
        process.kill()
        process.communicate()


def ended(process, number, within):
    """The code and stderr of a process that ends in time after a signal."""
    process.send_signal(number)
    since = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert time.monotonic() - since < within + BUSY
    return process.returncode, said


def are_gone(workers, within):
    until = time.monotonic() + within
    while any(is_alive(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(is_alive(worker) for worker in workers)


def is_alive(worker):
    """Whether a process works still; one that has ended may wait for a parent that takes notice."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(worker)], capture_output=True, text=True, check=False).stdout
    return state.strip() not in ("", "Z")


@pytest.mark.parametrize(
    ("does", "number", "code"), [("compile", signal.SIGINT, 130), ("swallow", signal.SIGTERM, 143)]
)
def test_a_command_that_python_cannot_interrupt_is_answered_and_ended(begin, does, number, code):
    process, _ = begin(does)
    process.send_signal(number)
    since = time.monotonic()
    assert process.stderr.readline() == STOPPING
    assert time.monotonic() - since < SECONDS_TO_END / 2
    assert process.communicate(timeout=60)[1] == STOPPED
    assert process.returncode == code
    assert SECONDS_TO_END / 2 < time.monotonic() - since < SECONDS_TO_END + BUSY


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_python_can_interrupt_ends_at_once_with_one_line_and_its_processes(begin, number, code):
    process, workers = begin("sleep", workers=2)
    assert ended(process, number, within=1.0) == (code, STOPPED)
    assert are_gone(workers, within=1.0)


def test_a_second_signal_ends_at_once(begin):
    process, workers = begin("compile", workers=1)
    process.send_signal(signal.SIGTERM)
    assert process.stderr.readline() == STOPPING
    assert ended(process, signal.SIGINT, within=0.5) == (143, STOPPED)
    assert are_gone(workers, within=1.0)


def test_nobody_reads_stderr_and_it_is_full(begin):
    process, _ = begin("compile")
    os.set_blocking(process.stderr.fileno(), False)
    with open(f"/proc/{process.pid}/fd/2", "wb", buffering=0) as full:
        os.set_blocking(full.fileno(), False)
        while full.write(b"." * 4096):
            pass
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=SECONDS_TO_END + 2.0 + BUSY) == 143


def test_workers_end_with_a_parent_that_is_killed(begin):
    process, workers = begin("sleep", workers=2)
    process.kill()
    assert are_gone(workers, within=3.0)


def test_a_download_ends_with_its_parent(tmp_path):
    """The parent holds the other end of stdin; a download that fails would say why."""
    arguments = [sys.executable, "-P", str(CHILD), "fashion_mnist", str(tmp_path), "http://127.0.0.1:9/none"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, **PIPES) as process:
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 1


def test_ctrl_c_that_is_ignored_stays_so(begin):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process, _ = begin("sleep")
    signal.signal(signal.SIGINT, before)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    assert ended(process, signal.SIGTERM, within=1.0) == (143, STOPPED)


@pytest.mark.parametrize("phase", ["compiling", "training"])
def test_a_run_that_is_stopped_says_how_to_go_on(phase, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    arguments = [sys.executable, "-c", RUN, "--exp", "tiny.toml", "--out", "out"]
    process = subprocess.Popen(arguments, cwd=tmp_path, env=environment, **PIPES)
    assert phase in iter(lambda: process.stdout.readline().strip(), "")
    code, said = ended(process, signal.SIGTERM, within=5.0)
    assert (code, said.splitlines()[-1]) == (
        143,
        "stopped; finished training is kept, and the same command goes on from there",
    )
    assert "Traceback" not in said
