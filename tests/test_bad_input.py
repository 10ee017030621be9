"""Bad input is exit code 2 and a line a fault, at once: the text alone decides, before NumPy and JAX are imported."""

import contextlib
import io
import subprocess
import sys
import time

import pytest

from jaxcompare import run
from jaxcompare.config import limits
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse

SECONDS = 10  # of this process: each takes about 0.1 s, and without its limit minutes or for ever
LONG = "9" * 400
LONGER = "9" * 5000


@pytest.fixture(autouse=True)
def no_jax(monkeypatch):
    """The command imports JAX through this function alone."""
    monkeypatch.setattr("jaxcompare.execution.places.import_jax", lambda: pytest.fail("JAX is imported"))


def ran(folder, text, *options):
    """Exit code and lines on stderr of the command for a config of this text; None for the shipped ones."""
    path, before = folder / "mine.toml", time.process_time()
    if text is not None:
        path.write_text(text)
        options = ("--exp", str(path), *options)
    out = () if "--out" in options else ("--out", str(folder / "out"))
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            code = run.main([*options, *out])
        except SystemExit as stopped:  # argparse
            code = stopped.code
    assert time.process_time() - before < SECONDS
    assert [path for path in folder.iterdir() if path.name != "mine.toml"] == []
    lines = said.getvalue().splitlines()
    assert all(len(line) < 1000 for line in lines)
    return code, lines


def base(text):
    return f"[base]\ndataset = 'moons'\n{text}\n[[study]]\n"


CLAIM = base("") + "claims = [{{factor = {}, better = 1, than = 2}}]"
CUBE = "\n".join(f"{key} = {[*range(1, 217)]}" for key in ("batch_size", "micro_batches", "kernel_size"))
TEXTS = {
    "400 digits": (base(f"epochs = {LONG}"), "base.epochs = (a number of about 400 digits) is out of range"),
    "400 digits of a rate": (base(f"learning_rate = {LONG}"), "base.learning_rate = (a number of about 400 digits)"),
    "400 digits of a target": (f"target = {LONG}\n[[study]]", "target = (a number of about 400 digits) is not"),
    "400 digits in a grid": (base("") + f"[study.grid]\nbatch_size = [{LONG}]", "study.1.grid.batch_size = (a number"),
    "5,000 digits": (base(f"epochs = {LONGER}"), "cannot be read as TOML: a number has too many digits"),
    "many epochs": (base("epochs = 1_000_000_000"), "base.epochs = 1000000000 is out of range"),
    "many steps": (
        "[base]\nepochs = 100_000\nbatch_size = 1\ntrain_subset = 10\n[[study]]",
        "epochs = 100000 with batch_size = 1 and 60000 examples of fashion_mnist are 6000000000 steps",
    ),
    "infinite noise": (base("noise = inf"), "base.noise = inf is out of range"),
    "many samples": (base("samples = 1_000_000_000_000"), "base.samples = 1000000000000 is out of range"),
    "a wide layer": (base("hidden = [1_000_000]"), "base.hidden = 1000000 is out of range"),
    "many layers": (base(f"hidden = {[8] * 100_000}"), "base.hidden has 100000 layers; it must have at most 256"),
    "claim about a list": (CLAIM.format("['loss']"), "study.1.claims.1.factor = ['loss'] does not vary"),
    "claim about a table": (CLAIM.format("{a = 1}"), "study.1.claims.1.factor = {'a': 1} does not vary"),
    "brackets": (f"title = {'[' * 5000}{']' * 5000}\n[[study]]", "lists or tables are too deep"),
    "some brackets": (f"title = {'[' * 50}{']' * 50}\n[[study]]", "more than 16 deep"),
    "deep tables": (f"[[study]]\n[{'.'.join(['a'] * 5000)}]", "more than 16 deep"),
    "a long key": (base(f"{'k' * 300} = 1"), "base: no key 'kkk"),
    "a long function": (base(f"activation = '{'k' * 300}'"), "base.activation = 'kkk"),
    "a grid of 10 million": (
        base("") + f"[study.grid]\n{CUBE}",
        "study.1.grid has 10077696 variants; a comparison may have 10000",
    ),
    "many values": (base("") + f"[study.grid]\nbatch_size = {[*range(1, 100_000)]}", "has 99999 values"),
    "many replicas": (
        base("seeds = 10_000") + f"[study.grid]\nlearning_rate = {[n / 1000 for n in range(1, 1000)]}",
        "study.1 has 999 variants at 10000 seeds, 9990000 replicas",
    ),
    "a long file": (f"# {'x' * 3_000_000}\n[[study]]", "is longer than a config may be"),
    "a NUL": ("title = '\0'\n[[study]]", "cannot be read as TOML"),
}  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--quick",)], ids=["", "quick"])
@pytest.mark.parametrize(("text", "message"), TEXTS.values(), ids=TEXTS)
def test_a_text_that_cannot_be_trained_is_refused_at_once(tmp_path, text, message, options):
    code, lines = ran(tmp_path, text, *options)
    assert code == 2
    assert any(message in line for line in lines), lines
    assert all(line.startswith("jaxcompare: error: ") for line in lines)


