"""The README's examples run as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from jaxcompare import run
from jaxcompare.config.parse import parse

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("code", blocks("python"), ids=["compare", "one replica", "many replicas", "own network"])
def test_python_example_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_toml_example_is_a_comparison():
    import tomllib

    (text,) = blocks("toml")
    assert len(parse("mine", tomllib.loads(text)).studies[0].variants) == 9


COMMANDS = re.findall(r"^ *python -m jaxcompare\.run (.*?)(?:  .*)?$", README + run.parser().epilog, flags=re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_the_commands_that_are_shown_ask_for_comparisons_that_there_are(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('[[study]]\nname = "main"\n')
    comparisons, _ = run.read_comparisons(run.parser().parse_args(shlex.split(command, comments=True)))
    assert comparisons


def test_what_the_readme_links_is_there():
    root = Path(__file__).parent.parent
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (root / link).exists(), link
