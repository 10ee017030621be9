"""Custom data sets: from functions, files, scikit-learn, TFDS and Python; each fault is one line."""

import contextlib
import io
import re
import tomllib
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.datasets import load_wine

from jaxcompare import compare, run
from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse
from jaxcompare.config.request import Request
from jaxcompare.data import DataError, custom, files, scaling, split
from jaxcompare.data.loading import load_datasets
from jaxcompare.execution import pipeline
from jaxcompare.execution.program_cache import ProgramCache
from jaxcompare.planning.material import make_material
from jaxcompare.planning.networks import parameters
from jaxcompare.planning.programs import programs_of
from jaxcompare.planning.recipes import make_recipe

BASE = {
    "input_scaling": "standardised", "hidden": [8], "batch_size": 32, "epochs": 2, "seeds": 2, "snapshots": 2,
}  # fmt: skip
GRID = {"learning_rate": [0.1, 0.3]}


def config(dataset, **base):
    return {"base": {**BASE, "dataset": dataset, **base}, "study": [{"grid": GRID}]}


def loaded(dataset, folder=None, given=None, **base):
    given = given or {}
    (found,) = load_datasets(
        [parse("x", config(dataset, **base), given={"dataset": list(given)})], folder=folder, given=given
    ).values()
    return found


def few(n=30, features=2, classes=3):
    """n examples, all different, with the classes in turn."""
    return np.arange(n * features, dtype=float).reshape(n, features), np.arange(n) % classes


def written(folder):
    """load_wine in each form that a file or a caller can have: the data set's name with its arguments."""
    x, y = load_wine(return_X_y=True)
    kinds = load_wine().target_names[y]
    np.savez(folder / "wine.npz", x=x, y=y)
    pd.DataFrame(x).assign(kind=kinds).to_csv(folder / "wine.csv", index=False)
    return {
        "sklearn.datasets:load_wine": {},
        "sklearn:load_wine": {},
        f"npz:{folder}/wine.npz": {},
        f"csv:{folder}/wine.csv": {"data_options": {"label": "kind"}},
        "wine": {},
    }


# --- one set from five places


def test_wine_is_the_same_set_from_everywhere(tmp_path, quick_compilation):
    summaries, programs = [], ProgramCache()  # one network: compiled once
    for name, base in written(tmp_path).items():
        data = {name: load_wine(return_X_y=True)} if name == "wine" else {}
        summary = compare(config(name, **base), data=data, programs=programs)["summary"]
        assert set(summary["dataset"]) == {name}
        summaries.append(summary.drop(columns=["dataset", "variant_id"]))
    for other in summaries[1:]:
        pd.testing.assert_frame_equal(summaries[0], other)
    assert summaries[0]["test_accuracy_mean"].max() > 0.8  # chance is 0.4


def test_names_of_classes_come_from_texts_and_from_scikit_learn(tmp_path):
    for name, base in written(tmp_path).items():
        given = {"wine": load_wine(return_X_y=True)} if name == "wine" else {}
        texts = name.startswith(("csv", "sklearn"))
        names = ("class_0", "class_1", "class_2") if texts else ("0", "1", "2")
        assert loaded(name, given=given, **base).class_names == names


def test_files_are_beside_the_config(tmp_path):
    np.savez(tmp_path / "mine.npz", x=few()[0], y=few()[1])
    assert loaded("npz:mine.npz", tmp_path).x_train.shape == (24, 2)


# --- the forms of arrays


def test_a_fifth_is_taken_for_testing_and_every_class_is_in_it():
    found = custom.as_dataset("m", few(100), seed=0, source="here")
    assert (len(found.y_train), len(found.y_test), found.source) == (80, 20, "here, 20% for testing, seed 0")
    assert sorted([*found.x_train[:, 0], *found.x_test[:, 0]]) == sorted(few(100)[0][:, 0])
    assert set(found.y_test) == {0, 1, 2}
    assert not np.array_equal(found.x_test, custom.as_dataset("m", few(100), seed=1, source="").x_test)


SPLIT = namedtuple("SPLIT", ["train", "validation", "test"])
FORMS = {
    "a named tuple": SPLIT(few(30), few(12), few(9)),
    "a dict of pairs": {"train": few(30), "validation": few(12), "test": few(9)},
    "a dict of dicts": {
        name: dict(zip(("x", "y"), few(n), strict=True)) for name, n in (("train", 30), ("validation", 12), ("test", 9))
    },
    "flat keys": {
        f"{kind}_{name}": few(n)["xy".index(kind)]
        for name, n in (("train", 30), ("validation", 12), ("test", 9))
        for kind in "xy"
    },
}


