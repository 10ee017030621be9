"""The benchmark: its arithmetic, its command line, a small run; and that PyTorch's ways do the same work as ours."""

import functools
import itertools
import json
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import measure, ours, picture, process, tables, timing, ways, workloads
from jaxcompare.components import models
from jaxcompare.engine import train_step
from jaxcompare.planning.recipes import make_recipe
from jaxcompare.types import Batch


def test_operations_against_a_count_by_hand():
    # 784-256-128-10: forward and weight gradients of three products, input gradients of the last two.
    first, second, third = 784 * 256, 256 * 128, 128 * 10
    by_hand = 2 * 128 * (2 * (first + second + third) + second + third)
    assert workloads.costs((784, 256, 128, 10), "sgd")["operations"] == by_hand == 128_909_312


def test_operations_against_the_compiler():
    """XLA's own count of a step's operations is ours and the elementwise ones, which are few."""
    recipe = train_step.make_recipe(models.mlp(hidden=(256, 128), classes=10), optimizer="sgd", clip=False)
    hparams = train_step.make_hparams(0.1)
    batch = Batch(jnp.zeros((128, 64)), jnp.zeros(128, jnp.int32))
    state = train_step.init_state(jax.random.key(0), recipe, hparams, batch.x)
    compiled = jax.jit(train_step.make_train_step(recipe)).lower(state, batch, hparams).compile()
    expected = workloads.costs((64, 256, 128, 10), "sgd")["operations"]
    assert expected <= compiled.cost_analysis()["flops"] <= 1.05 * expected


def test_bytes_of_a_step_are_counted_by_hand():
    """784-256-128-10, AdamW: 235,146 numbers; weights and two moments in and out; 200,704 of them not read backward."""
    costs = workloads.costs(workloads.widths_of("fashion_mnist"), "adamw")
    assert costs["traffic"] == 235_146 * 4 * 6 == 5_643_504
    assert costs["streamed"] == 5_643_504 + 4 * (4 * 235_146 - 200_704) == 8_603_024
    sizes = [workloads.costs((2, 3), name)["traffic"] for name in ("sgd", "momentum", "adamw")]
    assert sizes == [4 * 2 * 9, 4 * 4 * 9, 4 * 6 * 9]


def test_workloads_have_the_replicas_that_they_say():
    for name, work in workloads.WORKLOADS.items():
        for replicas in work.sizes:
            study = work.comparison(replicas).studies[0]
            assert len(study.variants) * len(study.seeds) == replicas, name
            assert {variant.settings.batch_size for variant in study.variants} == {128}


@pytest.mark.parametrize("name", workloads.SHAPES)
def test_made_up_data_have_the_real_ones_shapes(name):
    shape, data = workloads.SHAPES[name], workloads.made_up(name)
    assert data.x_train.shape == (shape.train, shape.features)
    assert data.x_train.dtype == (np.uint8 if shape.largest else np.float32)
    assert set(data.y_test) == set(range(shape.classes))


def test_rate_weighs_units_by_their_parts(monkeypatch):
    seconds = {"slow": 0.3, "fast": 0.1}
    monkeypatch.setattr(timing, "timed", lambda unit, steps: steps * seconds[unit.run(0)])
    units = [timing.Unit(lambda steps: "slow", 2), timing.Unit(lambda steps: "fast", 4)]
    assert timing.rate(timing.Prepared(units, amount=20), steps=7) == pytest.approx(20)


def test_stacks_fill_a_group():
    assert timing.shapes(10, 9) == [(1, 1), (1, 3), (1, 9), (5, 9), (10, 9)]  # all are among them
    assert timing.shapes(1, 2) == [(1, 1), (1, 2)]
    assert timing.shapes(1, 1) == [(1, 1)]


RATES = {(1, 1): 5.0, (1, 3): 3.0, (1, 9): 9.0, (5, 9): 6.0, (10, 9): 7.0}


@pytest.mark.parametrize(
    ("device", "rates", "tried"),
    [
        ("cpu", RATES, list(RATES)),  # one that is slow may be an accident
        ("cpu", RATES | {(1, 9): 3.0}, list(RATES)[:3]),
        ("cuda", RATES | {(1, 9): 6.5}, [(10, 9), (5, 9), (1, 9), (1, 3)]),
        ("cuda", RATES | {(5, 9): 5.0}, [(10, 9), (5, 9)]),
    ],
)
def test_stacks_are_tried_until_they_are_slow(device, rates, tried):
    asked = []
    best = timing.fastest(lambda shape: asked.append(shape) or rates[shape], list(RATES), device)
    assert asked == tried
    assert rates[best] == max(rates[shape] for shape in tried)


def row(way, median, replicas=2):
    figures = {"rates": [median], "median": median, "least": median, "greatest": median, "share_of_ceiling": 0.5}
    return {"workload": "digits", "replicas": replicas, "way": way, **figures, "compile_seconds": 1.0}


