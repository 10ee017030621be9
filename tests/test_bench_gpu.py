"""What a GPU is asked: the questions, what becomes of jobs that fail, XLA's text in figures, the page and the picture."""

import json
import subprocess
import sys
import time

import pytest

from jaxcompare.bench.gpu import __main__ as command
from jaxcompare.bench.gpu import hlo, jobs, networks, page, picture, profile, questions
from jaxcompare.bench.gpu.questions import FULL, QUESTIONS, QUICK, Job
from jaxcompare.bench.workloads import WORKLOADS

# As XLA writes it, cut short: a loop of one product, an update that reads five arrays, and a counter.
TEXT = """\
HloModule jit_train, is_scheduled=true

%product_inside (p.0: f32[10,4], p.1: f32[10,3]) -> f32[4,3] {
  %p.0 = f32[10,4]{1,0} parameter(0)
  %p.1 = f32[10,3]{1,0} parameter(1)
  ROOT %dot.1 = f32[4,3]{1,0} dot(%p.0, %p.1), lhs_contracting_dims={0}, rhs_contracting_dims={0}
}

%turn (state: (s32[], f32[4,3], f32[10,4], f32[10,3])) -> (s32[], f32[4,3], f32[10,4], f32[10,3]) {
  %state = (s32[], f32[4,3]{1,0}, /*index=2*/f32[10,4]{1,0}, f32[10,3]{1,0}) parameter(0)
  %number = s32[] get-tuple-element(%state), index=0
  %kernel = f32[4,3]{1,0} get-tuple-element(%state), index=1
  %x = f32[10,4]{1,0} get-tuple-element(%state), index=2
  %y = f32[10,3]{1,0} get-tuple-element(%state), index=3
  %gemm_fusion = f32[4,3]{1,0} fusion(%x, %y), kind=kCustom, calls=%product_inside, metadata={op_name="dot (inner)"}
  %update = (f32[4,3]{1,0}, bf16[4,3]{1,0}) fusion(%kernel, /*index=1*/%gemm_fusion), kind=kLoop, calls=%sums
  %kernel.1 = f32[4,3]{1,0} get-tuple-element(%update), index=0
  %lapack = f32[4,3]{1,0} custom-call(%kernel.1), custom_call_target="__cublas$gemm"
  %next = s32[] fusion(%number), kind=kLoop, calls=%count
  ROOT %all = (s32[], f32[4,3]{1,0}, f32[10,4]{1,0}, f32[10,3]{1,0}) tuple(%next, %lapack, %x, %y)
}

ENTRY %main (a: f32[4,3]) -> f32[4,3] {
  %a = f32[4,3]{1,0} parameter(0)
  %loop = (s32[], f32[4,3]{1,0}, f32[10,4]{1,0}, f32[10,3]{1,0}) while(%a), condition=%more, body=%turn
  ROOT %transpose.1 = f32[3,4]{0,1} transpose(%a), dimensions={1,0}
}
"""


def test_a_loops_turn_is_counted_by_hand():
    found = hlo.summary(TEXT)
    (loop,) = found["loops"]
    assert loop["body"] == "turn"
    assert loop["kernels"] == 4
    assert loop["counts"] == {"fusion": 3, "custom-call __cublas$gemm": 1}
    assert loop["products"] == 2
    product = (40 + 30 + 12) * 4
    update = 12 * 4 + 12 * 4 + 12 * 4 + 12 * 2
    assert loop["bytes"] == product + update + 2 * 12 * 4 + 2 * 4
    assert loop["largest"]["gemm_fusion"] == product
    assert found["anywhere"] == {"transpose": 1, "dot": 1}


def test_a_compiled_program_of_ours_is_read():
    """XLA's own text, whatever its version: the training loop has its products, and its bytes grow with the network."""
    import jax
    import jax.numpy as jnp

    def train(x, kernel, steps):
        return jax.lax.fori_loop(0, steps, lambda _, kernel: kernel - x.T @ jnp.tanh(x @ kernel), kernel)

    def of(width):
        shapes = (jnp.zeros((64, width)), jnp.zeros((width, width)), 5)
        return hlo.summary(jax.jit(train).lower(*shapes).compile().as_text())["loops"][0]

    small, large = of(64), of(128)
    assert small["products"] == large["products"] == 2
    assert 64 * 64 * 4 < small["bytes"] < large["bytes"]


