"""A finding of a rule, with its evidence: numbers and levels, which `report.findings` puts into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from jaxcompare.analysis.case import Case

Name = dict[str, Any]  # a variant by the values of its factors


class Failures(NamedTuple):
    """The numbers of failed runs of `n`, by kind of failure."""

    n: int
    n_diverged: int
    n_stuck: int
    reached: int | None = None  # of n, the target; None where there is none
    target: float | None = None


class Finding(NamedTuple):
    """A statement that the tables support."""

    rule: str  # its name: vanishing_gradient, ...
    key: str  # of its sentence in the catalogue
    experiment: str
    study: str
    dataset: str
    values: Mapping[str, Any]  # the sentence's fields: numbers, names of variants, failures
    threshold: str  # the condition under which the rule speaks
    table: str  # the table that has the evidence
    rows: tuple[Mapping[str, Any], ...]  # the evidence: the keys of its rows and the columns read


def name_of(case: Case, row: pd.Series) -> Name:
    """Return a variant's level and its values of the separate factors."""
    return {key: row[key] for key in case.comparison.varied()}


def at_rate(case: Case, row: pd.Series) -> dict[str, Any]:
    """Return a variant's name and learning rate, as a sentence's fields."""
    return {"name": name_of(case, row), "rate": row["learning_rate"]}


def failures_of(case: Case, row: pd.Series) -> Failures:
    """Return the failures of a row of the summary, and how many runs reached the target; a run above chance need not."""
    counts = (int(row["n"]), int(row["n_diverged"]), int(row["n_stuck"]))
    known = case.target is not None and pd.notna(row.get("reached"))
    return Failures(*counts, int(row["reached"]), case.target) if known else Failures(*counts)


def summary_finding(
    case: Case, rule: str, key: str, values: Mapping[str, Any], threshold: str, rows: Sequence[pd.Series], *columns: str
) -> Finding:
    """Return a finding with its evidence in the summary: `rows` with their names and `columns`."""
    shown = ("variant_id", "label", "n", *columns)
    evidence = tuple({name: row[name] for name in shown if name in row} for row in rows)
    return Finding(rule, key, *case.comparison[:3], values, threshold, "summary", evidence)


def as_record(finding: Finding, sentence: str, elsewhere: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a finding as a record for `to_json`. `elsewhere` has sentences in other languages."""
    fields = {name: getattr(finding, name) for name in ("rule", "experiment", "study", "dataset", "threshold")}
    values = {
        key: {name: part for name, part in value._asdict().items() if part is not None}
        if isinstance(value, Failures)
        else value
        for key, value in finding.values.items()
    }
    evidence = {"table": finding.table, "rows": finding.rows}
    return fields | {"sentence": sentence, **(elsewhere or {}), "values": values, "evidence": evidence}
