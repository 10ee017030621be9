"""The convolutional network against a plain reference, and what is reckoned of networks before they are made."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcompare import data, diagnostics
from jaxcompare.components import models
from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse
from jaxcompare.config.settings import Settings
from jaxcompare.config.values import resolve_defaults
from jaxcompare.data.loading import load_datasets
from jaxcompare.engine import sweep, train_step
from jaxcompare.execution.compare import compare
from jaxcompare.planning.networks import layers, operations, parameters
from jaxcompare.planning.programs import programs_of
from jaxcompare.planning.recipes import make_recipe
from jaxcompare.types import Batch

SMALL = models.cnn(hidden=(6,), classes=3, channels=(4, 5), kernel_size=3)
PUBLISHED = models.cnn(hidden=(1024,), classes=10)


def images(count=7, side=9, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, side, side)), jnp.float32)


def size_of(model, x):
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))


def settings(**given):
    return resolve_defaults(given, (), "test")


def reference(params, x):
    """The same network from XLA's own convolution and pooling."""
    x = x[..., None]
    for name in ("conv_1", "conv_2"):
        layer = params[name]
        kinds = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, layer["kernel"], (1, 1), "SAME", dimension_numbers=kinds) + layer["bias"]
        x = jax.lax.reduce_window(jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ params["hidden_1"]["kernel"] + params["hidden_1"]["bias"])
    return x @ params["output"]["kernel"] + params["output"]["bias"]


def test_the_published_network_has_its_parameters():
    # 5x5x1x32 + 32, 5x5x32x64 + 64, 7x7x64x1024 + 1024, 1024x10 + 10
    assert size_of(PUBLISHED, jnp.zeros((1, 784))) == 832 + 51_264 + 3_212_288 + 10_250 == 3_274_634


@pytest.mark.parametrize(
    ("given", "features", "model"),
    [
        ({"model": "cnn", "hidden": (1024,)}, 784, PUBLISHED),
        ({"model": "cnn", "dataset": "digits", "hidden": (6, 5)}, 64, models.cnn(hidden=(6, 5), classes=10)),
        ({"hidden": (6, 5)}, 64, models.mlp(hidden=(6, 5), classes=10)),
    ],
)
def test_sizes_are_reckoned_as_the_network_is_made(given, features, model):
    made = settings(**given)
    assert parameters(made, features, 10) == size_of(model, jnp.zeros((1, features)))
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, features)))
    assert [layer.name for layer in layers(made, features, 10)] == list(diagnostics.layer_names(params))
    for layer in layers(made, features, 10):
        assert params[layer.name]["bias"].shape == (layer.units,)


def test_operations_count_every_pixel():
    made = settings(model="cnn", hidden=(1024,))
    expected = 784 * 26 * 32 + 196 * 801 * 64 + 3137 * 1024 + 1025 * 10
    assert operations(made, 784, 10) == expected
    mlp = settings(hidden=(6, 5))
    assert operations(mlp, 64, 10) == parameters(mlp, 64, 10)


@pytest.mark.parametrize("side", [8, 9])
def test_network_equals_xlas_own_convolution(side):
    x = images(side=side)
    params = jax.jit(SMALL.init)(jax.random.key(0), x)

    def both(run):
        """Logits, and gradients of some function of them."""
        return jax.jit(lambda params: (run(params), jax.grad(lambda params: jnp.sum(jnp.sin(run(params))))(params)))(
            params
        )

    found = both(lambda params: SMALL.apply(params, x, jax.nn.relu)[0])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, both(lambda params: reference(params, x))
    )


def test_flat_images_and_those_with_channels_are_the_same():
    x = images()
    params = jax.jit(SMALL.init)(jax.random.key(0), x)
    logits, _ = SMALL.apply(params, x, jax.nn.relu)
    for shape in ((7, 81), (7, 9, 9, 1)):
        np.testing.assert_array_equal(SMALL.apply(params, x.reshape(shape), jax.nn.relu)[0], logits)
    with pytest.raises(ValueError, match="80 features are no square image"):
        SMALL.init(jax.random.key(0), jnp.zeros((1, 80)))


def test_vmapped_equals_a_loop():
    x, y = images(), jnp.arange(7) % 3
    recipe = train_step.make_recipe(SMALL, optimizer="sgd")
    hparams = train_step.make_hparams(0.1)
    step = train_step.make_train_step(recipe)

    def run(key):
        state, metrics = step(train_step.init_state(key, recipe, hparams, x), Batch(x, y), hparams)
        return state.params, metrics["loss"], train_step.observe(recipe, state, Batch(x, y), hparams).layers

    keys = jax.random.split(jax.random.key(3), 3)
    together = jax.jit(jax.vmap(run))(keys)
    alone = jax.jit(run)
    for index, key in enumerate(keys):
        one = jax.tree.map(lambda leaf, index=index: leaf[index], together)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one, alone(key))