def test_every_question_has_jobs_that_can_be_called():
    """Names of functions and arguments are right, at full size and quick, though nothing is run."""
    import inspect

    machine = {"memory_bytes": 100 * 2**30}
    for scale in (FULL, QUICK):
        for name, question in QUESTIONS.items():
            made = question.jobs(scale, machine, "folder")
            assert len({job.name for job in made}) == len(made) > 0, name
            for job in made:
                json.dumps(job.arguments)
                if job.function:
                    inspect.signature(getattr(jobs, job.function)).bind(**job.arguments)
                else:
                    given = command.bench_command(job, page)
                    from jaxcompare.bench import __main__ as bench

                    bench.cells_of(bench.parser().parse_args(given[3:]))
    assert set(page.SECTIONS) == set(QUESTIONS)
    assert set(questions.CELLS) == set(WORKLOADS)


def test_too_much_is_asked_of_a_small_part_of_the_device():
    (job,) = QUESTIONS["over_ask"].jobs(FULL, {"memory_bytes": 105 * 2**30}, "")
    fraction = float(job.environment["XLA_PYTHON_CLIENT_MEM_FRACTION"])
    assert fraction * 140 == pytest.approx(questions.SMALL_DEVICE / 2**30, rel=0.01)
    (job,) = QUESTIONS["over_ask"].jobs(FULL, {"memory_bytes": None}, "")
    assert 0 < float(job.environment["XLA_PYTHON_CLIENT_MEM_FRACTION"]) < 1


def test_tiles_are_of_the_shape_that_is_asked_for():
    plan = networks.plan_of(networks.comparison("digits", 3, 4, optimizer="sgd"))
    assert (plan.shape, len(plan.tiles)) == ((3, 4), 1)
    assert plan.program.settings.optimizer == "sgd"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--question", "tiles"], "--question: no 'tiles'"),
        (["--minutes", "0"], "must be greater than 0"),
        (["--read", "--out", "nowhere"], "nowhere"),
    ],
)
def test_command_line_errors(arguments, words, capsys):
    assert command.main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def run(tmp_path):
    return command.Run(tmp_path, QUICK, 60.0, "cpu")


def one(run, job, tmp_path):
    return run._one("a job", job, {}, str(tmp_path))


def test_a_job_that_fails_says_why(run, tmp_path):
    found = one(run, Job("x", "tiles", {"network": "nothing", "shapes": [[1, 1]], "kind": "float32"}), tmp_path)
    assert "TypeError" in found["error"]  # two arguments are missing
    assert (tmp_path / "last_error.txt").exists()


def test_a_job_that_takes_too_long_is_stopped_with_all_that_it_started(run, tmp_path, monkeypatch):
    sleeper = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    monkeypatch.setattr(command, "child_command", lambda job, answer: [sys.executable, "-c", sleeper])
    start = time.perf_counter()
    monkeypatch.setattr(command, "LEAST_SECONDS", 0.0)
    found = one(run, Job("x", "machine", seconds=1.0), tmp_path)
    assert found["error"] == "stopped after 1 s"
    assert time.perf_counter() - start < 30


def test_what_there_is_no_time_for_is_said(run, tmp_path):
    run.until = time.perf_counter() + 1
    assert one(run, Job("x", "machine"), tmp_path) == {"skipped": "no time was left"}