def test_summary_is_against_the_fastest_torch_way():
    rows = [row("ours", 300.0), row("torch vmap compiled", 200.0), row("torch indexed", 50.0), row("ours", 80.0, 20)]
    rows.append(row("torch indexed", 100.0, 20))
    assert tables.ratios(rows) == {("digits", 2): 1.5, ("digits", 20): 0.8}
    failed = {"workload": "digits", "replicas": 2, "way": "torch dataloader", "rates": [], "error": "no compiler"}
    said = tables.text([*rows, failed])
    assert f"{math.sqrt(1.5 * 0.8):.2f} in the geometric mean over 2 rows, least 0.80 (digits, 20 replicas)" in said
    assert "no compiler" in said
    assert "1.50" in said


def test_a_disturbed_machine_is_noticed():
    ceiling = {"workload": "digits", "replicas": 2, "way": "ceiling", "median": 9.0}
    steady = {**ceiling, "machine": {"numpy product": [1.0, 2.0], "jax product": [1.8, 2.0]}}
    swinging = {**ceiling, "replicas": 20, "machine": {"numpy product": [1.0, 2.0], "jax product": [0.5, 2.0]}}
    assert tables.disturbed([row("ours", 1.0), steady, swinging]) == ["digits 20"]


def test_rows_have_the_median_and_its_share_of_the_ceiling_that_binds():
    rates = {"way": "ours", "rates": [1.0, 3.0, 2.0]}
    (alone,) = measure.finished("digits", 2, [rates], {})
    assert alone["median"] == 2.0
    assert "share_of_ceiling" not in alone
    operations = workloads.costs((64, 256, 128, 10), "momentum")["operations"]
    machine = {"numpy product": [4.0 * operations], "jax product": [8.0 * operations], "jax copy": [1e30]}
    ours_row, ceiling = measure.finished("digits", 2, [rates], machine)
    assert (ours_row["share_of_ceiling"], ceiling["median"], ceiling["note"]) == (0.25, 8.0, ways.PRODUCT)


