"""What a GPU is asked: the questions, what becomes of jobs that fail, XLA's text in figures, the page and the picture."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from types import SimpleNamespace

import jax
import pytest

from benchmarks import gpu, workloads
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import child, hlo, jobs, networks, page, picture, profile, questions, started
from benchmarks.gpu.questions import FULL, QUESTIONS, QUICK, Job
from benchmarks.workloads import WORKLOADS
from jaxcompare.execution import trainer

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
  %lapack = (f32[4,3]{1,0}, s8[1000]{0}) custom-call(%kernel.1), custom_call_target="__cublas$gemm"
  %begun = (f32[4,3]{1,0}, f32[4,3]{1,0}, u32[]) copy-start(%kernel.1)
  %done = f32[4,3]{1,0} copy-done(%begun)
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
    assert loop["kernels"] == 5
    assert loop["counts"] == {"fusion": 3, "custom-call __cublas$gemm": 1, "copy-start": 1}
    assert loop["products"] == 2
    product = (40 + 30 + 12) * 4
    update = 12 * 4 + 12 * 4 + 12 * 4 + 12 * 2
    library, copy, count = 2 * 12 * 4, 2 * 12 * 4 + 4, 2 * 4
    assert loop["bytes"] == product + update + library + copy + count
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
                    from benchmarks import __main__ as bench

                    bench.cells_of(bench.parser().parse_args(given[3:]))
    assert set(page.SECTIONS) == set(QUESTIONS)
    asked = [job.arguments["workload"] for name in ("torch", "more") for job in QUESTIONS[name].jobs(FULL, {}, "")]
    assert {name for names in asked for name in names} == set(WORKLOADS)


def test_too_much_is_asked_of_a_small_part_of_the_device():
    (job,) = QUESTIONS["over_ask"].jobs(FULL, {"memory_bytes": 105 * 2**30}, "")
    fraction = float(job.environment["XLA_CLIENT_MEM_FRACTION"])
    assert fraction * 140 == pytest.approx(questions.SMALL_DEVICE / 2**30, rel=0.01)
    (job,) = QUESTIONS["over_ask"].jobs(FULL, {"memory_bytes": None}, "")
    assert 0 < float(job.environment["XLA_CLIENT_MEM_FRACTION"]) < 1


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


def process(tmp_path, code, name="job"):
    """A process that has its folder as its first argument."""
    folder = tmp_path / name
    return started.Started([sys.executable, "-c", code, str(folder)], dict(os.environ), folder)


def left(session):
    """Whether any process of a session is there."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def soon(seconds=30.0):
    return time.perf_counter() + seconds


WAITING = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "ready").touch()
sys.stdin.readline()
(folder / "answer0").write_text('{"answer": 7}')
"""


def test_a_job_waits_for_its_turn(tmp_path):
    one = process(tmp_path, WAITING)
    assert one.wait_compiled(soon())
    assert one.process.poll() is None
    assert one.answer(0) is None
    one.go()
    assert one.finish(soon()) is None
    assert one.answer(0) == {"answer": 7}


def test_a_job_that_fails_says_why(tmp_path):
    one = process(tmp_path, "raise SystemExit('no such thing')")
    assert one.wait_compiled(soon())
    one.go()
    assert one.finish(soon()) == "ended with code 1: no such thing"


def test_a_job_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path):
    child = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, sys.argv[1] + '/begun'])"
    one, until = process(tmp_path, code), soon()
    while not (one.folder / "begun").exists():
        assert time.perf_counter() < until
        time.sleep(0.05)
    assert one.finish(soon(0.0)) == "stopped: it took too long"
    until = soon()
    while left(one.process.pid):  # nobody of its session stays
        assert time.perf_counter() < until
        time.sleep(0.1)


class Asked:
    """Questions whose jobs take no time, in stages of all kinds, and what was done in which order.

    A job of a name in `never` never stops compiling, one in `late` never stops measuring, one in `failing` fails.
    """

    CODE = """
import json, pathlib, sys, time
folder, names, settings = pathlib.Path(sys.argv[1]), sys.argv[2].split(), json.loads(sys.argv[3])
def say(what):
    with open(settings["order"], "a") as order:
        print(*names, what, file=order)
say("compiles")
if set(names) & set(settings["never"]) and not folder.name.endswith("again"):
    time.sleep(60)
(folder / "ready").touch()
sys.stdin.readline()
say("measures")
for place, name in enumerate(names):
    if name in settings["late"]:
        time.sleep(60)
    if name in settings["failing"]:
        raise SystemExit("no such thing")
    answer = {key: settings[key] for key in ("platform", "device", "n")}
    (folder / f"answer{place}").write_text(json.dumps({"answer": answer}))