def test_a_run_goes_on_from_what_is_there(tmp_path, monkeypatch, capsys):
    """Other questions' answers stay; another machine's or another size's are not mixed with these."""
    answers = iter([{"answer": FOUND["machine"]}, {"answer": []}, {"answer": FOUND["machine"]}, {"answer": [1]}])
    monkeypatch.setattr(command.Run, "_one", lambda self, *_: next(answers))
    monkeypatch.setattr(command.page, "markdown", lambda found: "")
    again = ["--out", str(tmp_path), "--platform", "cpu", "--quick", "--question"]
    assert command.main([*again, "planner"]) == 0
    assert command.main([*again, "shares"]) == 0
    kept = json.loads((tmp_path / "gpu.json").read_text())["questions"]
    assert list(kept) == ["machine", "planner", "shares"]
    assert command.main(["--out", str(tmp_path), "--platform", "cpu", "--question", "planner"]) == 2
    assert "another --out" in capsys.readouterr().err
    assert json.loads((tmp_path / "gpu.json").read_text())["questions"] == kept


def figures(median):
    return {"median": median, "least": 0.9 * median, "greatest": 1.1 * median, "rates": [median], "steps": 5}


MACHINE = {
    "platform": "gpu",
    "device": "NVIDIA H200",
    "memory_bytes": 100 * 2**30,
    "products": {"tensorfloat32": figures(4e14), "bfloat16": figures(8e14), "float16": {"error": "none"}},
    "copy": figures(4e12),
}
PROGRAM = {
    "program": "C",
    "optimizer": "adamw",
    "replicas": 90,
    "tile": [10, 9],
    "operations": 128_909_312,
    "traffic": 6_000_000,
    "streamed": 9_400_000,
    "hlo": {"loops": [{"kernels": 29, "bytes": 976_000_000}]},
    "temporary_bytes": 2**20,
    "compile_seconds": 9.0,
}
TILE = {"network": "moons", "kind": "tensorfloat32", "operations": 1e7, "traffic": 3e5, "streamed": 5e5}
FOUND = {
    "versions": {"jax": "0.0"},
    "system": "Linux",
    "cores": 2,
    "quick": False,
    "wall_seconds": 60.0,
    "machine": MACHINE,
    "questions": {
        "machine": {"machine": {"answer": MACHINE}},
        "precisions": {
            "tensorfloat32": {
                "answer": {
                    "replicas": 270,
                    "peak_bytes": 2**30,
                    "programs": [PROGRAM | figures(2e5)],
                    **figures(3e5),
                }
            },
            "float16": {"error": "stopped after 1 s"},
        },
        "replicas": {
            "moons": {
                "answer": [
                    TILE | {"shape": [1, 4], "replicas": 4, "compiled_bytes": 4000} | figures(1e5),
                    TILE | {"shape": [2, 8], "replicas": 16, "compiled_bytes": 16000} | figures(9e5),
                    TILE | {"shape": [8, 8], "replicas": 64, "compiled_bytes": None, "error": "RESOURCE_EXHAUSTED"},
                ]
            }
        },
        "planner": {
            "wide": {
                "answer": {
                    "network": "wide",
                    "replicas": 8,
                    "reckoned_bytes": 100,
                    "planned_bytes": 95,
                    "compiled_bytes": 95,
                    "peak_bytes": 100,
                }
            }
        },
        "over_ask": {"fashion_mnist": {"answer": {"skipped": "this device does not say"}}},
        "choices": {
            "losses": {
                "answer": {
                    "workload": "digits",
                    "replicas": 2,
                    "key": "loss",
                    "values": ["mse", "cross_entropy"],
                    "in one program": figures(100.0) | {"compile_seconds": 3.0},
                    "a program each": figures(150.0) | {"compile_seconds": 6.0},
                }
            }
        },
        "torch": {"ways": {"skipped": "no time was left"}},
    },
}


