"""Splits, scaling and the data sets that are made here: laws and exact numbers."""

import subprocess
import sys

import numpy as np
import pytest

from jaxcompare import data
from jaxcompare.config import names
from jaxcompare.data import base, splits, toys

ARGUMENTS = {"data_seed": 0, "samples": 300, "test_samples": 200, "noise": None, "factor": 0.5}


def dataset_of(counts, features=3):
    """A data set whose examples differ in their first feature."""
    y = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    x = np.arange(len(y) * features, dtype=np.float32).reshape(len(y), features)
    test = (x[:5] + 1e6, y[:5])
    names_of_classes = tuple(str(label) for label in range(len(counts)))
    return data.Dataset("made", x, y, *test, len(counts), names_of_classes, 1.0, "here", "")


def class_counts(examples, classes):
    return np.bincount(examples.y, minlength=classes).tolist()


def test_registry_equals_names():
    assert tuple(data.DATASETS) == tuple(names.DATASETS)
    assert names.DATASETS["moons"]["noise"] == toys.MOONS_NOISE
    assert names.DATASETS["circles"]["noise"] == toys.CIRCLES_NOISE
    assert {option for options in names.DATASETS.values() for option in options} <= set(data.Options._fields)


def test_importing_the_data_layer_imports_neither_jax_nor_anything_slow():
    code = (
        "import sys, jaxcompare.data.base, jaxcompare.data as d;"
        "print(sorted({'jax', 'sklearn', 'tensorflow_datasets', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_name_lists_names_and_the_closest():
    with pytest.raises(data.DataError, match=r"'mons'; did you mean moons\? \(known: fashion_mnist, digits"):
        data.load("mons", **ARGUMENTS)


@pytest.mark.parametrize("name", ["digits", "moons", "circles"])
def test_made_sets_have_their_shapes_and_digest(name):
    dataset = data.load(name, **ARGUMENTS)
    arrays = (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    assert dataset.name == name
    assert dataset.digest == base.digest(*arrays)
    assert dataset.y_train.dtype == dataset.y_test.dtype == np.int32
    assert set(dataset.y_train) == set(dataset.y_test) == set(range(dataset.classes))
    assert len(dataset.class_names) == dataset.classes
    assert dataset.x_train.shape[1:] == dataset.x_test.shape[1:] == ((64,) if name == "digits" else (2,))
    assert dataset.x_train.dtype == (np.uint8 if name == "digits" else np.float32)


@pytest.mark.parametrize("name", ["digits", "moons", "circles"])
def test_made_sets_are_decided_by_the_seed(name):
    first, again, other = (data.load(name, **{**ARGUMENTS, "data_seed": seed}) for seed in (3, 3, 4))
    assert first.digest == again.digest
    assert first.digest != other.digest


@pytest.mark.parametrize("name", ["moons", "circles"])
def test_toy_test_set_is_drawn_apart(name):
    dataset = data.load(name, **{**ARGUMENTS, "test_samples": 300})
    assert len(dataset.x_train) == len(dataset.x_test) == 300
    shared = {row.tobytes() for row in dataset.x_train} & {row.tobytes() for row in dataset.x_test}
    assert not shared
    assert not np.array_equal(dataset.y_train, dataset.y_test)  # the order is drawn apart as well


def test_toys_without_noise_lie_on_their_curves():
    moons = data.load("moons", **{**ARGUMENTS, "noise": 0.0})
    upper = moons.x_train[moons.y_train == 0]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, atol=1e-6)
    circles = data.load("circles", **{**ARGUMENTS, "noise": 0.0, "factor": 0.25})
    radii = np.hypot(*circles.x_train.T)
    np.testing.assert_allclose(radii, np.where(circles.y_train == 0, 1, 0.25), atol=1e-6)


@pytest.mark.parametrize(("name", "noise"), [("moons", 0.2), ("circles", 0.1)])
def test_noise_none_is_the_sets_own(name, noise):
    digests = {data.load(name, **{**ARGUMENTS, "noise": level}).digest for level in (None, noise)}
    assert len(digests) == 1
    assert data.load(name, **{**ARGUMENTS, "noise": noise / 2}).digest not in digests


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("moons", {"noise": -1.0}, "noise"),
        ("moons", {"samples": 1}, "at least 2"),
        ("circles", {"factor": 1.0}, "factor"),
        ("moons", {"data_seed": -1}, "seed"),
        ("digits", {"data_seed": -1}, "seed"),
    ],
)
def test_impossible_arguments_are_data_errors(name, changed, message):
    with pytest.raises(data.DataError, match=message):
        data.load(name, **{**ARGUMENTS, **changed})


def test_digits_are_all_there_and_stratified():
    dataset = data.load("digits", **ARGUMENTS)
    assert (len(dataset.x_train), len(dataset.x_test)) == (1438, 359)
    counts = [np.bincount(y) for y in (dataset.y_train, dataset.y_test)]
    total = counts[0] + counts[1]
    assert total.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # Alpaydin and Kaynak's test set
    assert np.all(np.abs(counts[1] - total * 359 / 1797) < 1)
    assert dataset.x_train.max() == dataset.input_max == 16