"""

    def __init__(self, folder):
        self.folder, self.order = folder / "out", folder / "order"
        self.settings = {"order": str(self.order), "platform": "cpu", "device": "a device", "n": 1}
        self.settings |= {"never": [], "late": [], "failing": []}

    def command(self, questions, folder):
        jobs = [job for some in questions for job in some]
        return [
            sys.executable,
            "-c",
            self.CODE,
            str(folder),
            " ".join(job.name for job in jobs),
            json.dumps(self.settings),
        ]

    def run(self, *arguments):
        """Exit code of the command."""
        return command.main(["--out", str(self.folder), "--platform", "cpu", *arguments])

    @property
    def found(self):
        """Each job's row, without whose code it was."""
        questions = json.loads((self.folder / "gpu.json").read_text())["questions"]
        return {
            job: {key: value for key, value in row.items() if key != "code"}
            for jobs in questions.values()
            for job, row in jobs.items()
        }


@pytest.fixture
def asked(monkeypatch, tmp_path):
    def question(stage, *names):
        jobs_of = [Job(name, "tiles") for name in names]
        return questions.Question("A title", lambda scale, machine, folder: jobs_of, stage)

    every = {
        "machine": question("machine", "machine"),
        "first": question("together", "a", "b"),
        "second": question("together", "c"),
        "third": question("side_by_side", "d", "e"),
        "fourth": question("alone", "f"),
    }
    stages = {
        "machine": questions.Stage(),
        "together": questions.Stage(one_process=True),
        "side_by_side": questions.Stage(side_by_side=True),
        "alone": questions.Stage(),
    }
    for module in (command, page):
        monkeypatch.setattr(module, "QUESTIONS", every)
    monkeypatch.setattr(command, "STAGES", stages)
    monkeypatch.setattr(page, "SECTIONS", dict.fromkeys(every, lambda answers, machine: []))
    made = Asked(tmp_path)
    monkeypatch.setattr(command, "command_of", made.command)
    return made


DONE = {"answer": {"platform": "cpu", "device": "a device", "n": 1}}


def test_each_stage_compiles_before_it_measures(asked, monkeypatch):
    monkeypatch.setattr(command, "usable_cores", lambda: 1)  # one after another
    assert asked.run() == 0
    assert asked.order.read_text().splitlines() == [
        *("machine compiles", "machine measures"),
        *("a b c compiles", "a b c measures"),
        *("d compiles", "e compiles", "d measures", "e measures"),
        *("f compiles", "f measures"),
    ]
    assert asked.found == dict.fromkeys(["machine", *"abcdef"], DONE)


def test_what_there_is_no_time_for_is_said(asked, monkeypatch):
    monkeypatch.setattr(command, "LEAST_SECONDS", 1000.0)
    monkeypatch.setattr(command.Run, "_machine", lambda self: self.found["machine"].update(device="a device"))
    assert asked.run() == 0
    assert not asked.order.exists()
    assert "Not measured, c: no time was left" in (asked.folder / "gpu.md").read_text()


def test_what_takes_too_long_to_compile_starts_again_at_its_turn(asked, monkeypatch):
    asked.settings["never"] = ["d"]
    monkeypatch.setitem(command.STAGES, "side_by_side", questions.Stage(seconds=5.0, side_by_side=True))
    monkeypatch.setattr(command, "usable_cores", lambda: 8)
    assert asked.run("--question", "third") == 0
    order = asked.order.read_text().splitlines()
    assert sorted(order[2:4]) == ["d compiles", "e compiles"]
    assert order[4:] == ["d compiles", "d measures", "e measures"]
    assert asked.found["d"] == asked.found["e"] == DONE


def test_a_process_that_fails_costs_one_job(asked):
    """What it has said stays, and those after it have a process of their own."""
    asked.settings["failing"] = ["b"]
    assert asked.run("--question", "first", "second", "fourth") == 0
    assert asked.found["b"] == {"error": "ended with code 1: no such thing"}
    assert asked.found["a"] == asked.found["c"] == asked.found["f"] == DONE
    assert asked.order.read_text().splitlines()[2:6] == ["a b c compiles", "a b c measures", "c compiles", "c measures"]
    assert "== first: b\nno such thing" in (asked.folder / "errors.txt").read_text()


def test_a_process_that_is_late_costs_the_rest_of_its_stage(asked, monkeypatch):
    asked.settings["late"] = ["b"]
    monkeypatch.setitem(command.STAGES, "together", questions.Stage(seconds=2.0, one_process=True))
    assert asked.run("--question", "first", "second", "fourth") == 0
    assert asked.found["a"] == asked.found["f"] == DONE
    assert asked.found["b"] == {"error": "stopped: it took too long"}
    assert asked.found["c"] == {"skipped": "no time was left"}