@pytest.mark.parametrize("value", FORMS.values(), ids=FORMS)
def test_given_splits_are_kept(value):
    found = custom.as_dataset("m", value, seed=0, source="")
    parts = split(found, validation_fraction=0.5, seed=0)
    assert [len(part.y) for part in parts] == [30, 12, 9]
    assert np.array_equal(parts.validation.x, few(12)[0])
    assert sorted(parts.train.x[:, 0]) == sorted(few(30)[0][:, 0])
    assert not np.array_equal(parts.train.x, few(30)[0])  # shuffled: any head is a random sample


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([3, 7, -1], ("-1", "3", "7")),
        ([2.0, 1.0, 4.0], ("1", "2", "4")),
        ([True, False, True], ("False", "True")),
        (["b", "a", "ü"], ("a", "b", "ü")),
    ],
)
def test_labels_become_numbers_in_the_order_of_their_values(labels, names):
    y = labels * 10
    found = custom.as_dataset("m", {"train": (few()[0], y), "test": (few()[0], y)}, seed=0, source="")
    assert found.class_names == names
    assert [names[label] for label in found.y_test] == [str(one).removesuffix(".0") for one in y]
    assert found.y_test.dtype == np.int32


def test_given_class_names_decide_the_order():
    value = {"x": few()[0], "y": ["low", "mid", "high"] * 10, "class_names": ["low", "mid", "high"]}
    assert custom.as_dataset("m", value, seed=0, source="").class_names == ("low", "mid", "high")


def test_there_may_be_many_classes():
    found = custom.as_dataset("m", few(3000, classes=500), seed=0, source="")
    assert (found.classes, len(found.class_names)) == (500, 500)


def test_pixels_stay_bytes_and_images_keep_their_shape():
    x = np.arange(30 * 4 * 5 * 3).reshape(30, 4, 5, 3) % 256
    bytes_, floats = (custom.as_dataset("m", (x.astype(t), few()[1]), seed=0, source="") for t in ("uint8", "int64"))
    assert (bytes_.x_train.shape, bytes_.x_train.dtype, bytes_.input_max) == ((24, 4, 5, 3), np.uint8, 255.0)
    assert (floats.x_train.dtype, floats.input_max) == (np.float32, None)


def test_unit_scaling_of_numbers_is_by_the_largest_of_the_training_split():
    scale, shift = scaling(np.array([[1.0, -8.0], [2.0, 4.0]]), "unit", None)
    assert (scale.item(), shift.item()) == (0.125, 0.0)


# --- CSV

CSV = "id,size,colour,species\n" + "".join(f"{n},{n / 2},{'red' if n % 2 else 'blue'},s{n % 3}\n" for n in range(30))


def test_texts_of_a_csv_become_columns_of_0_and_1(tmp_path):
    (tmp_path / "b.csv").write_text(CSV)
    found = loaded("csv:b.csv", tmp_path, data_options={"label": "species", "drop": ["id"]})
    assert found.class_names == ("s0", "s1", "s2")
    n = found.x_train[:, 0] * 2
    assert np.array_equal(found.x_train[:, 1:], np.stack([n % 2 == 0, n % 2 == 1], axis=1))
    assert np.array_equal(found.y_train, n % 3)


def test_columns_may_be_numbers_and_the_header_may_lack(tmp_path):
    (tmp_path / "h.csv").write_text(CSV)
    (tmp_path / "n.csv").write_text(CSV.partition("\n")[2].replace(",", ";"))
    with_header = loaded("csv:h.csv", tmp_path, data_options={"label": -1, "drop": [0]})
    without = loaded("csv:n.csv", tmp_path, data_options={"label": 3, "drop": 0, "header": False, "separator": ";"})
    assert with_header.digest == without.digest


