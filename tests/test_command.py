"""What a command prints, and where to, never decides how it ends."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import synthetic
from problems import RATES, SMALLEST

from jaxcompare.system.command import command, tell
from jaxcompare.system.manifest import write_manifest
from jaxcompare.system.text import readable

TINY = f'title = "한글 제목"\nquestion = "Is it said?"{SMALLEST}epochs = 1{RATES}'
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0"}
# A whole run, its pictures left out; afterwards it says on which numbers files would be opened.
RUN = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from problems import dots
from jaxcompare import report, run
report.draw_all = dots
code = run.main(["--exp", "tiny.toml", "--lang", "en", "--out", sys.argv[1]])
with open(os.devnull) as file:
    sys.exit(code if file.fileno() > 2 else f"file {file.fileno()}")
"""
LIST = ["-m", "jaxcompare.run", "--exp", "tiny.toml", "--list"]
MODULES = (
    "jaxcompare.run",
    "jaxcompare.report",
    "jaxcompare.validate",
    "jaxcompare.data",
    "benchmarks",
    "benchmarks.gpu",
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def ran(folder, arguments, variables=None, closed=(), **streams):
    """Run Python with some descriptors closed, by a shell: JAX warns of a fork in this process once JAX has started."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    environment = {**os.environ, **(variables or {})}
    script = " ".join(['exec "$@"', *(f"{one}>&-" for one in closed)])
    shell = ["sh", "-c", script, "sh", sys.executable, *arguments]
    return subprocess.run(shell, cwd=folder, env=environment, check=False, **streams)


@pytest.mark.parametrize(
    ("variables", "title"),
    [
        ({"PYTHONIOENCODING": "utf-8"}, "한글 제목".encode()),
        ({"PYTHONIOENCODING": "ascii"}, rb"\ud55c\uae00 \uc81c\ubaa9"),
        ({"PYTHONIOENCODING": "cp1252"}, rb"\ud55c\uae00 \uc81c\ubaa9"),
        (ASCII, rb"\ud55c\uae00 \uc81c\ubaa9"),
    ],
    ids=str,
)
def test_letters_that_a_terminal_lacks_are_escapes(folder, variables, title):
    done = ran(folder, LIST, variables)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"tiny: " + title)


@pytest.mark.parametrize("closed", [(), (1,), (2,), (0, 1, 2)], ids=str)
def test_a_run_ends_with_its_own_code_in_any_terminal(folder, closed):
    done = ran(
        folder,
        ["-c", RUN, os.path.dirname(__file__), "결과"],
        ASCII,
        closed,
    )
    assert done.returncode == 0, done.stderr
    if not closed:
        assert rb"done: \uacb0\uacfc/report.html" in done.stdout
    assert "한글 제목" in (folder / "결과" / "report.md").read_text()
    assert "결과" in (folder / "결과" / "report.html").read_text()
    again = ran(folder, ["-m", "jaxcompare.report", "결과", "--formats", "nothing"], ASCII)
    assert again.returncode == 2


def test_a_run_that_fails_says_so_by_its_code_alone(folder):
    done = ran(folder, [*LIST, "--seeds", "0"], closed=[2])
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_config_whose_name_the_locale_cannot_read_is_refused_before_training(folder):
    (folder / "tiny.toml").rename(folder / "이름.toml")
    arguments = [*LIST[:3], "이름.toml", "--list"]
    assert ran(folder, arguments).returncode == 0
    done = ran(folder, arguments, ASCII)
    assert done.returncode == 2
    assert b"set LC_ALL=C.UTF-8" in done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_every_command_takes_closed_streams(folder, module):
    done = ran(folder, ["-m", module, "--help"], closed=[1])
    assert (done.returncode, done.stderr) == (0, b"")
    done = ran(folder, ["-m", module, "--no-such-option"], closed=[2])
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_reader_that_has_gone_does_not_matter(folder):
    reader, writer = os.pipe()
    os.close(reader)
    done = ran(folder, LIST, stdout=writer)
    assert (done.returncode, done.stderr) == (0, b"")
    done = ran(folder, [*LIST, "--seeds", "0"], stderr=writer)
    os.close(writer)
    assert done.returncode == 2


def test_a_wrapped_command_leaves_the_streams_as_they_were(capsys, monkeypatch):
    def main(code):
        """Say so."""
        tell(f"한글 {os.fsencode('é').decode('ascii', 'surrogateescape')}")
        if code is None:
            raise KeyboardInterrupt
        return code

    assert command(main).__doc__ == "Say so."
    assert (command(main)(3), command(main)(None)) == (3, 130)
    assert capsys.readouterr() == ("한글 é\n" * 2, "stopped\n")
    monkeypatch.setattr(sys, "stdout", None)
    assert command(main)(0) == 0
    assert sys.stdout is None
    assert readable("한글.toml") == "한글.toml"


@pytest.fixture
def interruptible():
    """Processes inherit that SIGINT is ignored, where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_drawing_is_one_line(tmp_path):
    """A terminal sends it to the workers too."""
    synthetic.save(tmp_path, synthetic.tables("a"), {})
    write_manifest(tmp_path, synthetic.MANIFEST)  # with digests
    arguments = [sys.executable, "-m", "jaxcompare.report", tmp_path, "--workers", "2", "--formats", "png,svg,pdf"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(arguments, start_new_session=True, **pipes) as process:
        until = time.monotonic() + 60
        while len(workers := children(process.pid)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1.0)  # they import what they need
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)
    assert (process.returncode, *said) == (130, "", "stopped\n")
    assert len(workers) == 2
    assert not any(os.path.exists(f"/proc/{worker}") for worker in workers)
    assert not list(tmp_path.glob("report*"))


def children(parent):
    """The processes that draw, of a process."""
    found = subprocess.run(["ps", "-ewwo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in found.splitlines())
    return [int(pid) for pid, ppid, said in rows if int(ppid) == parent and re.search("spawn_main", said)]