def test_a_filter_is_dead_where_it_is_zero_everywhere():
    x = images()
    params = jax.jit(SMALL.init)(jax.random.key(0), x)
    params["conv_2"]["bias"] = params["conv_2"]["bias"].at[1].set(-1e3)
    _, found = SMALL.apply(params, x, jax.nn.relu)
    assert {name: layer.activation.shape for name, layer in found.items()} == {
        "conv_1": (7 * 81, 4), "conv_2": (7 * 16, 5), "hidden_1": (7, 6),
    }  # fmt: skip
    dead = diagnostics.dead_units(found)
    assert dead.shape == (3, 6)
    np.testing.assert_array_equal(dead[1], [False, True, False, False, False, False])
    shares = diagnostics.activation_statistics(found, jnp.array([jnp.nan, jnp.nan]))["dead_fraction"]
    assert shares[1] == pytest.approx(1 / 5)


def test_layers_keep_their_order_from_ten_on():
    model = models.mlp(hidden=(3,) * 11, classes=2)
    recipe = train_step.make_recipe(model)
    x, hparams = jnp.ones((4, 2)), train_step.make_hparams(0.1)

    @jax.jit
    def run(key):
        state = train_step.init_state(key, recipe, hparams, x)
        _, layers_of = model.apply(state.params, x, jax.nn.relu)
        observed = train_step.observe(recipe, state, Batch(x, jnp.zeros(4, jnp.int32)), hparams)
        found = diagnostics.activation_statistics(observed.layers, jnp.array([jnp.nan, jnp.nan]))
        expected = [jnp.mean(layers_of[f"hidden_{number}"].pre_activation) for number in range(1, 12)]
        return found["pre_activation_mean"], jnp.stack(expected)

    np.testing.assert_allclose(*run(jax.random.key(0)), atol=1e-6)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"model": "cnn", "dataset": "moons"}, "model 'cnn' needs images, and dataset 'moons' has none"),
        ({"model": "cnn", "dataset": "digits", "channels": [2, 2, 2, 2]}, "halves an image 4 times.*at most 3 long"),
        ({"model": "cn"}, "no model 'cn'; did you mean cnn"),
        ({"model": "cnn", "channels": 3}, "channels = 3 is not a list of at least one whole number"),
        ({"model": "cnn", "kernel_size": 0}, "kernel_size = 0 is out of range"),
    ],
)
def test_what_does_not_fit_is_refused(base, message):
    with pytest.raises(ConfigError, match=message):
        parse("x", {"base": base, "study": [{"name": "main"}]})


def test_a_kernel_is_not_varied_where_it_has_no_effect():
    with pytest.raises(ConfigError, match="kernel_size = 3 has no effect on model 'mlp'"):
        parse("x", {"study": [{"name": "main", "grid": {"kernel_size": [3, 5]}}]})
    assert Settings().channels is None
    assert settings(model="cnn").channels == (32, 64)


def test_images_are_those_of_their_data_set():
    options = {"data_seed": 0, "samples": 0, "test_samples": 0, "noise": None, "factor": 0.5}
    assert data.load("digits", **options).x_train.shape[1] == names.IMAGES["digits"] ** 2
    assert set(names.IMAGES) <= set(names.DATASETS)


@pytest.mark.usefixtures("quick_compilation")
def test_a_cnn_trains_and_is_measured():
    base = {
        "dataset": "digits", "model": "cnn", "channels": [4, 6], "kernel_size": 3, "hidden": [8], "epochs": 3, "seeds": 2,
        "train_subset": 50, "probe_size": 20, "snapshots": 2, "optimizer": "adam",
    }  # fmt: skip
    tables = compare({"base": base, "study": [{"name": "main", "grid": {"learning_rate": [0.01]}}]})
    assert list(tables["layers"]["layer"].unique()) == ["conv_1", "conv_2", "hidden_1", "output"]
    units = tables["units"].groupby("layer")["dead"].first().str.len()
    assert units.to_dict() == {"conv_1": 4, "conv_2": 6, "hidden_1": 8}
    assert tables["replicas"]["channels"].unique().tolist() == ["4-6"]
    assert set(tables["replicas"]["parameters"]) == {9 * 4 + 4 + 36 * 6 + 6 + 24 * 8 + 8 + 8 * 10 + 10}
    losses = tables["history"].pivot(index="replica_id", columns="epoch", values="train_loss")
    assert (losses[3] < losses[1]).all()
    counts = tables["histograms"].query("layer == 'conv_1' and kind == 'activation'").iloc[0]
    assert sum(counts["counts"]) + counts["below"] + counts["above"] == 20 * 64 * 4


