"""A finding: what a rule found, with its evidence. It holds numbers and levels; `report.findings` says it in a language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare.analysis.case import Case

Name = dict[str, Any]  # a variant by the values of its factors


class Failures(NamedTuple):
    """How many of `n` runs failed, and how."""

    n: int
    n_diverged: int
    n_stuck: int
    reached: int | None = None  # of n, the target; None where there is none
    target: float | None = None


class Finding(NamedTuple):
    """Something that the tables show."""

    rule: str  # its name: vanishing_gradient, ...
    key: str  # of its sentence in the catalogue
    experiment: str
    study: str
    dataset: str
    values: Mapping[str, Any]  # what the sentence is filled in with: numbers, names of variants, failures
    threshold: str  # when the rule speaks
    table: str  # the evidence: a table, and of its rows what names them and what was looked at
    rows: tuple[Mapping[str, Any], ...]


def name_of(case: Case, row: pd.Series) -> Name:
    """A variant by its level and the factors kept apart."""
    return {key: row[key] for key in (case.comparison.factor, *case.comparison.apart)}


def failures_of(case: Case, row: pd.Series) -> Failures:
    """What failed of a row of the summary, and how many of its runs reached the target: one that left chance need not."""
    counts = (int(row["n"]), int(row["n_diverged"]), int(row["n_stuck"]))
    known = case.target is not None and pd.notna(row.get("reached"))
    return Failures(*counts, int(row["reached"]), case.target) if known else Failures(*counts)


def summary_finding(
    case: Case, rule: str, key: str, values: Mapping[str, Any], threshold: str, rows: Sequence[pd.Series], *columns: str
) -> Finding:
    """With its evidence in the summary."""
    one = case.comparison
    shown = ("variant_id", "label", "n", *columns)
    evidence = tuple({name: row[name] for name in shown if name in row} for row in rows)
    return Finding(rule, key, one.experiment, one.study, one.dataset, values, threshold, "summary", evidence)


def as_record(finding: Finding, sentence: str, elsewhere: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A finding as JSON can hold it: what is not finite is null. `elsewhere` are its sentences in other languages, by key."""
    fields = {name: getattr(finding, name) for name in ("rule", "experiment", "study", "dataset", "threshold")}
    evidence = {"table": finding.table, "rows": _plain(finding.rows)}
    return fields | {"sentence": sentence, **(elsewhere or {}), "values": _plain(finding.values), "evidence": evidence}


def _plain(value: Any) -> Any:
    if isinstance(value, Failures):
        return _plain({name: part for name, part in value._asdict().items() if part is not None})
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
