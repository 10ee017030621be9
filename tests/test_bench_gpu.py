"""What a GPU is asked: the questions, what becomes of jobs that fail, XLA's text in figures, the page and the picture."""

import inspect
import json
import math
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest

from benchmarks import child, gpu, ours, process, workloads
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import hlo, jobs, page, picture, questions
from benchmarks.gpu.questions import QUESTIONS, Stage
from benchmarks.tables import TILE
from benchmarks.ways import WAYS
from jaxcompare.engine import sweep

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
    (loop,) = hlo.summary(TEXT)
    assert loop["body"] == "turn"
    assert loop["kernels"] == 5
    assert loop["counts"] == {"fusion": 3, "custom-call __cublas$gemm": 1, "copy-start": 1}
    assert loop["products"] == 2
    product = (40 + 30 + 12) * 4
    update = 12 * 4 + 12 * 4 + 12 * 4 + 12 * 2
    library, copy, count = 2 * 12 * 4, 2 * 12 * 4 + 4, 2 * 4
    assert loop["bytes"] == product + update + library + copy + count
    assert loop["largest"]["gemm_fusion"] == product


def test_a_compiled_program_is_read():
    """XLA's own text, of any version: the training loop has its products, and its bytes grow with the network."""

    def train(x, kernel, steps):
        return jax.lax.fori_loop(0, steps, lambda _, kernel: kernel - x.T @ jnp.tanh(x @ kernel), kernel)

    def of(width):
        shapes = (jnp.zeros((64, width)), jnp.zeros((width, width)), 5)
        return hlo.summary(jax.jit(train).lower(*shapes).compile().as_text())[0]

    small, large = of(64), of(128)
    assert small["products"] == large["products"] == 2
    assert 64 * 64 * 4 < small["bytes"] < large["bytes"]


def test_every_question_has_jobs_that_can_be_called():
    """Names of functions and arguments are right, at full size and quick, though nothing is run."""
    for name in QUESTIONS:
        assert QUESTIONS[name]["stage"] in questions.STAGES
        for quick in (True, False):
            every = questions.jobs_of(name, quick=quick)
            assert every, name
            for job in every:
                json.dumps(questions.environment_of(job, {}))
                if job.function:
                    inspect.signature(jobs.JOBS[job.function]).bind(**job.arguments)
                else:
                    assert job.arguments["replicas"] in workloads.WORKLOADS[job.arguments["workload"]].sizes
                    assert set(job.arguments["ways"]) <= set(WAYS)
    beside = [job.arguments["workload"] for name in ("torch", "more") for job in questions.jobs_of(name, quick=False)]
    assert set(beside) == set(workloads.WORKLOADS)


def test_too_much_is_asked_of_a_small_part_of_the_device():
    (job,) = questions.jobs_of("over_ask", quick=False)
    environment = questions.environment_of(job, {"memory_bytes": 105 * 2**30})
    assert float(environment["XLA_CLIENT_MEM_FRACTION"]) * 140 == pytest.approx(4, rel=0.01)
    assert 0 < float(questions.environment_of(job, {})["XLA_CLIENT_MEM_FRACTION"]) < 1