WRONG_CSV = {
    "no label": ({}, CSV, "data_options.label is missing, the column of the classes; the columns are id, size, colour"),
    "another label": ({"label": "specis"}, CSV, r"label = 'specis': there is no such column; did you mean species\?"),
    "a far column": ({"label": 9}, CSV, "data_options.label = 9: there is no such column"),
    "another dropped": ({"label": "species", "drop": ["x"]}, CSV, "data_options.drop = 'x': there is no such column"),
    "dropped label": ({"label": "species", "drop": "species"}, CSV, "data_options.drop = 'species' has the label"),
    "a header": ({"label": 0, "header": "yes"}, CSV, "data_options.header = 'yes' is neither true nor false"),
    "a separator": ({"label": 0, "separator": "--"}, CSV, "data_options.separator = '--' is not one sign"),
    "an empty cell": (
        {"label": "species"}, CSV.replace("\n3,1.5", "\n3,"), "column 'size' is empty or NaN in 1 of 30 rows, first in row 3"
    ),
    "an empty text": ({"label": "species"}, CSV.replace("\n3,1.5,red", "\n3,1.5,"), "column 'colour' is empty or NaN in 1"),
    "more cells": ({"label": "species"}, CSV + "1,2,red,s0,5\n", "cannot be read as CSV: ParserError"),
    "more cells in all": ({"label": "species"}, CSV.replace("\n", ",1\n").replace("species,1", "species"), "ParserWarning"),
    "nothing": ({"label": "species"}, "", "cannot be read as CSV: EmptyDataError"),
    "no text": ({"label": "species"}, "\0\x01\x02", "the column|no such column|cannot be read"),
    "many texts": (
        {"label": "s"}, "t,s\n" + "".join(f"t{n},{n % 2}\n" for n in range(200)),
        "column 't' has 200 different texts, 't0' for example; it must have at most 100, or be in data_options.drop",
    ),
    "only the label": ({"label": "s"}, "s\na\nb\na\nb\n", r"x has the shape \(4, 0\)"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "text", "message"), WRONG_CSV.values(), ids=WRONG_CSV)
def test_a_wrong_csv_is_one_line(tmp_path, options, text, message):
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(DataError, match=f"^dataset = 'csv:b.csv': .*{message}") as caught:
        loaded("csv:b.csv", tmp_path, data_options=options)
    assert len(str(caught.value).splitlines()) == 1


# --- faults