OPTIONS = [
    (["--epochs", "99999999999"], "base.epochs = 99999999999 is out of range"),
    (["--epochs", LONGER], "--epochs"),
    (["--seeds", LONG], "base.seeds = (a number of about 400 digits)"),
    (["--mesh", "replica=99999999999"], "--mesh replica=99999999999: replica = '99999999999' is not"),
    (["--mesh", "replica=100000"], "at most 1024"),
    (["--mesh", f"replica={LONGER}"], "at most 1024"),
    (["--mesh", ""], "--mesh '': is empty"),
    (["--out", ""], "--out '': is empty"),
    (["--exp", ""], "--exp '': is empty"),
    (["--data-dir", ""], "--data-dir '': is empty"),
    (["--cluster", ""], "--cluster '': is empty"),
    (["--memory", ""], "--memory '': is empty"),
    (["--memory", "9" * 30], "is not an amount of memory, 2G or 512M for example; it must be at most 1024T"),
    (["--memory", LONGER], "is not an amount of memory"),
    (["--set", "base.epochs=3\nseeds=4"], "--set base.epochs=3 seeds=4: has more than one line"),
    (["--set", f"base.epochs={LONGER}"], "base.epochs = '999"),
    (["--set", f"base.epochs={'[' * 5000}"], "--set base.epochs=[[["),
    (["--set", f"study.{'n' * 300}.base.epochs=3"], "no study 'nnn"),
    (["--set", f"study.main.grid.{LONGER}.x=3"], "name one, grid.1.KEY for example"),
    (["--exp", "x" * 300], "no comparison 'xxx"),
    (["--exp", f"{'x' * 300}.toml"], "cannot be read: File name too long"),
    (["--exp", "a\0.toml"], "a\0.toml"),
    (["--out", "x" * 300], "cannot be used: File name too long"),
    (["--data-dir", "x" * 300], "cannot be used: File name too long"),
    (["--lang", ""], "--lang '': no such language"),
    (["--formats", "x" * 5000], "no such format"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=[" ".join(o)[:40] for o, _ in OPTIONS])
def test_an_option_that_cannot_be_is_refused_at_once(tmp_path, options, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, lines = ran(tmp_path, None if "--exp" in options else base(""), *options)
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]


MANY = """
title = 3
target = "high"
colour = "red"
[words.ko]
title = [1]
[words.xx]
[files]
results = "a/b"
nothing = "x"
[base]
epochs = "ten"
seeds = 0
hidden = [8, 0, "wide"]
options = { a = [1], b = 1 }
[[study]]
name = "first"
confirm = -1
[study.grid]
learning_rate = [0.1, "fast", nan]
[[study]]
name = "second"
[study.base]
batch_size = 1.5
[[study.grid]]
seeds = [1, 2]
[[study.grid]]
optimizer = ["sdg"]
loss = "mse"
"""
FAULTS = [
    "mine: no key 'colour'",
    "mine: title = 3 is not a text",
    "mine: target = 'high' is not an accuracy",
    "mine: words: no key 'xx'",
    "mine: words.ko.title = [1] is not a text",
    "mine: files: no key 'nothing'",
    "mine: files.results = 'a/b' may have",
    "mine: base.epochs = 'ten' is not a whole number",
    "mine: base.seeds = 0 is out of range",
    "mine: base.hidden = 0 is out of range",
    "mine: base.hidden = 'wide' is not a whole number",
    "mine: base.options.a = [1] is not a number, a text, true or false",
    "mine: study.1.confirm = -1 is not",
    "mine: study.1.grid.learning_rate = 'fast' is not a number",
    "mine: study.1.grid.learning_rate = nan is out of range",
    "mine: study.2.base.batch_size = 1.5 is not a whole number",
    "mine: study.2.grid.1.seeds = [1, 2] cannot vary",
    "mine: study.2.grid.2.optimizer = 'sdg': no optimizer 'sdg'; did you mean sgd?",
    "mine: study.2.grid.2.loss = 'mse' is not a list",
]


def test_every_fault_of_a_file_has_its_line_and_its_place(tmp_path):
    code, lines = ran(tmp_path, MANY)
    assert code == 2
    assert len(lines) == len(FAULTS)
    for fault in FAULTS:
        assert [line for line in lines if line.startswith(f"jaxcompare: error: {fault}")], fault


def test_very_many_faults_are_counted(tmp_path):
    code, lines = ran(tmp_path, base("") + f"[study.grid]\nlearning_rate = {[str(n) for n in range(200)]}")
    assert (code, len(lines)) == (2, 51)
    assert lines[-1].endswith("... and 150 more")


@pytest.mark.parametrize("wrong", [3, None, [], {1: 2}, {"base": {1: 2}, "study": [{}]}, {"study": [{2: 3}]}])
def test_a_config_in_python_has_the_same_errors(wrong):
    with pytest.raises(ConfigError, match=r"is not a table|no key '[12]'"):
        parse("x", wrong)


def test_limits_are_in_the_documentation():
    from pathlib import Path

    text = (Path(__file__).parent.parent / "docs" / "tables.md").read_text()
    for name, value in vars(limits).items():
        if name.startswith("MOST_"):
            assert f"{value:,}" in text, name


def test_neither_jax_nor_numpy_is_imported_for_bad_input(tmp_path):
    (tmp_path / "mine.toml").write_text(MANY)
    command = [sys.executable, "-X", "importtime", "-m", "jaxcompare.run", "--exp", "mine.toml", "--quick"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "jaxcompare.config.parse" in imported
    assert not imported & {"jax", "numpy", "pandas", "flax"}