def test_tiles_are_of_the_shape_that_is_asked_for():
    program = jobs.one_tile("digits", (3, 4), optimizer="sgd")
    assert (program.shape, len(program.tiles)) == ((3, 4), 1)
    assert program.settings.optimizer == "sgd"


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--question", "tiles"], "'tiles' (choose"), (["--minutes", "0"], "greater than 0")]
)
def test_command_line_errors(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_folder_that_is_not_there(capsys):
    assert command.main(["--read", "--out", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def left(session):
    """Whether any process of a session is there."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_ends_with_all_that_it_started(tmp_path, monkeypatch):
    begun = tmp_path / "begun"
    inner = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    monkeypatch.setattr(process.Child, "COMMAND", (sys.executable, "-c", code))
    one, until = process.Child("", {}), time.perf_counter() + 30
    while not begun.exists():
        assert time.perf_counter() < until
        time.sleep(0.05)
    with pytest.raises(process.ChildError, match="it took too long"):
        one.ask("finish", time.perf_counter())
    one.stop()
    while left(one.process.pid):  # nobody of its session stays
        assert time.perf_counter() < until
        time.sleep(0.1)


class Asked:
    """Questions whose jobs take no time, in stages of all kinds, and what was done in which order.

    A job of a name in `never` never stops compiling, one in `late` never stops measuring, one in `failing` ends its process.
    """

    CODE = """
import json, sys, time
settings = json.load(open(sys.argv[1]))
def say(*what):
    with open(settings["order"], "a") as order:
        print(*what, file=order)
for line in sys.stdin:
    request = json.loads(line)
    answer = {}
    if request["do"] == "begin":
        names = [arguments["name"] for _, arguments in request["jobs"]]
        say(*names, "compiles")
        if set(names) & set(settings["never"]):
            time.sleep(60)
    else:
        name = names.pop(0)
        say(name, "measures")
        if name in settings["late"]:
            time.sleep(60)
        if name in settings["failing"]:
            raise SystemExit("no such thing")
        known = [{"what": key, "is": settings[key]} for key in ("platform", "device")]
        answer = {"row": {"answer": [*known, {"what": "n", "is": settings["n"]}]}}
    print(json.dumps(answer), flush=True)
"""

    def __init__(self, folder):
        self.folder, self.file, self.order = folder / "out", folder / "settings", folder / "order"
        self.settings = {"order": str(self.order), "platform": "cpu", "device": "a device", "n": 1}
        self.settings |= {"never": [], "late": [], "failing": []}

    def run(self, *names, quick=False):
        """Exit code of the command."""
        self.file.write_text(json.dumps(self.settings))
        options = ["--quick"] if quick else []
        asked = ["--question", *names] if names else []
        return command.main(["--out", str(self.folder), "--platform", "cpu", *options, *asked])

    @property
    def rows(self):
        """Each job's row, with the number that its answer has."""
        known = json.loads((self.folder / "gpu.json").read_text())["questions"]
        rows = {job: row for every in known.values() for job, row in every.items()}
        return {
            job: row | ({"answer": row["answer"][-1]["is"]} if "answer" in row else {}) for job, row in rows.items()
        }

    @property
    def page(self):
        return (self.folder / "gpu.md").read_text()

    @property
    def lines(self):
        """What was done after the machine was asked."""
        return self.order.read_text().splitlines()[2:]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    def question(stage, *names):
        each = {name: {"name": name} for name in names}
        return {"title": "A title", "stage": stage, "function": "tiles", "jobs": each}

    every = {
        "machine": question("machine", "device"),
        "first": question("together", "a", "b"),
        "second": question("together", "c"),
        "third": question("side_by_side", "d", "e"),
        "fourth": question("alone", "f"),
    }
    stages = {"machine": Stage(), "together": Stage(one_process=True), "side_by_side": Stage(side_by_side=True)}
    for module in (command, page, questions):
        monkeypatch.setattr(module, "QUESTIONS", every)
    monkeypatch.setattr(command, "STAGES", stages | {"alone": Stage()})
    one = Asked(tmp_path)
    monkeypatch.setattr(process.Child, "COMMAND", (sys.executable, "-c", one.CODE, str(one.file)))
    return one


DONE = {"answer": 1}


def test_each_stage_compiles_before_it_measures(asked, monkeypatch):
    monkeypatch.setattr(command, "usable_cores", lambda: 1)  # one after another
    assert asked.run() == 0
    assert asked.lines == [
        *("a b compiles", "a measures", "b measures", "c compiles", "c measures"),
        *("d compiles", "e compiles", "d measures", "e measures"),
        *("f compiles", "f measures"),
    ]
    assert asked.rows == dict.fromkeys(["device", *"abcdef"], DONE)


def test_what_there_is_no_time_for_is_said(asked, monkeypatch):
    monkeypatch.setattr(command, "LEAST_SECONDS", 1000.0)
    monkeypatch.setattr(command.Run, "_machine", lambda self: self.known["machine"].update(device="a device"))
    assert asked.run() == 0
    assert not asked.order.exists()
    assert "Not measured, c: no time was left" in asked.page


def test_what_takes_too_long_to_compile_costs_itself_alone(asked, monkeypatch):
    asked.settings["never"] = ["d"]
    monkeypatch.setitem(command.STAGES, "side_by_side", Stage(seconds=3.0, side_by_side=True))
    monkeypatch.setattr(command, "usable_cores", lambda: 8)
    assert asked.run("third") == 0
    assert sorted(asked.lines) == ["d compiles", "e compiles", "e measures"]
    assert asked.rows["d"] == {"error": "stopped: it took too long"}
    assert asked.rows["e"] == DONE


def test_a_process_that_fails_costs_one_job(asked):
    """Its answers stay, and the jobs after it have a process of their own."""
    asked.settings["failing"] = ["a"]
    assert asked.run("first", "second", "fourth") == 0
    why = "its process ended with code 1: no such thing"
    assert asked.rows["a"] == {"error": why}
    assert asked.rows["b"] == asked.rows["c"] == asked.rows["f"] == DONE
    assert asked.lines[:4] == ["a b compiles", "a measures", "b compiles", "b measures"]
    assert f"== first: a: {why}\nno such thing" in (asked.folder / "errors.txt").read_text()


def test_a_process_that_is_late_costs_the_rest_of_its_stage(asked, monkeypatch):
    asked.settings["late"] = ["b"]
    monkeypatch.setitem(command.STAGES, "together", Stage(seconds=3.0, one_process=True))
    assert asked.run("first", "second", "fourth") == 0
    assert asked.rows["a"] == asked.rows["f"] == DONE
    assert asked.rows["b"] == {"error": "stopped: it took too long"}
    assert asked.rows["c"] == {"error": "no time was left"}


def test_an_earlier_answer_gives_way_to_a_new_one_alone(asked):
    assert asked.run("first", "fourth") == 0
    asked.settings |= {"failing": ["b", "c"], "n": 2}
    assert asked.run("first", "second") == 0
    assert {name: asked.rows[name]["answer"] for name in "abf"} == {"a": 2, "b": 1, "f": 1}
    assert asked.rows["c"] == {"error": "its process ended with code 1: no such thing"}
    words = "- Measured in an earlier run, b; in the last: its process ended with code 1: no such thing"
    assert words in asked.page


def test_a_benchmark_that_is_stopped_keeps_its_rows(asked, monkeypatch):
    rows = [{"workload": "digits", "replicas": 2, "way": "ours", "median": 3.0, "is": 1}]

    class Bench:
        def __init__(self, *given, **options):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def cell(self, *given):
            yield rows
            raise process.ChildError("stopped: it took too long")

    given = {"ways": [], "repeats": 1, "seconds": 1.0, "workload": "digits", "replicas": 2}
    monkeypatch.setattr(command, "Bench", Bench)
    monkeypatch.setitem(command.QUESTIONS, "fourth", {"title": "A title", "stage": "alone", "jobs": {"f": given}})
    assert asked.run("fourth") == 0
    assert asked.rows["f"] == {"answer": 1, "error": "stopped: it took too long"}
    assert "- Stopped early, f: stopped: it took too long" in asked.page
    assert "| digits   | 2        | ours |" in asked.page


@pytest.mark.parametrize("other", ["device", "quick"])
def test_figures_of_two_kinds_are_not_mixed(asked, capsys, other):
    assert asked.run("fourth") == 0
    before = {name: (asked.folder / name).read_bytes() for name in ("gpu.json", "gpu.md")}
    asked.settings |= {"device": "another device"} if other == "device" else {}
    assert asked.run("third", quick=other == "quick") == 2
    assert "give another --out" in capsys.readouterr().err
    assert {name: (asked.folder / name).read_bytes() for name in before} == before


def test_a_page_needs_no_matplotlib(asked, monkeypatch, capsys):
    monkeypatch.delattr(gpu, "picture")
    monkeypatch.setitem(sys.modules, "benchmarks.gpu.picture", None)
    assert asked.run("fourth") == 0
    assert (asked.folder / "gpu.md").exists()
    assert "no picture: import of benchmarks.gpu.picture halted" in capsys.readouterr().err


def test_a_run_that_is_stopped_ends_its_processes_and_writes_its_page(asked, monkeypatch, capsys):
    asked.settings["late"] = ["c"]
    answer, seen = process.Child.answer, []

    def interrupted(self, until):
        seen.append(self)
        if asked.order.exists() and asked.lines[-1:] == ["c compiles"]:
            command.interrupted(signal.SIGTERM, None)
        return answer(self, until)

    monkeypatch.setattr(process.Child, "answer", interrupted)
    assert asked.run("first", "second") == 130
    assert seen[-1].process.poll() == -signal.SIGKILL
    assert "Not measured, c: no time was left" in asked.page
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"failing": ["device"]}, "its process ended with code 1: no such thing"),
        ({"platform": "tpu"}, "it has tpu"),
    ],
)
def test_without_such_a_device_nothing_is_asked(asked, capsys, settings, why):
    asked.settings |= settings
    assert asked.run() == 2
    assert f"JAX finds no CPU on this machine ({why})" in capsys.readouterr().err
    assert asked.order.read_text().splitlines() == ["device compiles", "device measures"]
    assert not (asked.folder / "gpu.json").exists()


