"""Training at length on real data reaches what is known of it."""

import pytest

from jaxcompare.compare import compare
from jaxcompare.data import DataError, load


@pytest.fixture
def fashion_mnist():
    try:
        load("fashion_mnist", data_seed=0, samples=0, test_samples=0, noise=None, factor=0.5)
    except DataError as error:
        pytest.skip(f"Fashion-MNIST is not here: {str(error).splitlines()[0]}")


@pytest.mark.slow
def test_an_mlp_passes_0_87_on_fashion_mnist(fashion_mnist):
    """The data set's paper has 0.871 for scikit-learn's MLP with one layer of 100 (Xiao et al. 2017)."""
    base = {"epochs": 5, "seeds": 2, "schedule": "cosine", "measure_every": 5}
    grids = [
        {"optimizer": ["momentum"], "learning_rate": [0.03]},
        {"optimizer": ["adamw"], "learning_rate": [0.001]},
    ]
    summary = compare({"base": base, "study": [{"name": "main", "grid": grids}]})["summary"]
    assert (summary["n_failed"] == 0).all()
    assert summary["test_accuracy_mean"].min() > 0.87


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "expected"), [("moons", 0.969), ("circles", 0.992)])
def test_toy_sets_reach_what_scikit_learn_does(dataset, expected):
    """MLP 32-32, Adam 0.01, batch 200: scikit-learn 1.9.1 over 5 seeds, 1,000 fresh test points, +- 0.004."""
    base = {
        "dataset": dataset, "hidden": [32, 32], "optimizer": "adam", "learning_rate": 0.01, "batch_size": 200,
        "samples": 1000, "validation_fraction": 0.0, "epochs": 200, "seeds": 5, "measure_every": 100,
    }  # fmt: skip
    summary = compare({"base": base, "study": [{"name": "main", "grid": {"activation": ["relu", "sigmoid"]}}]})[
        "summary"
    ]
    for accuracy in summary["test_accuracy_mean"]:
        assert accuracy == pytest.approx(expected, abs=0.012)
