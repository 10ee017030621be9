"""QUESTIONS: what is asked of a GPU (questions.toml), and how the jobs of each stage run. Standard library only."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

TIMING = {True: {"repeats": 1, "seconds": 0.05}, False: {"repeats": 3, "seconds": 0.3}}  # with --quick, and without


class Stage(NamedTuple):
    """How the jobs of neighbouring questions run.

    XLA tries products out on the device while it compiles, and any other use of the device spoils the trial: so rates come
    from stages in which one process runs at a time.
    """

    seconds: float = 150.0  # that one process may take
    one_process: bool = False  # for all jobs: a question's are compiled together, then measured one after another
    side_by_side: bool = False  # a process a job, and several compile at once; only where no rate is asked for


STAGES: dict[str, Stage] = {
    "machine": Stage(seconds=90.0),
    "comparison": Stage(seconds=200.0, one_process=True),
    "beside": Stage(seconds=240.0),
    "tiles": Stage(seconds=220.0, one_process=True),
    "memory": Stage(side_by_side=True),
    "alone": Stage(seconds=90.0),
}
QUESTIONS: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


class Job(NamedTuple):
    """A job of a question; without a function it is a run of the benchmark."""

    question: str
    name: str
    function: str
    arguments: dict[str, Any]


def jobs_of(name: str, *, quick: bool) -> list[Job]:
    """Return the jobs of a question, with all their arguments."""
    one = QUESTIONS[name]
    timing = TIMING[quick] if one.get("timed") else {}
    given = {job: one.get("shared", {}) | arguments | timing for job, arguments in one["jobs"].items()}
    if quick:
        given = {job: given[job] | one.get("quick", {}) for job in list(given)[: one.get("quick_jobs")]}
    return [Job(name, job, one.get("function", ""), arguments) for job, arguments in given.items()]


def environment_of(job: Job, machine: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a job's process on this machine."""
    one = QUESTIONS[job.question]
    environment = dict(one.get("environment", {}))
    if options := job.arguments.get("options"):
        environment["XLA_FLAGS"] = options
    if "device_bytes" in one:  # `memory_bytes` is three quarters of the device by default
        limit = machine.get("memory_bytes")
        share = min(0.75, 0.75 * one["device_bytes"] / limit) if limit else 0.1
        environment["XLA_CLIENT_MEM_FRACTION"] = f"{share:.4f}"
    return environment