def test_page_says_what_was_measured_and_what_was_not():
    text = page.markdown(FOUND)
    assert "NVIDIA H200, 100 GiB for JAX" in text
    # 9.4 MB at 4 TB/s are 425,532 a second; 6 MB 666,667; 128.9 million operations at 400 TFLOP/s are no bound.
    assert "| tensorfloat32 | adamw | 10 x 9 | 200,000 | 30% | 47% | 9.4 | 10.8 | 29 | 1 MiB | 9 |" in text
    assert "Not measured, float16: stopped after 1 s" in text
    assert "| moons | 8 x 8 | 64 | failed: RESOURCE_EXHAUSTED |" in text
    assert "95% of the best rate from 16 replicas in a tile on" in text
    assert "| wide | 8 | 100 bytes | 95 bytes | 95 bytes | 100 bytes | 0.95 |" in text
    assert "Not measured, fashion_mnist: this device does not say" in text
    assert "| digits | 2 | loss: mse, cross_entropy | 100 | 150 | 1.50 | 3 and 6 |" in text
    assert "Not measured, ways: no time was left" in text
    assert "nan" not in text.lower()


def test_picture_leaves_out_what_was_not_measured():
    drawn = picture.figure(FOUND)
    assert [ax.get_title(loc="left") for ax in drawn.axes] == [
        "Throughput",
        "Of what bytes or products allow",
        "Comparison C, 270 replicas",
    ]
    with pytest.raises(picture.NothingError):
        picture.figure({**FOUND, "questions": {}})


def test_kernels_are_added_up_by_name():
    events = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "/device:GPU:0"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "Stream #13(Compute)"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "XLA Modules"}},
        {"ph": "X", "name": "gemm_fusion_1", "pid": 1, "tid": 1, "dur": 30.0},
        {"ph": "X", "name": "gemm_fusion_1", "pid": 1, "tid": 1, "dur": 30.0},
        {"ph": "X", "name": "update", "pid": 1, "tid": 1, "dur": 40.0},
        {"ph": "X", "name": "jit_train", "pid": 1, "tid": 2, "dur": 1000.0},
    ]
    found = profile.kernels(events, 0.001)
    assert found["busy_seconds"] == pytest.approx(1e-4)
    assert [(one["name"], one["calls"], round(one["share"], 2)) for one in found["kernels"]] == [
        ("gemm_fusion_1", 2, 0.6),
        ("update", 1, 0.4),
    ]
    assert profile.kernels([], 1.0)["kernels"] == []


def test_tiles_are_measured():
    """The real thing at its smallest, in this process."""
    (row,) = jobs.tiles("moons", [[1, 2]], "float32", 1, 0.02, hidden=[8])
    assert row["replicas"] == 2
    assert row["least"] <= row["median"] <= row["greatest"]
    assert row["compiled_bytes"] > 0
    (row,) = jobs.tiles("moons", [[1, 2]], "float32", 1, 0.02, activation="nowhere:nothing", hidden=[8])
    assert "nowhere" in row["error"]


@pytest.mark.slow
def test_a_study_is_trained_and_told_of():
    found = jobs.study("a", "precision", seeds=3, epochs=2)
    assert {row["n"] for row in found["summary"]} == {3}
    assert {row["factor"] for row in found["effects"]} == {"precision"}
    assert [row["n"] for row in found["scales"]] == [3, 3]
    assert all(row["steps"] > row["skipped_most"] >= 0 for row in found["scales"])
    text = page.markdown({**FOUND, "questions": {"studies": {"a precision": {"answer": found}}}})
    assert "float16 - float32" in text or "float32 - float16" in text


@pytest.mark.slow
def test_the_whole_from_the_command_line(tmp_path):
    asked = ["--platform", "cpu", "--quick", "--question", "replicas", "planner", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "jaxcompare.bench.gpu", *asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Tried out on a CPU" in (tmp_path / "gpu.md").read_text()
    assert (tmp_path / "gpu.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_step_compiled_for_a_gpu_updates_in_one_pass():
    """On any machine that has JAX's plug-in for CUDA: the gradient needs no transposition of its own."""
    pytest.importorskip("jax_plugins.xla_cuda13")
    given = ["--shape", "4", "4", "--optimizer", "adamw"]
    done = subprocess.run(
        [sys.executable, "-m", "jaxcompare.bench.gpu.compiled", *given], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    weights = 4 * networks.parameters("fashion_mnist")
    # The largest kernel reads gradient, weights and two moments, and writes three of them back.
    assert max(found["loops"][0]["largest"].values()) / found["replicas"] > 0.8 * 7 * weights