def test_processes_have_their_own_settings_and_nobody_elses(asked, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--of-the-user")
    monkeypatch.setenv("HOME_OF_THE_USER", "kept")
    start, seen = process.Child.__init__, []

    def started(self, target, environment, folder=None):
        seen.append({**os.environ, **environment})
        start(self, target, environment, folder)

    monkeypatch.setattr(process.Child, "__init__", started)
    monkeypatch.setitem(command.QUESTIONS["fourth"], "jobs", {"f": {"name": "f", "options": "--of-f"}})
    assert asked.run("first", "fourth") == 0
    assert ["XLA_FLAGS" in one for one in seen] == [False, False, True]
    assert seen[-1]["XLA_FLAGS"] == "--of-f"
    assert {one["HOME_OF_THE_USER"] for one in seen} == {"kept"}


def test_jobs_compile_together_and_are_measured_one_after_another(monkeypatch):
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

    monkeypatch.setitem(jobs.JOBS, "tiles", job)
    monkeypatch.setattr(ours, "start_jax", lambda: None)
    server = child.Server("gpu.jobs")
    fails = {"a": "", "b": "compiling", "c": "measuring", "d": "at once", "e": ""}
    server.begin([("tiles", {"name": name, "fails": how}) for name, how in fails.items()])
    assert sorted(order) == [f"{name} compiles" for name in "abcde"]
    assert [server.finish()["row"] for _ in fails] == [
        {"answer": "a"},
        {"error": "ValueError: cannot be compiled"},
        {"error": "ValueError: cannot be measured"},
        {"answer": "nothing to do"},
        {"answer": "e"},
    ]
    assert order[5:] == ["a measures", "c measures", "e measures"]


def figures(median):
    return {"median": median, "least": 0.9 * median, "greatest": 1.1 * median, "rates": [median], "steps": 5}


COSTS = {"operations": 128_909_312, "traffic": 6_000_000, "streamed": 9_400_000}
PROGRAM = {"kind": "tensorfloat32", "program": "adamw", TILE: [10, 9], "kernels a step": 29, "moved": 10.8e6, **COSTS}
SMALL = {"network": "moons", "kind": "tensorfloat32", "operations": 1e7, "traffic": 3e5, "streamed": 5e5}
CEILINGS = [
    {"what": "tensorfloat32", "rate": 4e14, "is": "400 TFLOP/s"},
    {"what": "copy", "rate": 4e12, "is": "4 TB/s"},
]
KNOWN = {
    "versions": {"jax": "0.0"},
    "system": "Linux",
    "cores": 2,
    "quick": False,
    "wall_seconds": 60.0,
    "machine": {"platform": "gpu", "device": "NVIDIA H200"},
    "questions": {
        "ceilings": {"ceilings": {"answer": CEILINGS}},
        "precisions": {
            "tensorfloat32": {
                "answer": [
                    {"kind": "tensorfloat32", "program": "all", "replicas": 270, "compare": "all", "median": 3e5},
                    PROGRAM | {"compare": "adamw"} | figures(2e5),
                ]
            },
            "float16": {"error": "stopped after 1 s"},
        },
        "replicas": {
            "moons": {
                "answer": [
                    SMALL | {TILE: [1, 4], "replicas": 4} | figures(1e5),
                    SMALL | {TILE: [2, 8], "replicas": 16} | figures(9e5),
                    SMALL | {TILE: [8, 8], "replicas": 64, "error": "RESOURCE_EXHAUSTED"},
                ]
            }
        },
        "torch": {"ways": {"error": "no time was left"}},
    },
}


def cells_of(text, *wanted):
    """The cells of the only row of a table that has all of these."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    (row,) = [row for row in rows if set(wanted) <= set(row)]
    return row


def test_page_says_what_was_measured_and_what_was_not():
    text = page.markdown(KNOWN)
    assert "NVIDIA H200; 2 CPU cores" in text
    # 9.4 MB at 4 TB/s are 425,532 a second; 6 MB 666,667; 128.9 million operations at 400 TFLOP/s are no bound.
    row = cells_of(text, "adamw", "10 x 9")
    assert {"tensorfloat32", "29", "6", "9.4", "10.8", "30%", "47%", "bytes", "200,000"} <= set(row)
    assert "Not measured, float16: stopped after 1 s" in text
    assert cells_of(text, "8 x 8", "64")[-1] == "RESOURCE_EXHAUSTED"
    assert "95% of the best rate is first reached with 16 in a tile." in text
    assert "Not measured, ways: no time was left" in text
    assert "nan" not in text.lower()


def test_a_section_that_cannot_be_written_stops_no_other():
    assert "This section could not be written" not in page.markdown(KNOWN)
    bad = {"moons": {"answer": [{"streamed": 1}]}}
    text = page.markdown({**KNOWN, "questions": {**KNOWN["questions"], "planner": bad}})
    assert "This section could not be written: KeyError" in text
    assert "95% of the best rate" in text


def test_picture_leaves_out_what_was_not_measured():
    drawn = picture.figure(KNOWN)
    assert [ax.get_title(loc="left") for ax in drawn.axes] == [
        "Throughput",
        "Of what weights' bytes or products allow",
        "Comparison C, 270 replicas",
    ]
    assert picture.figure({**KNOWN, "questions": {}}) is None


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
    rows = jobs.kernels(events, 2)
    assert [(row["kernel"], row["calls a step"], round(row["of the time"], 2)) for row in rows] == [
        ("gemm_fusion_1", 1.0, 0.6),
        ("update", 0.5, 0.4),
    ]
    assert jobs.kernels([], 1) == []


def answer(work):
    """Both parts of a job, and what it returns."""
    row = child.go_on(work) or child.go_on(work)
    return row.get("answer", row)


def test_tiles_are_measured(quick_compilation):
    """The real thing at its smallest, in this process."""
    one = ours.compile_one(jobs.one_tile("moons", [1, 2], "float32", hidden=[8]), ours.local_places(1))
    row = jobs.rated(one, one.program, 2, 0.02)
    assert row["replicas"] == 2
    assert row["least"] <= row["median"] <= row["greatest"]
    assert row["compiled, bytes"] > 0
    assert one.digest(40) == one.digest(15, 25) != one.digest(39)
    (row,) = answer(jobs.tiles("moons", [[1, 2]], 1, 0.02, activation="nowhere:nothing", hidden=[8]))
    assert "nowhere" in row["error"]


@pytest.mark.slow
def test_a_study_is_trained_and_shown():
    rows = answer(jobs.study("a", "precision", seeds=5, epochs=2))
    shown = {
        name: [row for row in rows if row["table"] == name] for name in ("summary", "claims", "effects", "float16")
    }
    assert {row["n"] for row in shown["summary"]} == {5}
    differences = [*shown["claims"], *shown["effects"]]
    pairs = {(row["first"], row["second"]) for row in differences}
    assert pairs == {("float32", "bfloat16"), ("float32", "float16")}
    assert all(row["low"] <= row["difference"] <= row["high"] for row in differences)
    assert [row["n"] for row in shown["float16"]] == [5, 5]
    assert all(row["steps"] > row["most"] >= 0 for row in shown["float16"])
    text = page.markdown({**KNOWN, "questions": {"studies": {"a precision": {"answer": rows}}}})
    assert all(row["label"] in text for row in shown["summary"])


@pytest.mark.slow
def test_a_tile_that_is_too_large_is_halved(monkeypatch):
    """On a device whose memory the test names, and which fails above 100 replicas."""
    train_tile, sizes = sweep.train_tile, []

    def exhausted(compiled, data, replicas, **options):
        sizes.append(replicas.seeds.shape[0] * replicas.hparams.learning_rate.shape[0])
        if sizes[-1] > 100:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return train_tile(compiled, data, replicas, **options)

    monkeypatch.setattr(sweep, "train_tile", exhausted)
    monkeypatch.setattr(jobs, "device_bytes", lambda name: 40_000_000)
    monkeypatch.setitem(workloads.NETWORKS["moons"], "hidden", [8])
    (row,) = answer(jobs.over_ask("moons", 1.5))
    assert row["asked, bytes"] == pytest.approx(60_000_000, rel=0.1)
    assert math.prod(row["ended in tile"]) <= 100 < math.prod(row[TILE])
    assert row["replicas"] == row["wanted"] == math.prod(row[TILE])
    assert row["finite"]


@pytest.mark.slow
def test_the_whole_from_the_command_line(tmp_path):
    """All except PyTorch's ways, which test_bench.py tries."""
    names = [name for name in QUESTIONS if name not in ("torch", "others", "more", "profile", "over_ask")]
    asked = ["--platform", "cpu", "--quick", "--minutes", "30", "--question", *names, "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu", *asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    known = json.loads((tmp_path / "gpu.json").read_text())["questions"]
    assert set(known) == set(names)
    assert {name: row["error"] for every in known.values() for name, row in every.items() if "error" in row} == {}
    assert not (tmp_path / "errors.txt").exists()
    text = (tmp_path / "gpu.md").read_text()
    assert "This section could not be written" not in text
    assert "Tried out on a CPU" in text
    assert (tmp_path / "gpu.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_step_compiled_for_a_gpu_updates_in_one_pass():
    """On any machine that has JAX's plug-in for CUDA: the gradient needs no transposition of its own."""
    pytest.importorskip("jax_plugins.xla_cuda13")
    given = ["--shape", "4", "4", "--optimizer", "adamw"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu.compiled", *given], capture_output=True, text=True, check=True
    )
    known = json.loads(done.stdout)
    weights = 4 * workloads.parameters(workloads.widths_of("fashion_mnist"))
    # The largest kernel reads gradient, weights and two moments, and writes three of them back.
    assert max(known["loops"][0]["largest"].values()) / known["replicas"] > 0.8 * 7 * weights
