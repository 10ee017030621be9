"""What cannot be made stops nothing else: it is said where it would stand and on stderr, and the exit code is 1."""

import subprocess
import sys

import pytest
import synthetic

from jaxcompare import plots, report, run, words
from jaxcompare.execution import pipeline
from jaxcompare.report import draw as report_draw
from jaxcompare.report import html, sections
from jaxcompare.report.__main__ import main
from jaxcompare.report.draw import Asked, Background, draw, draw_all, names_of
from jaxcompare.report.failures import Failure
from jaxcompare.system.manifest import read_manifest, write_manifest
from jaxcompare.system.processes import Processes

content = sys.modules["jaxcompare.report.content"]  # the package has a function of that name
NAME = "experiment_mine_results_digits.png"
ERROR = "ZeroDivisionError: no ink"


def spilt(*_):
    raise ZeroDivisionError("no ink")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder with results, of which one picture of two cannot be drawn."""
    monkeypatch.setattr(plots, "learning_curves", spilt)
    synthetic.save(tmp_path, synthetic.tables("mine"), {})
    return tmp_path


def test_a_picture_that_raises_stops_nothing_else(results, capsys):
    assert main([str(results), "--workers", "1"]) == 1
    told = capsys.readouterr().err
    assert told.count("could not be made") == 2  # a language each
    assert f"could not be made: {NAME}: {ERROR}" in told
    assert "Traceback" not in told
    assert not (results / NAME).exists()
    for name in ("gradient_norms_mine_digits.png", "findings.json", "experiment_mine_comparison_digits.csv"):
        assert (results / name).stat().st_size > 2
    for language in words.LANGUAGES.values():
        sentence = language.say("report.not_drawn", error=ERROR, name=words.localised(NAME, language.language))
        for kind in ("md", "html"):
            assert sentence in (results / words.localised(f"report.{kind}", language.language)).read_text()


def test_without_a_failure_the_exit_code_is_0(tmp_path, capsys):
    synthetic.save(tmp_path, synthetic.tables("mine"), {})
    manifest = read_manifest(tmp_path)
    write_manifest(tmp_path, manifest)
    assert main([str(tmp_path), "--workers", "1", "--lang", "en"]) == 0
    assert capsys.readouterr().err == ""


def test_one_that_failed_in_the_background_is_not_drawn_again(results):
    tables = report.read_tables(results)
    asked = Asked("mine", NAME)
    (found,) = draw(tables, {}, [asked]).values()
    assert found == Failure(NAME, ERROR)
    built = report.build(tables, {}, synthetic.MANIFEST, drawn={asked: Failure(NAME, "earlier")}, languages=["en"])
    assert built.failures == [Failure(NAME, "earlier")]


def test_a_background_that_is_ended_leaves_its_pictures_to_the_report(results):
    with Background() as background:
        background.start(report.read_tables(results), {})
        for process in background.processes.running():
            process.kill()
        assert background.collect() == {}


def test_what_a_lost_process_did_not_draw_is_drawn_here(results, monkeypatch, caplog):
    tables = report.read_tables(results)
    names = dict(list(names_of(tables, {}).items())[:3])
    here = draw_all(tables, {}, languages=["en"], names=names)
    submitted = []

    def and_kill(self, function, *arguments):
        future = original(self, function, *arguments)
        submitted.append(future)
        for process in self.running():
            process.kill()
        return future

    original = Processes.submit
    monkeypatch.setattr(Processes, "submit", and_kill)
    assert draw_all(tables, {}, workers=2, languages=["en"], names=names) == here
    assert len(submitted) == 2
    assert "was lost" in caplog.text
    with Background() as background:
        for _ in range(2):  # after another comparison, too
            background.start(tables, {})
        assert background.collect() == {}


@pytest.mark.parametrize("name", ["names_of", "Processes"])
def test_what_cannot_begin_in_the_background_is_left_to_the_report(results, monkeypatch, name):
    monkeypatch.setattr(report_draw, name, spilt)
    with Background() as background:
        background.start(report.read_tables(results), {})
        assert background.collect() == {}


SCRIPT = """
import subprocess
import sys
from pathlib import Path
from jaxcompare import report
from jaxcompare.report.draw import draw_all, names_of
folder = Path(sys.argv[1])
print("begun", flush=True)
tables = report.read_tables(folder)
found = draw_all(tables, {}, workers=2, languages=["en"], names=dict(list(names_of(tables, {}).items())[:2]))
print(len(found))
"""


@pytest.mark.parametrize("way", ["stdin", "a file without a guard"])
def test_any_script_can_draw_in_processes(results, tmp_path, way):
    (tmp_path / "script.py").write_text(SCRIPT)
    name = "-" if way == "stdin" else str(tmp_path / "script.py")
    command = [sys.executable, name, str(results)]
    done = subprocess.run(command, input=SCRIPT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n2\n", "")


@pytest.mark.parametrize(
    ("module", "name", "where"),
    [
        (sections, "measures", "comparison-mine-1"),
        (sections, "findings_blocks", "comparison-mine-1"),
        (content, "claimed", "claimed"),
        (content, "leaders", "comparison-mine"),
        (content, "every_view", "comparison-mine"),
    ],
)
def test_a_section_that_raises_stops_no_other(module, name, where, monkeypatch):
    monkeypatch.setattr(module, name, spilt)
    monkeypatch.setattr(report, "draw_all", lambda *_, **__: {})
    monkeypatch.setattr(report.html, "render", lambda blocks, *_: "")
    built = report.build(synthetic.tables("mine"), {}, synthetic.MANIFEST, languages=["en"])
    assert built.failures == [Failure(where, ERROR)]
    text = built.files["report.md"].decode()
    assert text.count(words.ENGLISH.say("report.not_told", error=ERROR)) == 1
    for key in ("report.summary", "report.environment", "report.reproduce"):
        assert f"## {words.ENGLISH.say(key)}" in text


def test_a_file_that_raises_stops_no_other(monkeypatch):
    monkeypatch.setattr(report, "draw_all", lambda *_, **__: {})
    monkeypatch.setattr(html, "render", spilt)
    monkeypatch.setattr(report.findings, "records", spilt)
    built = report.build(synthetic.tables("mine"), {}, synthetic.MANIFEST, languages=["en"])
    assert {one.name for one in built.failures} == {"findings.json", "report.html"}
    assert built.files.keys() == {"report.md", "experiment_mine_comparison_digits.csv"}


@pytest.mark.parametrize(("failures", "code"), [(0, 0), (2, 1)])
def test_a_run_says_by_its_exit_code_what_its_report_lacks(failures, code, monkeypatch, tmp_path):
    monkeypatch.setattr("jaxcompare.execution.pipeline.run", lambda *_: pipeline.Outcome("done", failures))
    assert run.main(["--exp", "b", "--quick", "--out", str(tmp_path / "out")]) == code
