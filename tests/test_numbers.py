"""Kinds of wrong numbers: counts held in float32, absent figures taken for failed ones, numbers that are keys."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from test_analysis import history_of

from jaxcompare import analysis, diagnostics
from jaxcompare.components import models
from jaxcompare.engine.train_step import evaluate, init_state, make_hparams, make_recipe, make_train_step, observe
from jaxcompare.report.cells import figure, whole
from jaxcompare.types import Batch, Layer
from jaxcompare.words import ENGLISH

FIRST = [933, 959, 939, 935, 952, 934, 936, 945, 936, 952]  # right answers of 1000, seed by seed
SECOND = [932, 957, 936, 935, 951, 935, 935, 942, 937, 951]


def shares(counts, n=1000):
    """Accuracies as a program measures them."""
    return np.float32(counts) / np.float32(n)


def test_counts_in_float32_have_the_sign_flip_p_of_the_counts():
    exact = analysis.sign_flip_p(np.subtract(FIRST, SECOND))
    assert exact == pytest.approx(0.08984375)
    assert analysis.paired_difference(shares(FIRST), shares(SECOND)).p_sign_flip == exact
    assert analysis.paired_difference(np.divide(FIRST, 1000), np.divide(SECOND, 1000)).p_sign_flip == exact


@pytest.mark.parametrize("n", [359, 1000, 10_000, 60_000])
def test_counts_in_float32_have_the_sign_flip_p_of_random_counts(n):
    random = np.random.default_rng(n)
    for _ in range(50):
        first, second = random.binomial(n, 0.9, (2, 8))
        exact = analysis.sign_flip_p(first - second)
        assert analysis.paired_difference(shares(first, n), shares(second, n)).p_sign_flip == exact


def test_equal_counts_are_ties_however_they_were_rounded():
    paired = analysis.paired_difference(np.float32([0.9, 0.8, 0.7, 0.6, 0.5]), [0.9, 0.8, 0.7, 0.6, 0.5])
    assert (paired.wins, paired.ties, paired.p_t) == (0, 5, 1.0)
    assert np.isnan(paired.effect)


def test_equal_differences_have_no_spread_however_they_were_rounded():
    paired = analysis.paired_difference(shares([900, 910, 933, 947, 951]), shares([897, 907, 930, 944, 948]))
    assert (paired.wins, paired.ties, paired.p_t) == (5, 0, 0.0)
    assert paired.effect == np.inf


def test_a_target_is_reached_by_the_count_that_reaches_it():
    replicas, history = history_of([0.5, np.float32(0.9), 0.95])  # 0.9 in float32 is below 0.9
    replicas["validation_examples"] = 1000
    assert analysis.finals(replicas, history, {"mine": 0.9})["steps_to_target"].item() == history["step"].iloc[1]


def test_equal_sums_of_counts_are_one_score():
    """Sums of floats depend on their order; a tie in accuracy is decided by the loss."""
    means = [np.mean([0.1, 0.2, 0.3]), np.mean([0.3, 0.2, 0.1])]
    assert means[0] != means[1]
    rows = {"validation_accuracy_mean": means, "validation_accuracy_median": 0.2, "train_subset_accuracy_mean": 0.2}
    rows |= {"train_subset_accuracy_median": 0.2, "validation_loss_median": [0.1, 0.5], "n_failed": 0}
    for order in ([0, 1], [1, 0]):
        summary = pd.DataFrame(rows).iloc[order]
        assert analysis.ranked(summary)["validation_loss_median"].tolist() == [0.1, 0.5]


def test_trials_that_tie_count_with_the_mean_of_what_they_report():
    reported = [0.8, 0.6, 0.7]
    tied = analysis.expected_best([0.9, 0.9, 0.5], reported)
    assert tied[-1] == pytest.approx(analysis.expected_best([0.9, 0.9, 0.5], [0.6, 0.8, 0.7])[-1])
    assert analysis.expected_best([0.9, 0.9, 0.5], reported, replacement=False)[-1] == pytest.approx(0.7)


def test_what_was_not_measured_has_not_failed():
    """Without a validation split no run missed a target, and no mean is missing because of a failure."""
    replicas, history = history_of([0.5, 0.9, 0.95])
    history["validation_accuracy"] = np.nan
    replicas["validation_examples"] = 0
    runs = analysis.finals(replicas, history, {"mine": 0.9})
    assert runs["steps_to_target"].isna().all()
    assert not runs["diverged"].any()
    row = analysis.summarise(replicas, history, {"mine": 0.9}).iloc[0]
    assert np.isnan(row["reached"])
    assert figure(ENGLISH, row, "validation_accuracy") == "not measured"
    assert whole(ENGLISH, row["steps_to_target_median"]) == "-"


def test_a_run_is_stuck_by_the_examples_that_were_evaluated():
    """A training set of 60 is evaluated on 60 examples, even if train_subset is 2000."""
    replicas, history = history_of([0.5, 0.62])
    history["train_subset_accuracy"], history["validation_accuracy"] = history["validation_accuracy"], np.nan
    replicas = replicas.assign(validation_examples=0, train_subset=2000, train_examples=60, chance_accuracy=0.5)
    assert analysis.finals(replicas, history)["stuck"].item()  # 0.5 + 2 * 0.065
    assert not analysis.finals(replicas.assign(train_examples=5000), history)["stuck"].item()


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1e-20, 1.0, 1e19, 1e30, 9e37])
def test_norms_and_deviations_of_any_size(size):
    """Squares of what is below 1e-19 or above 1e19 are 0 or infinite in float32."""
    values = np.float32(size) * np.random.default_rng(0).uniform(-1, 1, (5, 6)).astype(np.float32)
    exact = values.astype(float)
    assert diagnostics.tree_norm(values) == pytest.approx(np.linalg.norm(exact), rel=1e-6)
    layers = {"hidden_1": Layer(jnp.array(values), jnp.array(values))}
    spread = diagnostics.activation_statistics(layers, jnp.array([-jnp.inf, jnp.inf]))["activation_std"].item()
    assert spread == pytest.approx(exact.std(), rel=1e-5)


@pytest.mark.parametrize(("values", "norm"), [([0.0, 0.0], 0.0), ([np.inf, 1.0], np.inf), ([3e38, 3e38], np.inf)])
def test_norms_at_the_ends(values, norm):
    assert diagnostics.tree_norm(jnp.array(values)) == norm
    assert np.isnan(diagnostics.tree_norm(jnp.array([*values, np.nan])))


def test_norms_of_ordinary_size_keep_their_bits():
    tree = [np.random.default_rng(0).normal(size=size).astype(np.float32) for size in ((30, 20), 20)]
    plain = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in tree))
    assert diagnostics.tree_norm(tree) == plain


def test_gradients_through_many_sigmoids_are_not_zero():
    model = models.mlp(hidden=(8,) * 16, classes=3)
    recipe, hparams = make_recipe(model, activation="sigmoid", optimizer="sgd"), make_hparams(0.1, total_steps=1)
    batch = Batch(jnp.ones((4, 2)), jnp.arange(4) % 3)
    state = init_state(jax.random.key(0), recipe, hparams, batch.x)
    state = state._replace(params=jax.tree.map(lambda leaf: 0.05 * leaf, state.params))
    observed = observe(recipe, state, batch, hparams)
    norm = diagnostics.gradient_flow(observed)["gradient_norm"][0]
    exact = [np.asarray(leaf, float) for leaf in jax.tree.leaves(observed.gradients["hidden_1"])]
    assert 0 < norm < 1e-19
    assert norm == pytest.approx(np.sqrt(sum((leaf**2).sum() for leaf in exact)), rel=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e20, 2e38])
def test_finite_gradients_of_any_size_are_clipped_to_the_norm(size):
    inputs = jnp.array([[1.0, -0.5], [0.3, 1.0]])

    def steep(logits, labels):
        return jnp.float32(size) * jnp.sum(logits * labels, axis=-1)

    recipe = make_recipe(models.mlp(hidden=(4,), classes=2), optimizer="sgd", activation="tanh")
    recipe = recipe._replace(losses=(steep,), optimizer=lambda learning_rate: optax.sgd(learning_rate))
    hparams = make_hparams(1.0, clip_norm=0.25)
    batch = Batch(inputs, jnp.array([0, 1]))
    state = init_state(jax.random.key(1), recipe, hparams, batch.x)
    after, _ = jax.jit(make_train_step(recipe))(state, batch, hparams)
    moved = jax.tree.map(lambda new, old: np.asarray(new, float) - np.asarray(old, float), after.params, state.params)
    norm = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(moved)))
    assert norm == pytest.approx(0.25, rel=1e-4)


def test_evaluated_losses_are_of_the_labels_not_of_smoothed_ones():
    recipe = make_recipe(models.mlp(hidden=(4,), classes=3))
    batch = Batch(jnp.eye(3, 2), jnp.arange(3))
    smoothed, plain = (make_hparams(0.1, label_smoothing=amount) for amount in (0.4, 0.0))
    params = init_state(jax.random.key(0), recipe, plain, batch.x).params
    params = jax.tree.map(lambda leaf: 9 * leaf, params)
    scaling = (jnp.ones(()), jnp.zeros(()))
    losses = [evaluate(recipe, params, [batch], hparams, scaling)[0]["loss"] for hparams in (smoothed, plain)]
    assert losses[0] == losses[1]
    objective = [
        make_train_step(recipe)(init_state(jax.random.key(0), recipe, hparams, batch.x), batch, hparams)[1]["loss"]
        for hparams in (smoothed, plain)
    ]
    assert objective[0] != objective[1]