def test_an_earlier_answer_gives_way_to_a_new_one_alone(asked, monkeypatch):
    assert asked.run("--question", "first", "fourth") == 0
    asked.settings |= {"failing": ["b", "c"], "n": 2}
    code = command.code_digest()
    monkeypatch.setattr(command, "code_digest", lambda: "other code")
    assert asked.run("--question", "first", "second") == 0
    assert {name: asked.found[name]["answer"]["n"] for name in "abf"} == {"a": 2, "b": 1, "f": 1}
    assert asked.found["c"] == {"error": "ended with code 1: no such thing"}
    text = (asked.folder / "gpu.md").read_text()
    assert "- Measured in an earlier run, b; in the last: ended with code 1: no such thing" in text
    assert f"- a: code other code\n- b: code {code}" in text


def test_a_benchmark_that_is_stopped_keeps_its_rows(asked, monkeypatch):
    rows = [{"way": "ours", "median": 3.0}, {"way": "torch vmap", "error": "no compiler"}]
    code = (
        f"import sys, time; open(sys.argv[1] + '/answer0', 'w').write({json.dumps({'rows': rows})!r}); time.sleep(60)"
    )
    monkeypatch.setitem(
        command.QUESTIONS, "fourth", questions.Question("A title", lambda *given: [Job("f", "")], "alone")
    )
    monkeypatch.setitem(command.STAGES, "alone", questions.Stage(seconds=2.0))

    def command_of(given, folder):
        return asked.command(given, folder) if given[0][0].function else [sys.executable, "-c", code, str(folder)]

    monkeypatch.setattr(command, "command_of", command_of)
    assert asked.run("--question", "fourth") == 0
    assert asked.found["f"] == {"answer": {"rows": rows}, "error": "stopped: it took too long"}
    assert "- Stopped early, f: stopped: it took too long" in (asked.folder / "gpu.md").read_text()


def test_a_section_that_cannot_be_made_stops_no_other():
    assert "This section could not be made" not in page.markdown(FOUND)
    bad = page.markdown(
        {**FOUND, "questions": {**FOUND["questions"], "planner": {"moons": {"answer": {"replicas": 1}}}}}
    )
    assert "This section could not be made: KeyError" in bad
    assert "| digits | 2 | loss" in bad


@pytest.mark.parametrize("other", [{"device": "another device"}, {"quick": True}])
def test_figures_of_two_kinds_are_not_mixed(asked, capsys, other):
    assert asked.run("--question", "fourth") == 0
    before = {name: (asked.folder / name).read_bytes() for name in ("gpu.json", "gpu.md")}
    asked.settings |= {key: value for key, value in other.items() if key == "device"}
    assert asked.run("--question", "third", *(["--quick"] if "quick" in other else [])) == 2
    assert "give another --out" in capsys.readouterr().err
    assert {name: (asked.folder / name).read_bytes() for name in before} == before


def test_a_page_needs_no_matplotlib(asked, monkeypatch, capsys):
    monkeypatch.delattr(gpu, "picture")
    monkeypatch.setitem(sys.modules, "benchmarks.gpu.picture", None)
    assert asked.run("--question", "fourth") == 0
    assert (asked.folder / "gpu.md").exists()
    assert "no picture: import of benchmarks.gpu.picture halted" in capsys.readouterr().err


def test_a_run_that_is_stopped_ends_its_processes_and_makes_a_page(asked, monkeypatch, capsys):
    asked.settings["late"] = ["c"]
    finish, begun = started.Started.finish, []

    def interrupted(self, until):
        begun.append(self)
        if self.folder.name == "together0":
            while self.answer(1) is None:  # it has come to c
                assert time.perf_counter() < until
                time.sleep(0.05)
            command.interrupted(signal.SIGTERM, None)
        return finish(self, until)

    monkeypatch.setattr(started.Started, "finish", interrupted)
    assert asked.run("--question", "first", "second") == 130
    assert begun[-1].process.poll() == -signal.SIGKILL
    assert "Not measured, c: no time was left" in (asked.folder / "gpu.md").read_text()
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"failing": ["machine"]}, "ended with code 1: no such thing"), ({"platform": "tpu"}, "it found tpu")],
)
def test_without_such_a_device_nothing_is_asked(asked, capsys, settings, why):
    asked.settings |= settings
    assert asked.run() == 2
    assert f"JAX finds no CPU on this machine ({why})" in capsys.readouterr().err
    assert asked.order.read_text().splitlines() == ["machine compiles", "machine measures"]
    assert not (asked.folder / "gpu.json").exists()


