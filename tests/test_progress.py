"""Progress: a share that never falls, that moves while programs compile, and a line that says what is left."""

import logging

import pytest

from jaxcompare.execution import progress
from jaxcompare.execution.progress import COMPILE_SECONDS, Progress


def shares(bar, events):
    found = [bar.share]
    for name, *given in events:
        getattr(bar, name)(*given)
        found.append(bar.share)
    return found


def test_the_share_moves_while_programs_compile():
    bar = Progress(training=3 * COMPILE_SECONDS, programs=1)
    assert shares(bar, [("compiled", "a")]) == [0, pytest.approx(0.25)]


@pytest.mark.parametrize("planned", [0.0, 10.0, 500.0])
def test_the_share_never_falls_when_a_confirmation_is_planned(planned):
    """The bar once went from 99% to 87% there."""
    bar = Progress(training=110.0, programs=0)  # 10 of them expected for the confirmation
    events = [("trained", "a", 1.0, False)] * 100 + [("replan", 10.0, planned)]
    found = shares(bar, events + [("trained", "b", 1.0, False)] * int(planned))
    assert found == sorted(found)
    assert found[-1] == pytest.approx(1 if planned else 100 / 110)


def test_what_is_trained_twice_takes_nothing_back():
    bar = Progress(training=10.0, programs=0)
    found = shares(bar, [("trained", "a", 4.0, False), ("trained", "a", -4.0, False), ("trained", "a", 10.0, False)])
    assert found == sorted(found)
    assert found[-1] == 1


def test_lines_say_the_share_and_the_time_left(caplog, monkeypatch):
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with caplog.at_level(logging.INFO, "jaxcompare"), Progress(training=8.0, programs=1) as bar:
        bar.compiled("a")
        bar.trained("a", 2.0, False)
        bar.trained("a", 2.0, False)
        bar.trained("a", 4.0, False)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "preparing programs"
    assert lines[1].startswith(" 50% 1 of 1 programs ready")
    assert "left" not in lines[1]
    assert "time left unknown yet" in lines[2]
    assert lines[3].startswith(" 75% a, ")
    assert "about" in lines[3]
    assert lines[-1].startswith("100% trained, ")