X, Y = few()
NAN = np.where(np.arange(60).reshape(30, 2) == 14, np.nan, X)
WRONG = {
    "no pair": (X, "a ndarray is no data"),
    "three": ((X, Y, Y), "a tuple of 3 is no data; it must be"),
    "nothing": (None, "a NoneType is no data"),
    "lengths": ((X, Y[:-1]), "train: x has 30 examples and y has 29"),
    "flat x": ((X[:, 0], Y), r"x has the shape \(30,\); it must be \(examples, features\)"),
    "empty": ((X[:0], Y[:0]), r"train: x has the shape \(0, 2\)"),
    "ragged": (([[1.0], [1.0, 2.0]] * 15, Y), "the examples in x have different shapes"),
    "objects": ((X.astype(object), Y), "x has the type object; it must be numbers"),
    "complex": ((X * 1j, Y), "x has the type complex128"),
    "NaN": ((NAN, Y), r"train: x is NaN, infinite or too large for float32 in 1 of 30 examples, first in example 7 \(from 0\)"),
    "infinite": ((np.where(X > 57, np.inf, X), Y), "in 1 of 30 examples, first in example 29"),
    "too large": ((X * 1e38, Y), "too large for float32"),
    "one-hot": ((X, np.eye(3)[Y]), r"y has the shape \(30, 3\); .* take the argmax"),
    "ragged labels": ((X, [[1], [1, 2]] * 15), "y has entries of different lengths"),
    "fractions": ((X, Y / 2), r"y = 0.5 in example 1 \(from 0\) is no class; it must be a whole number or a text"),
    "NaN label": ((X, np.where(Y == 1, np.nan, Y)), "y = nan in example 1"),
    "missing text": ((X, np.array(["a", None, "b"] * 10, object)), "y = None in example 1"),
    "dates": ((X, np.full(30, "2020-01-01", "M8[D]")), r"y has the type datetime64\[D\]"),
    "regression": ((X, np.arange(30)), "y has 30 different numbers in 30 examples, which are no classes"),
    "one class": ((X, Y * 0), "all labels are '0'; there must be at least two classes"),
    "a lone example": ((X[:2], np.array(["a", "b"])), "2 examples are too few to take 20% of them for testing"),
    "unknown key": ({"train": (X, Y), "valid": (X, Y)}, r"there is no place for 'valid': did you mean validation\?"),
    "test beside x": ({"x": X, "y": Y, "x_test": X}, "there is no place for 'x_test' beside x and y"),
    "no y": ({"x_train": X}, "x_train is missing|y_train is missing"),
    "no train": ({"test": (X, Y)}, "there are no training examples beside test"),
    "shapes": ({"train": (X, Y), "test": (X[:, :1], Y)}, r"examples have different shapes: train \(2,\), test \(1,\)"),
    "a new class": ({"train": (X, Y), "test": (X, Y + 1)}, "there is no training example of class '3'"),
    "beyond the names": (
        {"x": X, "y": Y, "class_names": ["a", "b"]}, "y = 2 is no class of the 2 in class_names; it must be 0 to 1"
    ),
    "not in the names": (
        {"x": X, "y": ["cat", "dgo", "dog"] * 10, "class_names": ["cat", "dog"]}, r"y = 'dgo' is no class .*did you mean dog\?"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("value", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arrays_are_one_line(value, message):
    with pytest.raises(DataError, match=f"^dataset = 'mine': .*{message}") as caught:
        loaded("mine", given={"mine": value})
    assert len(str(caught.value).splitlines()) == 1


def test_the_closest_name_of_a_caller_is_said():
    with pytest.raises(ConfigError, match=r"base.dataset = 'wnie': no dataset 'wnie'; did you mean wine\?"):
        compare(config("wnie"), data={"wine": few()})


@pytest.mark.parametrize("name", ["moons", "csv:x", "", 3])
def test_a_caller_gives_no_name_that_means_something_else(name):
    with pytest.raises(ConfigError, match=f"^data: {re.escape(repr(name))} is"):
        compare(config("moons"), data={name: few()})


FUNCTIONS = """
import numpy as np
def rows(n=30, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, 2))
    return x, np.arange(n) % 3
def fails():
    raise ValueError("two\\nlines")
def plane(n=30):
    return np.zeros((n, 3, 4, 1)) + np.arange(n)[:, None, None, None], np.arange(n) % 3
"""
TOML = """
title = "Mine"
[base]
dataset = {dataset!r}
input_scaling = "standardised"
hidden = [4]
batch_size = 8
epochs = 1
seeds = 1
snapshots = 2
{base}
[[study]]
[study.grid]
learning_rate = [0.1, 0.3]
"""


def ran(folder, dataset, base="", *options):
    """Exit code and lines on stderr of the command for a config beside which there are functions and files."""
    (folder / "mine.toml").write_text(TOML.format(dataset=dataset, base=base))
    (folder / "functions_of_data.py").write_text(FUNCTIONS)
    np.savez(folder / "mine.npz", x=X, y=Y)
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()) as printed:
        code = run.main(["--exp", str(folder / "mine.toml"), "--out", str(folder / "out"), *options])
    return code, said.getvalue().splitlines(), printed.getvalue()


REFUSED = {
    "no such source": ("my data.csv", "", "base.dataset = 'my data.csv': no dataset 'my data.csv'; .*\"csv:FILE\""),
    "no file": ("csv: ", "", "base.dataset = 'csv: ': no FILE after the colon"),
    "no such set": ("sklearn:load_wines", "", r"scikit-learn includes no such set with classes; did you mean load_wine\?"),
    "missing file": ("npz:mime.npz", "", r"dataset = 'npz:mime.npz': there is no file .*mime.npz; did you mean mine.npz\?"),
    "no file at all": ("csv:empty/b.csv", "", "there is no file .*empty/b.csv; its folder has no .csv file"),
    "a long name": (f"npz:{'n' * 300}", "", "nnn: cannot be read: File name too long"),
    "a folder": ("npz:.", "", "there is no file"),
    "no set of TFDS": ("tfds:no_such_set", "", "dataset = 'tfds:no_such_set': no set of this name is prepared in "),
    "no module": ("no_such_module_at_all:rows", "", "dataset: cannot import 'no_such_module_at_all'"),
    "no function": ("functions_of_data:row", "", r"dataset: 'functions_of_data' has no 'row'; did you mean rows\?"),
    "a failing one": ("functions_of_data:fails", "", "the function fails: ValueError: two lines"),
    "another argument": (
        "functions_of_data:rows", "data_options = {m = 3}", r"data_options.m is no argument of the function; .*known: n, seed"
    ),
    "an option of none": ("npz:mine.npz", "data_options = {label = 'y'}", "data_options.label has no effect on dataset"),
    "an option of another": (
        "csv:b.csv", "data_options = {labels = 'y'}", r"data_options.labels has no effect on .*did you mean label\?"
    ),
    "an option of a built-in": ("moons", "data_options = {label = 'y'}", "data_options.label is for a custom data set"),
    "options of no table": ("npz:mine.npz", "data_options = 3", "base.data_options = 3 is not a table"),
    "a table in options": (
        "functions_of_data:rows", "data_options = {n = {a = 1}}", "base.data_options.n = .* is not a text, a finite number"
    ),
    "a small set": (
        "functions_of_data:rows", "data_options = {n = 9}",
        "batch_size = 8 is more than the 6 training examples of functions_of_data:rows; it must be at most 6",
    ),
    "no images": (
        "functions_of_data:rows", "model = 'cnn'", r"model 'cnn' needs images, and an example of .* has the shape \(2,\)"
    ),
    "small images": (
        "functions_of_data:plane", "model = 'cnn'\nchannels = [2, 2]",
        r"channels = \[2, 2\] halves an image 2 times, and images .* \(3, 4, 1\); it must be at most 1 long",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("dataset", "base", "message"), REFUSED.values(), ids=REFUSED)
def test_a_config_with_wrong_data_is_refused_with_one_line(tmp_path, monkeypatch, dataset, base, message):
    monkeypatch.setattr("jaxcompare.execution.compare.LocalTraining", lambda *_: pytest.fail("training starts"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    code, lines, _ = ran(tmp_path, dataset, base)
    assert (code, len(lines)) == (2, 1), lines
    assert re.search(message, lines[0]), lines
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.png"))


# --- what a run does with them


def test_the_content_of_the_data_decides_whether_a_run_is_complete(tmp_path, undrawn, quick_compilation):
    assert ran(tmp_path, "npz:mine.npz")[0] == 0
    assert "complete already" in ran(tmp_path, "npz:mine.npz")[2]
    before = pd.read_parquet(tmp_path / "out" / "tables" / "replicas.parquet")
    X[0, 0] += 1  # `ran` writes the file again
    try:
        assert "complete already" not in ran(tmp_path, "npz:mine.npz")[2]
    finally:
        X[0, 0] -= 1
    after = pd.read_parquet(tmp_path / "out" / "tables" / "replicas.parquet")
    assert (before["variant_id"] == after["variant_id"]).all()
    assert (before["data_digest"] != after["data_digest"]).all()


def test_an_edit_of_a_data_function_without_effect_on_the_arrays_trains_nothing(tmp_path, monkeypatch):
    comparison = parse("x", config("functions_of_data:rows"))
    request = Request(out=tmp_path)
    found = {("x",): custom.as_dataset("m", few(), seed=0, source="")}
    digest = pipeline._run_digest([comparison], request, found)
    assert pipeline._run_digest([comparison], request, {("y",): found["x",]._replace(source="elsewhere")}) == digest
    assert pipeline._run_digest([comparison], request, {("x",): found["x",]._replace(digest="0")}) != digest


def test_material_warns_of_missing_classes_and_constant_features():
    x, y = few(60)
    x[:, 1] = 5
    value = {"train": (x, y), "test": (x[y < 2], y[y < 2])}
    found = custom.as_dataset("m", {**value, "class_names": ["a", "b", "c"]}, seed=0, source="")
    (variant, _) = parse("x", config("m", validation_fraction=0.2), given={"dataset": ["m"]}).studies[0].variants
    warned = make_material(found, variant.settings).warnings
    assert [one.key for one in warned] == ["data.missing_class", "data.constant_features"]
    assert warned[0].values == {"split": "test", "names": "c", "count": 1}
    assert warned[1].values == {"count": 1, "of": 2, "places": "1"}
    assert len(make_material(found, replace(variant.settings, input_scaling="unit")).warnings) == 1


def test_the_report_has_classes_and_warnings(tmp_path, undrawn, quick_compilation):
    (tmp_path / "b.csv").write_text(CSV.replace(",red", ",blue"))
    code, _, _ = ran(tmp_path, "csv:b.csv", "data_options = {label = 'species', drop = ['id']}", "--lang", "both")
    assert code == 0
    page = (tmp_path / "out" / "report.md").read_text()
    assert "s0, s1, s2" in page
    assert "csv:b.csv: 1 of 2 features are the same in all training examples (columns 1, counted from 0)" in page
    assert "특성 2개 중 1개는 모든 훈련 예제에서 값이 같다" in (tmp_path / "out" / "report.ko.md").read_text()


# --- images


def coloured(n=60):
    """Images of 6 by 4 pixels in three colours, whose class is their colour."""
    x = np.random.default_rng(0).random((n, 6, 4, 3)) / 2
    y = np.arange(n) % 3
    x[np.arange(n), :, :, y] += 0.5
    return x, y


def test_a_cnn_trains_on_images_of_any_size_and_channels(quick_compilation):
    small = {"model": "cnn", "channels": [4], "kernel_size": 3, "batch_size": 8, "epochs": 10}
    tables = compare(config("colours", **small), data={"colours": coloured()})
    assert tables["summary"]["test_accuracy_mean"].max() > 0.8
    # Kernels and biases: 3 * 3 * 3 * 4 + 4; pooled to 3 by 2 pixels, 3 * 2 * 4 * 8 + 8; 8 * 3 + 3.
    assert set(tables["replicas"]["parameters"]) == {112 + 200 + 27}
    assert list(tables["layers"]["layer"].unique()) == ["conv_1", "hidden_1", "output"]


@pytest.mark.parametrize(("model", "shape"), [("mlp", (6, 4, 3)), ("cnn", (6, 4, 3)), ("cnn", (5, 7)), ("cnn", (49,))])
def test_parameters_are_those_of_the_network(model, shape):
    x = np.random.default_rng(0).random((30, *shape))
    made = parse("x", config("m", model=model, batch_size=8), given={"dataset": ["m"]})
    (program,) = programs_of(made, load_datasets([made], given={"m": (x, Y)}), platform="cpu")
    params = make_recipe(program).model.init(jax.random.key(0), program.material.data.train.x[:1])
    assert parameters(program.settings, shape, 3) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_the_shape_of_an_example_is_nothing_to_a_perceptron(quick_compilation):
    x, y = coloured()
    whole, flat = (
        compare(config("m", batch_size=8, optimizer="sgd"), data={"m": (one, y)})["summary"]
        for one in (x, x.reshape(len(x), -1))
    )
    pd.testing.assert_frame_equal(whole, flat)


# --- the document


def blocks(language):
    """The code of the section on data."""
    text = (Path(__file__).parent.parent / "docs" / "your_own.md").read_text()
    return re.findall(
        rf"```{language}\n(.*?)```", text.partition("\n## Data\n")[2].partition("\n## ")[0], flags=re.DOTALL
    )


def test_the_examples_of_the_document_run(tmp_path, capsys, quick_compilation):
    (code,), (toml,) = blocks("python"), blocks("toml")
    exec(compile(code, "your_own.md", "exec"), {})
    assert "adam" in capsys.readouterr().out
    (tmp_path / "flowers.csv").write_text(CSV)
    (found,) = load_datasets([parse("x", tomllib.loads(toml))], folder=tmp_path).values()
    assert found.class_names == ("s0", "s1", "s2")


def test_names_of_sources_are_those_that_are_read():
    assert tuple(files.SOURCES) == tuple(names.DATA_SOURCES)
    assert all(hasattr(datasets, name) for name in names.SKLEARN_SETS)


# --- sets prepared by TFDS


def test_a_prepared_set_is_read_with_its_splits_and_class_names(tmp_path, monkeypatch):
    tfds, image = pytest.importorskip("tensorflow_datasets"), pytest.importorskip("PIL.Image")
    from tensorflow_datasets.core import registered

    def examples(x, y):
        for number, (pixels, label) in enumerate(zip(x, y, strict=True)):
            image.fromarray(pixels).save(file := io.BytesIO(), "png")
            file.seek(0)
            yield number, {"picture": file, "kind": int(label)}

    x = (255 * coloured(36)[0]).astype(np.uint8)
    y = coloured(36)[1]
    with registered.skip_registration():

        class Colours(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {
                    "picture": tfds.features.Image(shape=(6, 4, 3)),
                    "kind": tfds.features.ClassLabel(names=["red", "green", "blue"]),
                }
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("picture", "kind")
                )

            def _split_generators(self, manager):
                return {"train": examples(x[:18], y[:18]), "validation": examples(x[18:27], y[18:27]),
                        "test": examples(x[27:], y[27:])}  # fmt: skip

            def _generate_examples(self):
                raise NotImplementedError

    tfds.disable_progress_bar()
    Colours(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    found = loaded("tfds:colours")
    assert found.class_names == ("red", "green", "blue")
    assert (found.x_train.shape, found.x_train.dtype) == ((18, 6, 4, 3), np.uint8)
    assert [len(found.y_train), len(found.validation[1]), len(found.y_test)] == [18, 9, 9]
    for part, label in zip(found.x_test, found.y_test, strict=True):  # TFDS shuffles
        assert any(np.array_equal(part, whole) and label == kind for whole, kind in zip(x, y, strict=True))
