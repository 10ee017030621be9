"""Training reaches the known values: the checks of `python -m jaxcompare.validate`, the long ones marked slow."""

import math

import pytest

from jaxcompare import known, validate
from jaxcompare.data import DataError, load
from jaxcompare.known import Check


def verdict(check):
    value = check.compute()
    assert check.low <= value <= check.high, validate.line(check, value, 0.0)


@pytest.mark.parametrize("check", known.EXACT, ids=lambda check: check.name)
def test_exact_values(check):
    verdict(check)


@pytest.mark.parametrize("check", known.SMALL, ids=lambda check: check.name)
def test_small_sets_reach_what_is_published(check):
    verdict(check)


@pytest.fixture
def fashion_mnist():
    try:
        load("fashion_mnist", data_seed=0, samples=0, test_samples=0, noise=None, factor=0.5)
    except DataError as error:
        pytest.skip(f"Fashion-MNIST is not here: {str(error).splitlines()[0]}")


# All except the last: the CNN takes a quarter of an hour.
@pytest.mark.slow
@pytest.mark.parametrize("check", known.PUBLISHED[:-1], ids=lambda check: check.name)
def test_fashion_mnist_reaches_what_is_published(check, fashion_mnist):
    verdict(check)


def test_a_value_outside_its_range_fails(capsys):
    made = [Check(str(value), lambda value=value: value, 0.0, 1.0, "a book") for value in (0.5, 1.5, math.nan)]
    assert validate.run(made) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["PASS", "FAIL", "FAIL"]
    assert lines[0].startswith("PASS  0.5: 0.5, expected 0 to 1 (a book; ")


@pytest.mark.parametrize(("value", "code"), [(0.5, 0), (2.0, 1)])
def test_the_exit_code_says_whether_all_passed(value, code, monkeypatch, capsys):
    asked = {}

    def checks(quick):
        asked["quick"] = quick
        return (Check("one", lambda: value, 0.0, 1.0, "a book"), Check("two", lambda: 0.5, 0.0, 1.0, "a book"))

    monkeypatch.setattr(validate, "checks", checks)
    monkeypatch.setattr(validate, "start_jax", lambda: None)
    assert validate.main(["--quick"]) == code
    assert asked == {"quick": True}
    assert f"{2 - code} of 2 passed" in capsys.readouterr().out
    assert validate.main(["--only", "two"]) == 0


def test_quick_needs_no_download():
    names = {check.name for check in known.checks(quick=True)}
    assert not any("Fashion" in name for name in names)
    assert len(names) == len(known.EXACT) + len(known.SMALL)
    assert len(known.checks()) == len(names) + len(known.PUBLISHED)