def test_picture_has_room_for_every_way():
    rows = [row(way, 100.0 + 10 * number) for number, way in enumerate([*ways.WAYS, "ceiling"])]
    figure = picture.figure({"machine": {"platform": "cpu", "cores": 2}, "repeats": 5, "rows": rows})
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {*ways.WAYS, "ceiling"}
    looks = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in legend.get_lines()]
    assert len(set(looks)) == len(looks) == len(ways.WAYS) + 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workload", "moons"], "'moons' (choose from"),
        (["--way", "torch vmapp"], "'torch vmapp' (choose from"),
        (["--replicas", "33"], "33 (choose from"),
        (["--repeats", "0"], "must be greater than 0"),
    ],
)
def test_command_line_errors(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys):
    assert command.main(["--read", "nowhere.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_small_run_end_to_end(tmp_path, capsys):
    """Our way beside the ceiling, and a way that fails beside both."""
    file, drawn = tmp_path / "bench.json", tmp_path / "bench.png"
    arguments = ["--workload", "b_moons", "--replicas", "3", "--way", "ours", "--repeats", "2", "--seconds", "0.05"]
    assert command.main([*arguments, "--json", str(file), "--picture", str(drawn)]) == 0
    assert "b_moons" in capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    one, ceiling = rows
    assert len(one["rates"]) == 2
    assert one["least"] <= one["median"] <= one["greatest"]
    assert one["share_of_ceiling"] == pytest.approx(one["median"] / ceiling["median"])
    assert 0 < one["share_of_ceiling"] < 1
    assert one["compile_seconds"] > 0
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert command.main(["--read", str(file)]) == 0


@pytest.fixture
def child():
    one = process.Child("ours:prepare", {})
    yield one
    one.stop()


def test_a_way_that_fails_says_why_and_one_that_is_late_is_ended(child):
    with pytest.raises(process.ChildError, match="KeyError"):
        child.ask("prepare", arguments=["nothing", 1], seconds=0.1)
    with pytest.raises(process.ChildError, match="it took too long"):
        child.ask("prepare", time.perf_counter() + 0.1, arguments=["c_fashion", 9], seconds=0.1)
    assert child.process.poll() != 0
    with pytest.raises(process.ChildError, match="its process ended with code -9"):
        child.ask("platform")


@functools.cache
def program_of(workload):
    work = workloads.WORKLOADS[workload]
    return ours.planned(work.comparison(min(work.sizes)), platform="cpu")[0]


@functools.cache
def step_of(model, settings):
    recipe = train_step.make_recipe(model, optimizer=settings[0], loss=settings[1], activation=settings[2])
    return recipe, jax.jit(train_step.make_train_step(recipe))


def ours_after(workload, variants, seeds, steps):
    """The layers of each seed and variant after some steps of our single train step: kernels and biases as NumPy arrays."""
    program = program_of(workload)
    data, model = program.material.data, make_recipe(program).model
    found = []
    for seed, settings in itertools.product(seeds, variants):
        recipe, step = step_of(model, (settings.optimizer, settings.loss, settings.activation))
        hparams = train_step.make_hparams(settings.learning_rate)
        x = jnp.zeros((1, program.material.features))
        state = train_step.init_state(train_step.init_key(jnp.asarray(seed)), recipe, hparams, x)
        for number in range(steps):
            epoch, within = divmod(number, program.steps_per_epoch)
            examples = order_of(seed, epoch, len(data.train.y))[within * 128 : (within + 1) * 128]
            state, _ = step(
                state, Batch(train_step.scale(data.train.x[examples], data.scaling), data.train.y[examples]), hparams
            )
        found.append(layers_of(state.params))
    return found


@functools.cache
def order_of(seed, epoch, size):
    return np.asarray(train_step.epoch_order(jnp.asarray(seed), jnp.asarray(epoch), size))


def layers_of(params):
    names = sorted(name for name in params if name != "output")
    return [(np.asarray(params[name]["kernel"]), np.asarray(params[name]["bias"])[None]) for name in [*names, "output"]]


@functools.cache
def torch_task(workload):
    """PyTorch's task with our weights and orders."""
    import torch

    from benchmarks import torch_parts

    work = workloads.WORKLOADS[workload]
    task = torch_parts.make_task(variants_of(workload)[0], torch.device("cpu"))
    widths = workloads.widths_of(work.network)
    model = models.mlp(hidden=widths[1:-1], classes=widths[-1])

    def weights(seed):
        layers = layers_of(model.init(train_step.init_key(jnp.asarray(seed)), jnp.zeros((1, widths[0]))))
        return [(torch.tensor(kernel), torch.tensor(bias)) for kernel, bias in layers]

    def orders(seeds, epoch):
        return torch.tensor(np.stack([order_of(seed, epoch, len(task.y)) for seed in seeds]))

    return task._replace(weights=weights, orders=orders)


def variants_of(workload, **wanted):
    """The workload's variants of these settings at its least number of replicas."""
    work = workloads.WORKLOADS[workload]
    every = [variant.settings for variant in work.comparison(min(work.sizes)).studies[0].variants]
    return [one for one in every if all(getattr(one, key) == value for key, value in wanted.items())]


CASES = [
    ("c_fashion", {"optimizer": "sgd"}),
    ("c_fashion", {"optimizer": "momentum"}),
    ("c_fashion", {"optimizer": "adamw"}),
    *(("b_moons", {"activation": name}) for name in ("relu", "leaky_relu", "sigmoid")),
    ("digits", {"loss": "mse"}),
]
STEPS = 14  # on moons and digits into the second epoch


def assert_same(theirs, ours):
    for layers, expected in zip(theirs, ours, strict=True):
        for (kernel, bias), (our_kernel, our_bias) in zip(layers, expected, strict=True):
            np.testing.assert_allclose(kernel, our_kernel, rtol=0, atol=1e-4)
            np.testing.assert_allclose(bias, our_bias, rtol=0, atol=1e-4)


def stacked_layers(stack):
    """Of each replica, seeds outside."""
    replicas = [[tensor.reshape(-1, *tensor.shape[-2:]).numpy() for tensor in layer] for layer in stack.state.layers]
    return [[(kernel[i], bias[i]) for kernel, bias in replicas] for i in range(len(replicas[0][0]))]


@pytest.mark.parametrize(("workload", "wanted"), CASES)
@pytest.mark.parametrize("loader", [True, False])
def test_torch_loops_do_the_same_work(workload, wanted, loader):
    pytest.importorskip("torch")
    from benchmarks.torch_ways import Loop

    variants, task, steps = variants_of(workload, **wanted), torch_task(workload), 3 if "fashion" in workload else STEPS
    loops = [Loop(task, settings, 1, loader=loader) for settings in variants]
    for loop in loops:
        loop.run(steps)
    theirs = [
        [
            (one.weight.detach().T.numpy(), one.bias.detach()[None].numpy())
            for one in loop.network
            if hasattr(one, "weight")
        ]
        for loop in loops
    ]
    assert_same(theirs, ours_after(workload, variants, [1], steps))


@pytest.mark.parametrize(("workload", "wanted"), CASES)
@pytest.mark.parametrize("layout", ["vmap", "baddbmm"])
def test_torch_stacks_do_the_same_work(workload, wanted, layout):
    pytest.importorskip("torch")
    check_stacks(workload, wanted, layout, lambda step: step)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.parametrize("layout", ["vmap", "baddbmm"])
def test_torch_compiled_does_the_same_work(layout):
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()
    for workload, wanted in CASES[2:6:3]:
        check_stacks(workload, wanted, layout, lambda step: torch.compile(step, dynamic=False, fullgraph=True))


def check_stacks(workload, wanted, layout, compiled):
    from benchmarks.torch_parts import Group, make_step
    from benchmarks.torch_ways import Stack

    variants, task, steps = variants_of(workload, **wanted), torch_task(workload), 3 if "fashion" in workload else STEPS
    stack = Stack(task, Group(variants, [1, 4]), compiled(make_step(layout, variants[0])))
    stack.run(steps)
    assert_same(stacked_layers(stack), ours_after(workload, variants, [1, 4], steps))
