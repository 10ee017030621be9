"""The public API: every name is there, imported at its first use, documented."""

import inspect
import pydoc
import subprocess
import sys

import pytest

import jaxcompare


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_package_imports_nothing_heavy():
    heavy = ("jax", "numpy", "pandas", "flax", "optax", "matplotlib", "scipy", "sklearn")
    code = f"import jaxcompare, sys; print([name for name in {heavy} if name in sys.modules])"
    assert run_python(code).strip() == "[]"


@pytest.mark.parametrize("name", jaxcompare.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(jaxcompare, name)
    assert inspect.getdoc(value)
    assert name in dir(jaxcompare)
    if inspect.isfunction(value):
        document = inspect.getdoc(value)
        assert "Args:" in document, "no Args section"
        assert len(document.splitlines()[0]) > 20


def test_type_checkers_see_the_same_names():
    text = inspect.getsource(jaxcompare)
    block = text[text.index("if TYPE_CHECKING:") : text.index("__version__")]
    assert set(jaxcompare.__all__) == {
        word.strip("(), ") for word in block.replace("import", ",").replace("\n", ",").split(",") if word.strip("(), ")
    } & set(jaxcompare.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'make_nothing'"):
        jaxcompare.make_nothing  # noqa: B018


def test_help_says_where_to_begin():
    text = pydoc.plain(pydoc.render_doc(jaxcompare))
    assert "Where to begin" in text
    assert "make_train_step" in text
