import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from jaxcompare import analysis


@pytest.fixture(scope="module")
def tables():
    found = synthetic.tables()
    return found | {"summary": analysis.summarise(found["replicas"], found["history"], synthetic.TARGETS)}


@pytest.mark.parametrize("n", [5, 7, 20])
def test_interval_is_students_t(n):
    values = np.random.default_rng(n).normal(0.9, 0.1, n)
    mean, low, high = analysis.mean_interval(values)
    expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(expected)


def test_no_interval_below_five_values():
    mean, low, high = analysis.mean_interval(np.array([1.0, 2.0, 3.0, 6.0]))
    assert mean == 3.0
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_mean_over_survivors(bad):
    assert np.isnan(analysis.mean_interval(np.array([1.0, 2.0, bad, 4.0, 5.0]))).all()
    assert np.isnan(analysis.mean_interval(np.array([]))).all()


def test_median_ranks_diverged_runs_last():
    assert analysis.median(np.array([0.9, np.nan, 0.8])) == 0.8
    assert analysis.median(np.array([0.1, np.nan, 0.2]), worst=np.inf) == 0.2
    assert np.isnan(analysis.median(np.array([0.9, np.nan, np.nan])))
    assert np.isnan(analysis.median(np.array([0.9, np.nan])))


def test_stuck_is_two_standard_errors_above_chance():
    edge = 0.1 + 2 * np.sqrt(0.09 / 10_000)
    accuracy = np.array([0.1, edge, edge + 1e-6, np.nan, 0.05])
    found = analysis.stuck_at_chance(accuracy, np.full(5, 0.1), np.full(5, 10_000))
    assert found.tolist() == [True, True, False, False, True]


