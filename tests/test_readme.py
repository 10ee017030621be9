"""The README's examples run as they stand."""

import re
from pathlib import Path

import pytest

from jaxcompare.experiment import parse

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"), ids=["compare", "one replica", "many replicas"])
def test_python_example_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_toml_example_is_a_comparison():
    import tomllib

    (text,) = blocks("toml")
    assert len(parse("mine", tomllib.loads(text)).studies[0].variants) == 9


def test_what_the_readme_links_is_there():
    root = Path(__file__).parent.parent
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (root / link).exists(), link
