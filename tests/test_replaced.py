"""Results give way to those that contain them; another config of the same name is an error that names both."""

import json
import math
import tomllib

import pytest

from jaxcompare.config import overrides
from jaxcompare.config.errors import InputError
from jaxcompare.config.identity import asked, lost
from jaxcompare.config.parse import parse, quick
from jaxcompare.execution.replaced import check_replaced
from jaxcompare.system.manifest import write_manifest

CONFIG = """
title = "Tiny"
question = "Does it run?"
[base]
dataset = "moons"
epochs = 10
[[study]]
[study.grid]
optimizer = ["sgd", "momentum"]
clip_norm = [1, inf]
"""


def held(folder, config=CONFIG, *, recorded=True, changes=(), name="mine"):
    """Write the manifest of a run of a config, as `execution.manifest` does."""
    read = tomllib.loads(config)
    comparison = parse(name, overrides.apply({name: read}, changes)[name])
    settings = comparison.studies[0].variants[0].settings
    base = {"seeds": settings.seeds, "epochs": settings.epochs}
    record = {"title": comparison.title, "question": comparison.question, "command": "jaxcompare --exp x/mine.toml"}
    record["config"] = {"study": [{"name": study.name, "base": base} for study in comparison.studies]}
    if recorded:
        record["asked"] = asked(name, read)
    write_manifest(folder, {"jaxcompare": "0", "experiments": {name: record}})
    return folder


def check(folder, config=CONFIG, changes=(), name="mine", short=False):
    read = tomllib.loads(config)
    changed = overrides.apply({name: quick(read) if short else read}, changes)[name]
    check_replaced(folder, [parse(name, changed)], {name: asked(name, read)})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"Tiny"', '"Other"', "the title 'Tiny', here 'Other'"),
        ("Does it run?", "Is it fast?", "the question 'Does it run?', here 'Is it fast?'"),
        ("[[study]]", '[[study]]\nname = "second"', "study 'main', which this config lacks"),
        ('["sgd", "momentum"]', '["lion"]', r"study 'main' with optimizer = ['sgd', 'momentum'], here ['lion']"),
        (
            'optimizer = ["sgd", "momentum"]',
            'loss = ["mse"]',
            "'main' over clip_norm, optimizer, here over clip_norm, loss",
        ),
        ("[1, inf]", "[inf]", "clip_norm = [1, 'inf'], here [inf]"),
    ],
)
def test_another_config_of_the_same_name_does_not_replace_the_results(tmp_path, old, new, said):
    folder = held(tmp_path)
    assert CONFIG.count(old) == 1
    with pytest.raises(InputError) as error:
        check(folder, CONFIG.replace(old, new))
    for part in (f"--out {folder}", "named 'mine' (jaxcompare --exp x/mine.toml)", said, "--force", "another --out"):
        assert part in str(error.value)


def test_other_combinations_of_the_same_levels_are_another_config(tmp_path):
    grids = "[[study.grid]]\noptimizer = ['sgd']\nclip_norm = [1]\n[[study.grid]]\noptimizer = ['momentum']\nclip_norm = [inf]"
    product = "[study.grid]\n" + CONFIG.partition("[study.grid]\n")[2]
    check(held(tmp_path, CONFIG.replace(product, grids)))  # the product contains the union
    with pytest.raises(InputError, match="study 'main' with other combinations of clip_norm, optimizer"):
        check(held(tmp_path), CONFIG.replace(product, grids))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs = 10", "epochs = 12\nseeds = 9"),
        ("[1, inf]", "[1.0, inf, 3.0]"),
        ("[1, inf]", "[inf, 1]"),
        ('["sgd", "momentum"]', '["sgd", "momentum", "lion"]'),
        ("[[study]]", '[[study]]\nname = "second"\n[[study]]'),
        ("[[study]]", '[[study]]\nname = "main"'),
        ("[base]", '[words.ko]\ntitle = "작음"\n[base]\nlearning_rate = 0.2'),
    ],
)
def test_more_of_the_same_question_joins_the_results(tmp_path, old, new):
    assert CONFIG.count(old) == 1
    check(held(tmp_path), CONFIG.replace(old, new))


@pytest.mark.parametrize(
    "changes",
    [
        ["base.seeds=7"],
        ["base.epochs=20"],
        ["study.main.grid.optimizer=['lion']"],
        ["title=Mine", "question=Why?"],
        ["study.main.claims=[]"],
    ],
)
def test_overrides_do_not_make_another_config(tmp_path, changes):
    check(held(tmp_path / "plain"), changes=changes)
    if "base.seeds=7" not in changes and "base.epochs=20" not in changes:
        check(held(tmp_path / "changed", changes=changes))


def test_fewer_seeds_or_epochs_still_need_force(tmp_path):
    with pytest.raises(InputError, match="with epochs = 10 in study 'main', and this run has 3"):
        check(held(tmp_path), changes=["base.epochs=3"])
    with pytest.raises(InputError, match="with seeds = 5 in study 'main', and this run has 2"):
        check(held(tmp_path), short=True)


def test_without_a_record_title_and_question_decide(tmp_path):
    folder = held(tmp_path, recorded=False)
    check(folder)
    check(folder, CONFIG.replace('["sgd", "momentum"]', '["lion"]'))
    with pytest.raises(InputError, match="the title 'Tiny', here 'Other'"):
        check(folder, CONFIG.replace("Tiny", "Other"))


def test_comparisons_of_other_names_and_other_folders_are_left_alone(tmp_path):
    check(held(tmp_path), CONFIG.replace("Tiny", "Other"), name="yours")
    check(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text(json.dumps({"of": "somebody else"}))
    check(tmp_path)


def test_the_one_text_of_a_level_does_not_depend_on_its_spelling():
    one, other = ({"title": "", "question": "", "studies": {"main": [{"clip_norm": levels}]}}
                  for levels in ([1, math.inf], [1.0, "inf"]))  # fmt: skip
    assert lost(one, other) == lost(other, one) == ""