def test_paired_difference_agrees_with_scipy():
    random = np.random.default_rng(0)
    first, second = random.normal(0.02, 0.05, 8), random.normal(0, 0.05, 8)
    found = analysis.paired_difference(first, second)
    expected = stats.ttest_rel(first, second)
    assert found.p_t == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    exact = stats.permutation_test(
        (first - second,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert found.p_sign_flip == pytest.approx(exact.pvalue)


def test_sign_flip_reaches_its_floor():
    assert analysis.sign_flip_p(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 2 / 2**5
    assert analysis.sign_flip_p(np.zeros(5)) == 1.0
    assert np.isnan(analysis.sign_flip_p(np.array([1.0, np.nan])))


def test_paired_difference_without_spread():
    # 1/2 and 1/4 are exact, so that every difference is the same number.
    assert analysis.paired_difference(np.full(5, 0.5), np.full(5, 0.5)).p_t == 1.0
    assert analysis.paired_difference(np.full(5, 0.5), np.full(5, 0.25)).p_t == 0.0


def test_a_failed_run_loses_its_seed_and_takes_the_mean_away():
    found = analysis.paired_difference(
        np.array([0.9, np.nan, 0.9, 0.9, np.nan]), np.array([0.8, 0.8, 0.8, 0.9, np.nan])
    )
    assert (found.wins, found.ties, found.n) == (2, 2, 5)
    assert np.isnan([found.mean, found.low, found.high, found.p_t, found.p_sign_flip]).all()


def test_pairs_are_made_by_seed_not_by_row():
    runs = pd.DataFrame(
        {"variant_id": list("xxxyyy"), "seed": [0, 1, 2, 2, 1, 0], "test_accuracy": [0.5, 0.6, 0.7, 0.6, 0.5, 0.4]}
    )
    found = analysis.paired_variants(runs, "x", "y")
    assert found.mean == pytest.approx(0.1)
    assert found.wins == 3


def test_summary_counts_failures_and_leaves_no_mean_of_survivors(tables):
    summary = tables["summary"].set_index("variant_id")
    gone = summary.loc["a-digits-mse-10.0"]
    assert (gone["n"], gone["n_diverged"], gone["n_failed"]) == (5, 1, 1)
    means = [f"{name}_{part}" for name in analysis.FIGURES for part in ("mean", "low", "high")]
    assert gone[means].isna().all()
    assert np.isfinite(gone["test_accuracy_median"])
    whole = summary.loc["c-fashion_mnist-adamw-0.1-constant-nan"]
    assert whole["n_diverged"] == 5
    assert np.isnan(whole["test_accuracy_median"])
    assert (whole["reached"], whole["steps_to_target_median"]) == (0, np.inf)
    stuck = summary.loc["b-moons-sigmoid-0.01"]
    assert (stuck["n_stuck"], stuck["n_diverged"], stuck["n_failed"]) == (10, 0, 10)


def test_every_median_equals_that_of_the_runs_with_losses_and_accuracies_ranked_apart(tables):
    gone = tables["summary"].set_index("variant_id").loc["a-digits-mse-10.0"]
    last = tables["history"].groupby("replica_id").tail(1)
    runs = last[last["replica_id"].str.startswith("a-digits-mse-10.0")]
    assert gone["test_loss_median"] == np.sort(runs["test_loss"].fillna(np.inf))[2]
    assert gone["test_accuracy_median"] == np.sort(runs["test_accuracy"].fillna(-np.inf))[2]


def history_of(accuracies: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One replica with the validation accuracies given, and test accuracies ten points below."""
    replicas = synthetic.tables("mine")["replicas"].head(1)
    count = len(accuracies)
    history = pd.DataFrame(
        {
            "replica_id": replicas["replica_id"].iloc[0],
            "epoch": range(count),
            "step": np.arange(count) * 10,
            "examples": np.arange(count) * 320,
            "validation_accuracy": accuracies,
            "test_accuracy": np.array(accuracies) - 0.1,
        }
    )
    return replicas, history


def test_best_epoch_and_first_step_at_target():
    replicas, history = history_of([0.1, 0.7, 0.9, 0.8, 0.9])
    run = analysis.finals(replicas, history.sample(frac=1, random_state=1), {"mine": 0.8}).iloc[0]
    assert run["best_validation_accuracy"] == 0.9
    assert run["test_accuracy_at_best"] == pytest.approx(0.8)
    assert run["test_accuracy"] == pytest.approx(0.8)
    assert (run["steps_to_target"], run["examples_to_target"]) == (20, 640)
    assert analysis.finals(replicas, history, {"mine": 0.95}).iloc[0]["steps_to_target"] == np.inf
    assert np.isnan(analysis.finals(replicas, history).iloc[0]["steps_to_target"])


def test_a_run_that_diverged_later_did_not_reach_its_target():
    replicas, history = history_of([0.1, 0.9, np.nan])
    run = analysis.finals(replicas.assign(first_nonfinite_step=15.0), history, {"mine": 0.8}).iloc[0]
    assert run["steps_to_target"] == np.inf
    assert np.isnan(run["best_validation_accuracy"])


def test_bands_stop_where_one_replica_does(tables):
    replicas = tables["replicas"]
    mine = replicas[replicas["variant_id"] == "a-digits-mse-10.0"]
    history = tables["history"][tables["history"]["replica_id"].isin(mine["replica_id"])]
    found = analysis.bands(history, mine).set_index("epoch")
    assert found["mean"].notna().tolist() == [True] * 3 + [False] * 6
    assert found["n_finite"].tolist() == [5] * 3 + [4] * 6
    first = history[history["epoch"] == 2]["validation_accuracy"].to_numpy()
    assert tuple(found.loc[2, ["mean", "low", "high"]]) == pytest.approx(tuple(analysis.mean_interval(first)))
    assert found.loc[2, "median"] == np.median(first)


def variants(rows: list[tuple]) -> pd.DataFrame:
    """A summary of (level, rate, failed runs, validation accuracy)."""
    table = pd.DataFrame(rows, columns=["loss", "learning_rate", "n_failed", "validation_accuracy_mean"])
    shared = {"experiment": "a", "study": "main", "dataset": "digits", "variant_id": [str(i) for i in range(len(rows))]}
    table["validation_loss_median"] = 1.0 - table["validation_accuracy_mean"]
    return table.assign(validation_accuracy_median=table["validation_accuracy_mean"], **shared)


def test_best_rates_rank_failures_last_and_flag_edges():
    chosen = analysis.best_rates(
        variants(
            [
                *[("x", 0.01, 0, 0.80), ("x", 0.1, 0, 0.90), ("x", 1.0, 1, 0.99)],
                *[("y", 0.01, 0, 0.95), ("y", 0.1, 0, 0.90)],
                *[("z", 0.01, 0, 0.70), ("z", 0.1, 0, 0.75)],
                ("w", 0.1, 0, 0.6),
            ]
        ),
        "loss",
    ).set_index("loss")
    assert chosen["learning_rate"].to_dict() == {"y": 0.01, "x": 0.1, "z": 0.1, "w": 0.1}
    assert chosen["edge"].to_dict() == {"y": "low", "x": "", "z": "high", "w": "only"}
    assert chosen["at_edge"].to_dict() == {"y": True, "x": False, "z": True, "w": True}
    assert chosen.index.tolist() == ["y", "x", "z", "w"]


def test_a_tie_in_accuracy_goes_to_the_lower_loss():
    table = variants([("x", 0.01, 0, 0.9), ("x", 0.1, 0, 0.9), ("x", 1.0, 0, 0.9)])
    table["validation_loss_median"] = [0.3, 0.1, 0.2]
    assert analysis.best_rates(table, "loss")["learning_rate"].tolist() == [0.1]
    assert analysis.ranked(table)["learning_rate"].tolist() == [0.1, 1.0, 0.01]


def test_common_rate_is_shared_by_all_levels():
    rows = [("x", 0.01, 0, 0.5), ("x", 0.1, 0, 0.9), ("y", 0.1, 0, 0.8), ("y", 1.0, 0, 0.99)]
    found = analysis.common_rate(variants(rows), "loss")
    assert found["learning_rate"].tolist() == [0.1, 0.1]
    assert found["loss"].tolist() == ["x", "y"]
    assert analysis.common_rate(variants([("x", 0.1, 0, 0.5), ("y", 1.0, 0, 0.5)]), "loss").empty
    fewer = analysis.common_rate(variants([*rows, ("y", 0.01, 0, 0.1), ("x", 1.0, 3, 0.9)]), "loss")
    assert fewer["learning_rate"].tolist() == [0.1, 0.1]


def test_comparisons_find_what_is_compared_and_what_is_kept_apart(tables):
    found = analysis.comparisons(tables["replicas"])
    assert [(one.experiment, one.dataset, one.factor, one.apart) for one in found] == [
        ("a", "fashion_mnist", "loss", ()),
        ("a", "digits", "loss", ()),
        ("b", "moons", "activation", ()),
        ("b", "circles", "activation", ()),
        ("c", "fashion_mnist", "optimizer", ("schedule",)),  # momentum follows from the optimizer
    ]
    mine = analysis.comparisons(synthetic.tables("mine")["replicas"])
    assert [(one.factor, one.apart) for one in mine] == [("batch_size", ())]


def test_gradient_ratio_is_first_over_last_layer(tables):
    one = tables["layers"][tables["layers"]["replica_id"] == "b-moons-sigmoid-0.1-s0"]
    start = one[one["epoch"] == 0].set_index("layer")["gradient_norm"]
    found = analysis.gradient_ratio(one).set_index("epoch")["gradient_ratio"]
    assert found[0] == start["hidden_1"] / start["output"]


def test_layers_of_a_diverged_variant_have_no_end(tables):
    found = analysis.summarise_layers(tables["replicas"], tables["layers"]).set_index("variant_id")
    gone = found.loc["a-digits-mse-10.0"]
    assert np.isfinite(gone["gradient_ratio_initial"])
    assert np.isnan(gone["gradient_ratio_final"])
    assert np.isnan(gone["dead_fraction_final"])
    assert found.loc["b-moons-relu-0.5", "dead_fraction_final"] > found.loc["b-moons-relu-0.01", "dead_fraction_final"]
