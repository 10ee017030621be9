"""A user's own modules are imported by their files; a file beside a config never takes an installed module's place."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pandas as pd
import pytest
from problems import RATES, SMALLEST

from jaxcompare.config import custom
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse
from jaxcompare.config.registry import resolve
from jaxcompare.execution import remote
from jaxcompare.execution.fingerprint import plugin_digests

ROOT = Path(__file__).parent.parent
TRAP = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\nraise SystemExit('a trap was run')\n"
# Modules that Python, NumPy, pandas or their packages import, some of them optional and not installed.
TRAPS = ("numpy", "random", "tomli_w", "zstandard", "sitecustomize", "usercustomize", "argparse", "jax", "multiprocessing",
         "distributed", "pickle5", "numexpr", "bottleneck", "brotlicffi")  # fmt: skip
CONFIG = f'title = "Tiny"{SMALLEST}epochs = 1\nsnapshots = 2\n{{base}}{RATES}'
# A command with a process that works for it.
WORKER = """
from jaxcompare.system.processes import Processes
from jaxcompare.system.text import readable
if __name__ == "__main__":
    with Processes(1) as processes:
        print(processes.submit(readable, "of a worker").result())
"""
ACTIVATION = "import jax.numpy as jnp\ndef bent(x):\n    return jnp.tanh(x) + 0.1 * x\n"


def python(folder, *arguments, path=None):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPATH"] = path or str(ROOT)  # this checkout, which need not be the installed one
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def trapped(tmp_path):
    folder = tmp_path / "trapped"
    folder.mkdir()
    for name in TRAPS:
        (folder / f"{name}.py").write_text(TRAP)
    (folder / "mine.py").write_text(f"import pandas, numpy, random\n{ACTIVATION}")
    (folder / "tiny.toml").write_text(CONFIG.format(base='activation = "mine:bent"'))
    return folder


def ran(folder):
    return sorted(path.name for path in folder.rglob("*.ran"))


def test_no_file_of_the_folder_is_run_in_place_of_a_module(trapped):
    done = python(trapped, "-m", "jaxcompare.run", "--exp", "tiny.toml", "--out", "out", "--lang", "en")
    assert (done.returncode, ran(trapped)) == (0, []), done.stderr
    assert (trapped / "out" / "report.md").is_file()


def test_no_file_beside_the_config_is_run_in_place_of_a_module(trapped, tmp_path):
    done = python(tmp_path, "-m", "jaxcompare.run", "--exp", "trapped/tiny.toml", "--list")
    assert (done.returncode, ran(trapped)) == (0, []), done.stderr


@pytest.mark.parametrize("module", ["report", "validate", "data"])
def test_every_command_leaves_the_folder_out(trapped, module):
    done = python(trapped, "-m", f"jaxcompare.{module}", "--no-such-option")
    assert (done.returncode, ran(trapped)) == (2, [])
    assert "usage: python -m" in done.stderr


def test_a_clone_that_is_not_installed_works_and_its_workers_find_it(trapped):
    """Processes that draw import the package from the folder of the command."""
    (trapped / "jaxcompare").mkdir()
    for path in (ROOT / "jaxcompare").iterdir():
        (trapped / "jaxcompare" / path.name).symlink_to(path)
    (trapped / "jaxcompare" / "start.py").write_text(WORKER)
    done = python(trapped, "-S", "-m", "jaxcompare.start", path=sysconfig.get_paths()["purelib"])
    assert (done.stdout, ran(trapped)) == ("of a worker\n", []), done.stderr


def test_a_program_that_imports_the_package_keeps_its_path(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("import jaxcompare\n")
    (tmp_path / "mine" / "say.py").write_text("import beside\n")
    (tmp_path / "beside.py").write_text("print('here')\n")
    assert python(tmp_path, "-m", "mine.say", "jaxcompare.run").stdout == "here\n"


def using(**base):
    return parse("tiny", {"base": base, "study": [{"grid": {"learning_rate": [0.1, 0.3]}}]})


def test_a_module_is_beside_the_config_then_in_the_current_folder(tmp_path):
    for folder, value in (("first", 1), ("second", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both_have.py").write_text(f"def f(x):\n    return {value}\n")
    (tmp_path / "second" / "one_has.py").write_text("def f(x):\n    return 3\n")
    before = list(sys.path), list(sys.meta_path)
    folders = [tmp_path / "first", tmp_path / "second"]
    with custom.imported([using(activation="both_have:f", loss="one_has:f")], folders):
        assert (sys.modules["both_have"].f(0), sys.modules["one_has"].f(0)) == (1, 3)
        assert sys.path == before[0]
    assert not {"both_have", "one_has"} & set(sys.modules)
    assert (sys.path, sys.meta_path) == before


@pytest.fixture
def package(tmp_path):
    """A package with relative imports, which imports a file beside it; another file is imported late."""
    (tmp_path / "nets" / "deep").mkdir(parents=True)
    (tmp_path / "nets" / "__init__.py").write_text("from . import parts\n")
    (tmp_path / "nets" / "parts.py").write_text("import beside_nets\nTWO = beside_nets.ONE + 1\n")
    (tmp_path / "nets" / "deep" / "acts.py").write_text(
        "from ..parts import TWO\ndef twice(x):\n    import late_beside\n    return late_beside.times(TWO, x)\n"
    )
    (tmp_path / "beside_nets.py").write_text("ONE = 1\n")
    (tmp_path / "late_beside.py").write_text("def times(a, x):\n    return a * x\n")
    return tmp_path


def test_a_module_imports_its_package_and_the_files_beside(package):
    with custom.imported([using(activation="nets.deep.acts:twice")], [package]):
        assert sys.modules["nets.deep.acts"].twice(3) == 6
        found = custom.sources("nets.deep.acts")
        assert set(found) == {"nets", "nets.deep", "nets.deep.acts", "nets.parts", "beside_nets", "late_beside"}
        assert found["nets.deep"] == b""
    # A worker that has no such files makes them from their sources.
    try:
        assert remote._different(found) == ""
        assert sys.modules["nets.deep.acts"].twice(4) == 8
        assert remote._different(found | {"beside_nets": b"ONE = 2\n"}) == "beside_nets"
    finally:
        for name in found:
            sys.modules.pop(name, None)
            remote._ACCEPTED.pop(name, None)


def test_an_installed_module_comes_first_and_the_file_is_reported(tmp_path, caplog):
    (tmp_path / "optax.py").write_text(TRAP)
    with custom.imported([using(optimizer="optax:nadam")], [tmp_path]):
        pass
    assert "optax.py is not used: an installed module is named optax" in caplog.text
    assert not ran(tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys\nsys.exit(0)\n", "cannot import 'faulty' for 'faulty:f': SystemExit: 0"),
        ("def f(x)\n", "SyntaxError"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("raise AttributeError('two\\nlines')\n", "AttributeError: two lines"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("g = 1\n", "'faulty' has no 'f'"),
        ("f = 1\n", "cannot be called"),
        ("\0", "null bytes"),
    ],
)
def test_a_module_that_fails_is_one_line_that_names_it(tmp_path, source, message):
    (tmp_path / "faulty.py").write_text(source)
    with (
        pytest.raises(ConfigError, match=r"activation: .*faulty") as caught,
        custom.imported([using(activation="faulty:f")], [tmp_path]),
    ):
        pass
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "faulty" not in sys.modules


def test_a_function_that_ends_python_is_an_error_of_the_command(tmp_path):
    (tmp_path / "ends.py").write_text("import sys\ndef f(x):\n    sys.exit(0)\n")
    (tmp_path / "tiny.toml").write_text(CONFIG.format(base='activation = "ends:f"'))
    done = python(tmp_path, "-m", "jaxcompare.run", "--exp", "tiny.toml", "--out", "out")
    assert done.returncode == 2
    assert "ends:f cannot be used: SystemExit: 0" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lazily", [False, True])
def test_what_is_edited_while_a_run_goes_on_is_not_part_of_it(tmp_path, lazily):
    """Tiles and digests belong to the sources that were imported, also of what a function imports when it is called."""
    helper = "import jax.numpy as jnp\ndef factor():\n    return {}\n"
    within = "def bent(x):\n    from helper import factor\n    return factor() * x\n"
    (tmp_path / "mine.py").write_text(within if lazily else f"from helper import factor\n{within}")
    (tmp_path / "helper.py").write_text(helper.format(1.0))
    (made,) = [parse("tiny", {"base": {"activation": "mine:bent", "dataset": "moons"}, "study": [{}]})]
    settings = [variant.settings for study in made.studies for variant in study.variants]
    with custom.imported([made], [tmp_path]):
        first = plugin_digests(settings)
        assert set(first) == {"mine", "helper"}
        (tmp_path / "helper.py").write_text(helper.format(2.0))
        (tmp_path / "mine.py").write_text(within.replace("factor() * x", "x"))
        assert plugin_digests(settings) == first
        assert resolve("mine:bent", {}, "activation")(3.0) == 3.0
    with custom.imported([made], [tmp_path]):
        assert plugin_digests(settings).keys() == first.keys()
        assert all(digest != first[name] for name, digest in plugin_digests(settings).items())


def test_more_seeds_after_an_edit_of_a_helper_train_all_again_and_say_why(tmp_path):
    (tmp_path / "mine.py").write_text(f"from helper import SHARE\n{ACTIVATION.replace('0.1', 'SHARE')}")
    (tmp_path / "tiny.toml").write_text(CONFIG.format(base='activation = "mine:bent"'))
    command = ("-m", "jaxcompare.run", "--exp", "tiny.toml", "--out", "out", "--lang", "en")

    def losses():
        history = pd.read_parquet(tmp_path / "out" / "tables" / "history.parquet")
        return history[history["epoch"] == 1].set_index("replica_id")["validation_loss"]

    (tmp_path / "helper.py").write_text("SHARE = 0.1\n")
    assert "edited" not in python(tmp_path, *command).stderr
    before = losses()
    (tmp_path / "helper.py").write_text("SHARE = 0.7\n")
    done = python(tmp_path, *command, "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert "tiny: edited since the results in out: helper; every replica that uses it is trained again" in done.stderr
    after = losses()
    assert len(after) == 2 * len(before) == 4
    assert (after[before.index] != before).all()