def test_split_proportions_are_exact():
    parts = data.split(dataset_of([10, 20, 70]), validation_fraction=0.1, seed=0)
    assert class_counts(parts.validation, 3) == [1, 2, 7]
    assert class_counts(parts.train, 3) == [9, 18, 63]


def test_split_gives_leftovers_to_the_largest_remainders():
    # 17 examples, round(0.3 * 17) = 5 taken: shares 5 * (3, 6, 8) / 17 = 0.88, 1.76, 2.35
    assert splits.quotas(np.array([3, 6, 8]), 0.3).tolist() == [1, 2, 2]
    assert splits.quotas(np.array([5, 5, 5]), 1 / 3 + 0.05).tolist() == [2, 2, 2]
    assert splits.quotas(np.array([2, 2, 2]), 1 / 6).tolist() == [1, 0, 0]  # of equals the lower class goes first


def test_split_parts_the_training_set_and_leaves_the_test_set():
    dataset = dataset_of([30, 31, 32])
    parts = data.split(dataset, validation_fraction=0.25, seed=5)
    both = np.concatenate([parts.train.x[:, 0], parts.validation.x[:, 0]])
    assert sorted(both) == sorted(dataset.x_train[:, 0])
    label_of = dict(zip(dataset.x_train[:, 0], dataset.y_train, strict=True))
    for part in (parts.train, parts.validation):
        assert [label_of[x] for x in part.x[:, 0]] == part.y.tolist()
    assert parts.test.x is dataset.x_test
    assert parts.test.y is dataset.y_test


def test_split_is_decided_by_the_seed():
    dataset = dataset_of([50, 50])
    first, again, other = (data.split(dataset, validation_fraction=0.2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    np.testing.assert_array_equal(first.validation.x, again.validation.x)
    assert set(first.validation.x[:, 0]) != set(other.validation.x[:, 0])


def test_any_head_of_the_training_split_is_mixed():
    parts = data.split(dataset_of([500, 500]), validation_fraction=0.0, seed=0)
    assert 30 < parts.train.y[:100].sum() < 70


def test_split_of_nothing_leaves_empty_validation():
    dataset = dataset_of([3, 1])
    parts = data.split(dataset, validation_fraction=0.0, seed=0)
    assert len(parts.train.x) == 4
    assert parts.validation.x.shape == (0, 3)
    assert parts.validation.x.dtype == np.float32
    assert parts.validation.y.shape == (0,)


@pytest.mark.parametrize(
    ("fraction", "message"),
    [(0.9, "leaves none to train on of class 1"), (1.0, r"in \[0, 1\)"), (-0.1, r"in \[0, 1\)"), (float("nan"), "in")],
)
def test_impossible_fractions_are_data_errors(fraction, message):
    with pytest.raises(data.DataError, match=message):
        data.split(dataset_of([40, 1]), validation_fraction=fraction, seed=0)


def test_unit_and_no_scaling():
    x = np.array([[0, 51], [255, 102]], np.uint8)
    scale, shift = data.scaling(x, "unit", 255.0)
    np.testing.assert_allclose(x * scale + shift, x / 255, rtol=1e-6)
    assert data.scaling(x, "none", 255.0) == (1, 0)
    assert scale.dtype == shift.dtype == np.float32


def test_standardised_images_have_one_scale_for_all_pixels():
    x = np.random.default_rng(0).integers(0, 200, (9000, 5)).astype(np.uint8)
    scale, shift = data.scaling(x, "standardised", 255.0)
    assert scale.shape == shift.shape == ()
    np.testing.assert_allclose(1 / scale, x.std(dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(-shift / scale, x.mean(dtype=np.float64), rtol=1e-6)


def test_standardised_features_each_have_their_own_scale():
    x = np.array([[0, 10, 7], [2, 30, 7]], np.float32)
    scale, shift = data.scaling(x, "standardised", 1.0)
    np.testing.assert_allclose(x * scale + shift, [[-1, -1, 0], [1, 1, 0]], atol=1e-6)  # a constant is only centred


def test_unknown_scaling_and_empty_training_are_data_errors():
    with pytest.raises(data.DataError, match="unit, standardised, none"):
        data.scaling(np.ones((2, 2)), "minmax", 1.0)
    with pytest.raises(data.DataError, match="empty"):
        data.scaling(np.ones((0, 2)), "standardised", 1.0)


def test_every_scaling_in_names_is_there():
    assert tuple(splits._SCALINGS) == names.INPUT_SCALINGS


def test_digest_sees_values_shape_and_dtype():
    x = np.arange(6, dtype=np.int32)
    digests = {base.digest(array) for array in (x, x[::-1], x.reshape(2, 3), x.view(np.uint32))}
    assert len(digests) == 4
    assert base.digest(x.reshape(2, 3).T) == base.digest(np.ascontiguousarray(x.reshape(2, 3).T))
