"""Names of files: never too long for a file system, and never two files of one name."""

from pathlib import Path

import pandas as pd
import pytest
import synthetic

from jaxcompare import tensorboard
from jaxcompare.config import files
from jaxcompare.config.parse import parse
from jaxcompare.report import build
from jaxcompare.report.draw import names_of
from jaxcompare.words import localised

LONG = "my_package.module:" + 30 * "a_long_name_"
WRITTEN = len(".") + len(".ko") + len(".abcdefgh")  # what a language and an atomic write add
MOST = 143  # bytes, of the strictest file system that is common


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "한글" * 60 + ".png", "a" * 300, "실험" + "x" * 250 + ".toml"])
def test_a_long_name_is_cut_and_keeps_head_tail_and_what_tells_it_from_others(name):
    cut = files.safe(name)
    assert len(cut.encode()) + WRITTEN <= MOST
    assert (cut[:15], cut[-15:]) == (name[:15], name[-15:])
    assert cut != files.safe(name[:150] + "-" + name[150:])
    assert files.safe(cut) == cut


def test_no_file_of_a_report_has_too_long_a_name_and_none_replaces_another(monkeypatch):
    monkeypatch.setattr(
        "jaxcompare.report.draw_all", lambda *given, names, **named: {one: b"" for one, _ in names.values()}
    )
    plans = [
        synthetic.MINE._replace(experiment=name, cells=synthetic.grid(optimizer=levels, learning_rate=[0.1, 0.01]))
        for name, levels in [
            ("my exp", [LONG + "x", LONG + "y"]),
            ("my_exp", ["p:a", "p_a"]),
            ("한글" * 50, ["sgd", "adam"]),
        ]
    ]
    tables = synthetic.tables_of(plans)
    names = [name for name, _ in names_of(tables, {}).values()]
    assert len(names) == len(set(names)) == len({name.lower() for name in names})
    assert sum("results" in name and "lr" not in name for name in names) == 3
    csvs = [name for name in build(tables, languages=["en"]).files if name.endswith(".csv")]
    assert len(csvs) == 3
    for name in [*names, *csvs]:
        assert len(localised(name, "ko").encode()) + WRITTEN <= MOST


@pytest.mark.parametrize("names", [("one two", "one_two"), ("Wide", "wide")], ids=["signs", "case"])
def test_two_studies_whose_names_become_one_keep_a_picture_and_a_csv_each(names):
    tables = synthetic.tables("mine")
    other = {
        name: table.assign(**{key: table[key] + end for key in ("replica_id", "variant_id") if key in table})
        for name, table in tables.items()
        for end in ["-other"]
    }
    for each, study in zip((tables, other), names, strict=True):
        each["replicas"] = each["replicas"].assign(study=study)
    both = {
        name: pd.concat([tables[name], other[name]], ignore_index=True) for name in ("replicas", "history", "layers")
    }
    for found in ([name for name, _ in names_of(both, {}).values()], list(build(both, languages=["en"]).files)):
        assert len({name.casefold() for name in found}) == len(found)
    assert sum(name.endswith(".csv") for name in found) == 2


def test_a_folder_of_tensorboard_has_no_name_that_is_too_long():
    base = {"dataset": "moons", "hidden": [8], "options": {}}
    study = {"name": "s" * 300, "grid": {"activation": [LONG + "x", LONG + "y"], "learning_rate": [0.1, 0.2]}}
    comparison = parse("한글" * 60, {"base": base, "study": [study]})
    variants = comparison.studies[0].variants
    runs = [tensorboard.run_name(comparison.name, comparison.studies[0].name, variant) for variant in variants]
    assert len(set(runs)) == 4
    assert all(len(part.encode()) <= MOST for run in runs for part in run.split("/"))


def test_a_taken_name_is_marked_by_its_content():
    assert files.free("a.png", {"b.png"}, "one") == "a.png"
    marked = {files.free("a.png", {"a.png"}, content) for content in ("one", "two")}
    assert len(marked) == 2
    assert all(name.startswith("a-") and name.endswith(".png") for name in marked)


def test_names_of_the_shipped_results_are_not_cut():
    every = [path.name for path in (Path(__file__).parent.parent / "results").iterdir()]
    assert every
    assert [files.safe(name) for name in every] == every


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/x", "a/b", "a\\b", "C:x", ".run", "a\0b", "a\nb", "x" * 999, "/" * 999]
)
def test_a_name_is_one_visible_file_of_its_folder(tmp_path, name):
    found = files.safe(name)
    assert files.safe(found) == found
    (tmp_path / found).touch()
    assert [path.name for path in tmp_path.iterdir()] == [found]
    assert not found.startswith(".")


def test_a_pattern_reaches_nothing_but_its_placeholders():
    for pattern in (
        "{dataset.__class__}.png",
        "{comparison[0]}.png",
        "{dataset!r}.png",
        "{dataset:9999999999}.png",
        "{.png",
    ):
        assert files.problem("results", pattern)