def test_processes_have_their_own_settings_and_nobody_elses(monkeypatch, tmp_path):
    monkeypatch.setenv("XLA_FLAGS", "--of-the-user")
    monkeypatch.setenv("HOME_OF_THE_USER", "kept")
    seen = []

    def started(given, environment, folder):
        seen.append(environment)
        return SimpleNamespace(stop=lambda: None)

    monkeypatch.setattr(command, "Started", started)
    run = command.Run(tmp_path, QUICK, 10.0, "cpu")
    with ExitStack() as run.stack:
        run.kept = tmp_path
        run._start("apart", 0, [("flags", Job("plain", "tiles"))])
        run._start("apart", 1, [("flags", Job("flag", "tiles", {}, {"XLA_FLAGS": "--of-the-job"}))])
    assert "XLA_FLAGS" not in seen[0]
    assert seen[1]["XLA_FLAGS"] == "--of-the-job"
    assert seen[0]["HOME_OF_THE_USER"] == "kept"


def test_jobs_of_one_process_compile_together_and_are_measured_one_after_another(monkeypatch, tmp_path):
    """Whatever becomes of the others; the first question's are compiled before the process waits."""
    order = []

    def job(name, fails=""):
        order.append(f"{name} compiles")
        if fails == "compiling":
            raise ValueError("cannot be compiled")
        if fails == "at once":
            return "nothing to do"
        yield
        order.append(f"{name} measures")
        if fails == "measuring":
            raise ValueError("cannot be measured")
        return name

    class Go(io.StringIO):
        def readline(self):
            order.append(f"waits, {(tmp_path / 'ready').exists()}")
            return super().readline()

    monkeypatch.setattr(jobs, "tiles", job)
    given = [[("a", ""), ("b", "compiling"), ("c", "measuring")], [("d", "at once"), ("e", "")]]
    asked = [[("tiles", {"name": name, "fails": fails}) for name, fails in some] for some in given]
    assert child.serve(asked, tmp_path, Go("go\n")) == 0
    assert sorted(order[:3]) == ["a compiles", "b compiles", "c compiles"]
    assert order[3:6] == ["waits, True", "a measures", "c measures"]
    assert sorted(order[6:8]) == ["d compiles", "e compiles"]
    assert order[8:] == ["e measures"]
    assert [json.loads((tmp_path / f"answer{place}").read_text()) for place in range(5)] == [
        {"answer": "a"},
        {"error": "ValueError: cannot be compiled"},
        {"error": "ValueError: cannot be measured"},
        {"answer": "nothing to do"},
        {"answer": "e"},
    ]
    assert child.serve(asked, tmp_path, io.StringIO("")) == 1  # nobody is there any more


