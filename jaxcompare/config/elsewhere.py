"""Where a name is that is not built in: the optimizers and losses of Optax, the activations of JAX, by the installed sources.

Standard library only: the sources are read, not imported.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from jaxcompare.config.errors import LONGEST

# Modules by kind, the first that has a name first; each with the private modules whose names are of the kind, where it has
# names of other kinds too.
MODULES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "optimizer": (("optax", ("optax._src.alias",)), ("optax.contrib", ())),
    "loss": (("optax.losses", ()),),
    "activation": (("jax.nn", ("jax._src.nn.functions",)),),
}
# Functions of these modules that are of no kind: parts of optimizers, optimizers around others, what is not elementwise.
OTHERS = {
    *("mechanize", "normalize", "sam", "schedule_free", "schedule_free_eval_params", "split_real_and_imaginary"),
    *("differentially_private_aggregate", "hutchinson_estimator_diag_hessian", "reduce_on_plateau"),
    *("make_fenchel_young_loss", "smooth_labels"),
    *(
        "dot_product_attention",
        "get_scaled_dot_general_config",
        "glu",
        "log_softmax",
        "logmeanexp",
        "logsumexp",
        "one_hot",
    ),
    *("scaled_dot_general", "scaled_matmul", "softmax", "standardize"),
}


def full_name(kind: str, name: str) -> str:
    """Return `"module:attribute"` of a name that Optax or JAX has; empty where neither has the name.

    >>> full_name("optimizer", "muon"), full_name("activation", "softplus"), full_name("loss", "nothing")
    ('optax.contrib:muon', 'jax.nn:softplus', '')
    """
    return _names(kind).get(_plain(name), "")


def closest(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the name closest to `name` among the known ones and those that are elsewhere; empty where none is close.

    >>> closest("optimizer", "Ada-Belief", ["adam"]), closest("optimizer", "adm", ["adam"]), closest("model", "mpl", ["mlp"])
    ('optax:adabelief', 'adam', 'mlp')
    """
    known = list(known)
    places = {**_names(kind), **{one: one for one in known}}
    close = difflib.get_close_matches(_plain(name), places, n=1, cutoff=0.8)
    # Of names that are not very close, a known one is more likely to be meant.
    close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return places[close[0]] if close else ""


def _plain(name: str) -> str:
    return name[:LONGEST].rpartition(":")[2].lower().replace("-", "_").replace(" ", "_")


@cache
def _names(kind: str) -> dict[str, str]:
    """Return the functions of a kind that are elsewhere: name -> `"module:attribute"`."""
    found: dict[str, str] = {}
    for module, sources in MODULES.get(kind, ()):
        for name in _imported(module, sources):
            if name.islower() and name not in OTHERS and not name.startswith(("_", "scale_by_")):
                found.setdefault(name, f"{module}:{name}")
    return found


def _imported(module: str, sources: Sequence[str | None]) -> list[str]:
    """Return the names that a module's `__init__.py` imports from some modules, or from any; none where it is not installed."""
    top, *inner = module.split(".")
    with suppress(ImportError, ValueError, OSError, SyntaxError):
        spec = importlib.util.find_spec(top)  # of a package inside, this would import the package
        if spec is not None and spec.origin:
            text = Path(spec.origin).parent.joinpath(*inner, "__init__.py").read_text(encoding="utf-8")
            nodes = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
            return [
                alias.asname or alias.name
                for node in nodes
                if not sources or node.module in sources
                for alias in node.names
            ]
    return []
