"""The architecture as the design states it: imports go down only, the core needs little, registries match the names."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from jaxcompare import data, words
from jaxcompare.components import activations, initializers, losses, models, optimizers, precision
from jaxcompare.config import names
from jaxcompare.planning import recipes

ROOT = Path(__file__).parent.parent / "jaxcompare"

# Bottom to top: a folder, or a module that lies flat in the package, may import from lower floors only, and from itself.
FLOORS = [
    {"types", "system", "words", "fonts", "config"},
    {"components", "data", "diagnostics", "analysis"},
    {"engine", "plots"},
    {"planning", "report"},
    {"tensorboard"},
    {"execution"},
    {"known"},
    {"run", "validate"},
]
CORE = (
    *("types", "diagnostics", "engine.train_step", "engine.segment", "engine.sweep"),
    *(f"components.{name}" for name in ("activations", "initializers", "losses", "optimizers", "precision", "models")),
)
BEFORE_JAX = ("run", "config", "system", "words")


def modules():
    return [path.relative_to(ROOT).with_suffix("") for path in sorted(ROOT.rglob("*.py"))]


def room(module):
    """The folder of a dotted name, or the module that lies flat in the package; "" for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "jaxcompare" else ""


def floor(name):
    return next(number for number, names in enumerate(FLOORS) if name in names)


def imports(path):
    """Every module of ours that a file may import, wherever in it, for types alone as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = node.module == "jaxcompare"
            yield from (f"jaxcompare.{alias.name}" for alias in node.names) if named else (node.module,)


def test_there_are_few_floors_and_every_room_has_one():
    rooms = {module.parts[0] for module in modules()} - {"__init__"}
    assert rooms == set().union(*FLOORS)
    assert sum(map(len, FLOORS)) == len(rooms)
    assert len(FLOORS) <= 8


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_go_down_only(module):
    own = module.parts[0]
    if own == "__init__":
        return  # the public API, imported lazily
    for imported in imports(ROOT / module.with_suffix(".py")):
        other = room(imported)
        if other and other != own and not other.startswith("__"):
            assert floor(other) < floor(own), f"{module} imports {imported}"


@pytest.mark.parametrize("word", ["jit", "shard_map", "pmap"])
def test_compilation_is_at_the_edge(word):
    users = {
        str(module)
        for module in modules()
        for node in ast.walk(ast.parse((ROOT / module.with_suffix(".py")).read_text()))
        if isinstance(node, ast.Attribute) and node.attr == word
    }
    assert users <= {"engine/sweep"}


def test_json_is_written_in_one_place():
    """`json.dumps` writes NaN and Infinity, which are no JSON; a digest is no file."""
    folders = [ROOT, ROOT.parent / "benchmarks"]
    users = {
        path.relative_to(ROOT.parent).as_posix()
        for path in (path for folder in folders for path in folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps") and ast.unparse(node.value) == "json"
    }
    assert users == {"jaxcompare/system/strict_json.py", "jaxcompare/config/comparison.py"}


def test_commands_print_in_one_place():
    """`print` fails where a terminal lacks a letter, or its reader has gone."""
    users = {
        str(module)
        for module in modules()
        for node in ast.walk(ast.parse((ROOT / module.with_suffix(".py")).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    assert users == {"system/command", "fonts/subset"}  # the second is a maintainer's script


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_core_imports_with_jax_flax_optax_and_numpy_alone():
    forbidden = ["pandas", "sklearn", "matplotlib", "tensorflow_datasets", "pyarrow", "tqdm", "jinja2", "tomli_w"]
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in forbidden)]
    lines += [f"import jaxcompare.{name}" for name in CORE]
    result = run_python("\n".join(lines))
    assert result.returncode == 0, result.stderr


def test_configs_are_checked_without_numpy_or_jax():
    lines = ["import sys", "sys.modules['jax'] = sys.modules['numpy'] = None"]
    files = [path for name in BEFORE_JAX for path in (ROOT / name).glob("*.py")]
    lines += [f"import jaxcompare.{path.parent.name}.{path.stem}" for path in files]
    lines += ["from jaxcompare.run import main", "assert main(['--exp', 'nothing']) == 2"]
    result = run_python("\n".join(lines))
    assert result.returncode == 0, result.stderr


def test_importing_registers_starts_and_prints_nothing():
    names = [".".join(("jaxcompare", *module.parts)).removesuffix(".__init__") for module in modules()]
    names = [name for name in names if not name.endswith("__main__") and "tfds_child" not in name]
    lines = ["import importlib, jax, sys, threading", "from jax._src import monitoring"]
    lines += ["before = threading.active_count(), len(monitoring._event_listeners), list(sys.path)"]
    lines += [f"importlib.import_module({name!r})" for name in names]
    lines += ["assert before == (threading.active_count(), len(monitoring._event_listeners), list(sys.path)), before"]
    lines += ["from jax._src import xla_bridge; assert not xla_bridge._backends"]
    result = run_python("\n".join(lines))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("written", "registry"),
    [
        (names.ACTIVATIONS, activations.ACTIVATIONS),
        (names.LOSSES, losses.LOSSES),
        (names.OPTIMIZERS, optimizers.OPTIMIZERS),
        (names.SCHEDULES, optimizers.SCHEDULES),
        (names.MODELS, models.MODELS),
        (names.INITIALIZERS, initializers.INITIALIZERS),
        (names.BIAS_INITIALIZERS, initializers.BIAS_INITIALIZERS),
        (names.DATASETS, data.DATASETS),
        (names.PRECISIONS, precision.POLICIES),
        (names.LEARNING_RATE_RULES, recipes.LEARNING_RATE_RULES),
        (names.LANGUAGES, words.LANGUAGES),
    ],
)
def test_names_are_the_registries(written, registry):
    assert list(written) == list(registry)


@pytest.mark.parametrize("kind", ["OPTIMIZERS", "SCHEDULES"])
def test_defaults_are_the_signatures(kind):
    for name, options in getattr(names, kind).items():
        parameters = list(inspect.signature(getattr(optimizers, kind)[name]).parameters.values())[1:]
        assert {parameter.name: parameter.default for parameter in parameters} == options, name


def test_ranges_are_of_known_activations():
    assert set(activations.HISTOGRAM_RANGES) == set(activations.ACTIVATIONS)
    assert set(activations.BOUNDS) | set(activations.CAN_BE_ZERO) <= set(activations.ACTIVATIONS)