def test_bytes_of_a_step_are_counted_by_hand():
    """784-256-128-10, AdamW: 235,146 numbers; weights and two moments in and out; 200,704 of them not read backward."""
    widths = networks.widths("fashion_mnist")
    assert workloads.traffic(widths, "adamw") == 235_146 * 4 * 6 == 5_643_504
    assert workloads.streamed(widths, "adamw") == 5_643_504 + 4 * (4 * 235_146 - 200_704) == 8_603_024


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
    "compiled_bytes": 2**20,
}
PLANNED = {"replicas": 8, "reckoned_bytes": 90, "planned_bytes": 95, "compiled_bytes": 97, "peak_bytes": 100}
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
            "wide": {"answer": PLANNED},
            "deep": {"answer": PLANNED | {"peak_bytes": None}},
        },
        "over_ask": {"fashion_mnist": {"answer": {"skipped": "this device does not say"}}},
        "choices": {
            "losses": {
                "answer": {
                    "workload": "digits",
                    "replicas": 2,
                    "key": "loss",
                    "values": ["mse", "cross_entropy"],
                    "in one program": figures(100.0) | {"tiles": [[1, 2, 1]]},
                    "a program each": figures(150.0) | {"tiles": [[1, 1, 1], [1, 1, 1]]},
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
    assert "| tensorfloat32 | adamw | 10 x 9 | 200,000 | 30% | 47% | bytes | 6 | 9.4 | 10.8 | 29 | 1 MiB | - |" in text
    assert "Not measured, float16: stopped after 1 s" in text
    assert "| moons | 8 x 8 | 64 | failed: RESOURCE_EXHAUSTED |" in text
    assert "95% of the best rate is first reached with 16 in a tile." in text
    assert "| wide | 8 | 90 bytes | 95 bytes | 97 bytes | 100 bytes | 0.95 |" in text
    assert "| deep | 8 | 90 bytes | 95 bytes | 97 bytes | - | - |" in text
    assert "Not measured, fashion_mnist: this device does not say" in text
    assert "| digits | 2 | loss: mse, cross_entropy | 100 | 1 x 2, 1 of them | 150 | 1 x 1, 1 of them | 1.50 |" in text
    assert "Not measured, ways: no time was left" in text
    assert "nan" not in text.lower()


def test_picture_leaves_out_what_was_not_measured():
    drawn = picture.figure(FOUND)
    assert [ax.get_title(loc="left") for ax in drawn.axes] == [
        "Throughput",
        "Of what weights' bytes or products allow",
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
    (row,) = jobs.answer(jobs.tiles("moons", [[1, 2]], "float32", 1, 0.02, hidden=[8]))
    assert row["replicas"] == 2
    assert row["least"] <= row["median"] <= row["greatest"]
    assert row["compiled_bytes"] > 0
    (row,) = jobs.answer(jobs.tiles("moons", [[1, 2]], "float32", 1, 0.02, activation="nowhere:nothing", hidden=[8]))
    assert "nowhere" in row["error"]


@pytest.mark.slow
def test_a_study_is_trained_and_told_of():
    found = jobs.answer(jobs.study("a", "precision", seeds=5, epochs=2))
    assert {row["n"] for row in found["summary"]} == {5}
    assert {(row["first"], row["second"]) for row in found["differences"]} == {
        ("float32", "bfloat16"),
        ("float32", "float16"),
    }
    assert all(row["low"] <= row["difference"] <= row["high"] for row in found["differences"])
    assert [row["n"] for row in found["scales"]] == [5, 5]
    assert all(row["steps"] > row["skipped_most"] >= 0 for row in found["scales"])
    text = page.markdown({**FOUND, "questions": {"studies": {"a precision": {"answer": found}}}})
    (line,) = (
        line
        for line in text.splitlines()
        if line.startswith("| float32 - float16 | cross_entropy, rate 0.1, float16 | 5 |")
    )
    low, high = found["differences"][2]["low"], found["differences"][2]["high"]
    assert f"[{100 * low:+.2f}, {100 * high:+.2f}]" in line


@pytest.mark.slow
def test_a_tile_that_is_too_large_is_halved(monkeypatch):
    """On a device of which the test says how much it has, and which fails above half of what is asked for."""

    class Exhausted(trainer.Trainer):
        def run(self, tiles, tick, watch):
            if self.plan.replicas > 100:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
            yield from super().run(tiles, tick, watch)

    monkeypatch.setattr(trainer, "Trainer", Exhausted)
    monkeypatch.setattr(jobs, "device_bytes", lambda name: 40_000_000)
    monkeypatch.setitem(networks.NETWORKS["moons"], "hidden", [8])
    found = jobs.answer(jobs.over_ask("moons", 8, 1.5))
    assert found["asked_bytes"] == pytest.approx(60_000_000, rel=0.1)
    assert found["ended"][0] * found["ended"][1] <= 100 < found["asked"][0] * found["asked"][1]
    assert found["replicas"] == found["wanted"] == found["asked"][0] * found["asked"][1]
    assert found["all_finite"]


@pytest.mark.slow
def test_the_whole_from_the_command_line(tmp_path):
    """All but PyTorch's ways, which test_bench.py tries."""
    names = [name for name in QUESTIONS if name not in ("torch", "others", "more")]
    asked = ["--platform", "cpu", "--quick", "--minutes", "30", "--question", *names, "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu", *asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())["questions"]
    assert set(found) == set(names)
    assert {name: row["error"] for jobs in found.values() for name, row in jobs.items() if "error" in row} == {}
    assert not (tmp_path / "errors.txt").exists()
    assert "This section could not be made" not in (tmp_path / "gpu.md").read_text()
    assert "Tried out on a CPU" in (tmp_path / "gpu.md").read_text()
    assert (tmp_path / "gpu.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_step_compiled_for_a_gpu_updates_in_one_pass():
    """On any machine that has JAX's plug-in for CUDA: the gradient needs no transposition of its own."""
    pytest.importorskip("jax_plugins.xla_cuda13")
    given = ["--shape", "4", "4", "--optimizer", "adamw"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu.compiled", *given], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    weights = 4 * workloads.parameters(networks.widths("fashion_mnist"))
    # The largest kernel reads gradient, weights and two moments, and writes three of them back.
    assert max(found["loops"][0]["largest"].values()) / found["replicas"] > 0.8 * 7 * weights