@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 5)])
def test_the_product_for_gradients_is_the_plain_one(shape):
    """Values and both gradients, for variants that share x, and differentiated once more."""
    draw = np.random.default_rng(0).normal
    x, kernels, weights = draw(size=shape), draw(size=(4, 5, 3)), draw(size=(*shape[:-1], 3))

    def loss(multiply, x, kernel):
        return jnp.sum(jnp.tanh(multiply(x, kernel)) * weights)

    def found(multiply):
        one = jax.value_and_grad(lambda x, kernel: loss(multiply, x, kernel), argnums=(0, 1))
        return jax.vmap(one, in_axes=(None, 0))(x, kernels)

    def curvature(multiply):
        along = jnp.ones_like(kernels[0])
        return jax.jvp(jax.grad(lambda kernel: loss(multiply, x, kernel)), (kernels[0],), (along,))[1]

    with jax.enable_x64(True):
        for ours, plain in zip(*map(jax.tree.leaves, (found(models.product), found(jnp.matmul))), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-12)
        np.testing.assert_allclose(curvature(models.product), curvature(jnp.matmul), rtol=1e-12)


GRADIENT_MODELS = pytest.mark.parametrize(
    "model",
    [models.mlp(hidden=(8, 8, 8, 8), classes=3), models.mlp(hidden=(8, 8, 8, 8), classes=3, remat=True), SMALL],
    ids=["mlp", "remat", "cnn"],
)


def started(model, **options):
    """The batch, hparams and first state, and a compiled step for each way the gradient is computed."""
    x = images()
    batch = Batch(x if model is SMALL else x.reshape(len(x), -1), jnp.arange(len(x)) % 3)
    hparams = train_step.make_hparams(0.1)
    assert model.apply_for_gradient is not None
    recipes = [train_step.make_recipe(way, **options) for way in (model, model._replace(apply_for_gradient=None))]
    state = train_step.init_state(jax.random.key(0), recipes[0], hparams, batch.x)
    steps = [jax.jit(train_step.make_train_step(one), compiler_options=sweep.compiler_options(one)) for one in recipes]
    return batch, hparams, state, steps


@GRADIENT_MODELS
def test_a_step_is_the_same_whichever_way_the_gradient_is_made(model):
    batch, hparams, state, steps = started(model, optimizer="adamw")
    ours = plain = state
    for _ in range(5):
        (ours, our_metrics), (plain, plain_metrics) = (
            step(given, batch, hparams) for step, given in zip(steps, (ours, plain), strict=True)
        )
    for a, b in zip(*map(jax.tree.leaves, ((ours.params, our_metrics), (plain.params, plain_metrics))), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
@GRADIENT_MODELS
def test_in_half_precision_both_ways_of_the_gradient_differ_by_its_rounding(model, policy):
    """Each of five updates, from the same parameters, to one unit in the last place of a layer's largest.

    Whole trainings are not compared. Adam divides a gradient by its size: where the gradient's terms cancel, rounding changes
    a step of full length. And a unit whose input is about zero is active after one rounding and inactive after another.
    """
    batch, hparams, state, steps = started(model, optimizer="sgd", policy=policy)
    for _ in range(5):
        (ours, our_metrics), (plain, plain_metrics) = (step(state, batch, hparams) for step in steps)
        for a, b, before in zip(*(jax.tree.leaves(one.params) for one in (ours, plain, state)), strict=True):
            unit = float(jnp.finfo(policy).eps) * float(jnp.max(jnp.abs(b - before)))
            np.testing.assert_allclose(a, b, rtol=0, atol=unit + 1e-7)
        np.testing.assert_allclose(our_metrics["loss"], plain_metrics["loss"], rtol=1e-6)
        state = ours


@pytest.mark.parametrize(("platform", "own"), [("cpu", False), ("gpu", True)])
def test_on_cpu_the_gradient_is_as_jax_makes_it(platform, own):
    """It is not faster otherwise there; on a GPU the update then is one pass."""
    made = parse("tiny", {"base": {"dataset": "moons"}, "study": [{}]})
    (program,) = programs_of(made, load_datasets([made]), platform=platform)
    assert (make_recipe(program).model.apply_for_gradient is not None) == own
