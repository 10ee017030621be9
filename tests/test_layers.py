"""The architecture as the design states it: imports go down only, the core needs little, registries match the names."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from jaxcompare import activations, data, losses, models, names, optimizers, words

ROOT = Path(__file__).parent.parent / "jaxcompare"

# Bottom to top. A module may import from lower lines only (and from its own package).
LAYERS = [
    {"types", "names", "registry", "words", "fonts", "cgroups", "__init__"},
    {"activations", "losses", "optimizers", "settings", "precision"},
    {"models", "data", "diagnostics", "protocol", "memory", "outputs"},
    {"train", "experiment"},
    {"segment", "overrides", "programs", "loading"},
    {"sweep", "analysis"},
    {"assemble", "store", "plots"},
    {"planning", "report"},
    {"tables", "fitting", "shelf"},
    {"trainer", "batches"},
    {"compare", "progress", "devices", "tensorboard"},
    {"manifest"},
    {"pipeline", "known"},
    {"run", "validate", "bench"},
]
CORE = ("types", "activations", "losses", "optimizers", "models", "diagnostics", "train", "segment", "sweep")
BEFORE_JAX = (
    "run",
    "experiment",
    "overrides",
    "programs",
    "settings",
    "protocol",
    "names",
    "registry",
    "memory",
    "cgroups",
    "outputs",
    "words",
)


def modules():
    return [path.relative_to(ROOT).with_suffix("") for path in sorted(ROOT.rglob("*.py"))]


def level(top):
    return next(number for number, layer in enumerate(LAYERS) if top in layer)


def imports(path):
    """What a file imports when it runs: names under TYPE_CHECKING are not."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "jaxcompare":
            yield from (f"jaxcompare.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_go_down_only(module):
    own = module.parts[0]
    for imported in imports(ROOT / module.with_suffix(".py")):
        parts = imported.split(".")
        if parts[0] == "jaxcompare" and len(parts) > 1 and parts[1] != own:
            assert level(parts[1]) < level(own), f"{module} imports {imported}"


@pytest.mark.parametrize("word", ["jit", "shard_map", "pmap"])
def test_compilation_is_at_the_edge(word):
    users = {
        str(module)
        for module in modules()
        for node in ast.walk(ast.parse((ROOT / module.with_suffix(".py")).read_text()))
        if isinstance(node, ast.Attribute) and node.attr == word
    }
    assert users <= {"sweep"}


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
    lines += [f"import jaxcompare.{name}" for name in BEFORE_JAX]
    lines += ["from jaxcompare.run import main", "assert main(['--exp', 'nothing']) == 2"]
    result = run_python("\n".join(lines))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("written", "registry"),
    [
        (names.ACTIVATIONS, activations.ACTIVATIONS),
        (names.LOSSES, losses.LOSSES),
        (names.OPTIMIZERS, optimizers.OPTIMIZERS),
        (names.SCHEDULES, optimizers.SCHEDULES),
        (names.MODELS, models.MODELS),
        (names.INITIALIZERS, models.INITIALIZERS),
        (names.BIAS_INITIALIZERS, models.BIAS_INITIALIZERS),
        (names.DATASETS, data.DATASETS),
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
