"""What the tables of a page show, and in which order: the worst and the deciding first."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from reports.schema import Criterion, SeedResult, Verdict


class FieldRow(NamedTuple):
    """One field of the fingerprints, None where a side lacks it."""

    field: str
    reference: str | None
    here: str | None


def criteria_by_weight(verdict: Verdict) -> list[Criterion]:
    """Criteria that decide before those only reported, each by increasing p-value."""
    return sorted(
        verdict.criteria, key=lambda criterion: (not criterion.decides, criterion.p_value)
    )


def seeds_worst_first(verdict: Verdict) -> list[SeedResult]:
    """Seeds without an area under the curve, then by increasing area."""
    return sorted(verdict.seeds, key=lambda seed: -math.inf if seed.auc is None else seed.auc)


def difference_sd(criterion: Criterion) -> float | None:
    """Candidate minus reference mean in reference standard deviations; None without spread."""
    if criterion.reference_sd <= 0:
        return None
    return (criterion.candidate_mean - criterion.reference_mean) / criterion.reference_sd


def fingerprint_rows(verdict: Verdict) -> tuple[list[FieldRow], list[FieldRow]]:
    """Fields in which the run and its reference differ, then those in which they agree.

    The recipe's hash leads, as no other field matters where that one differs.
    """
    here = {"recipe_hash": verdict.recipe_hash} | verdict.fingerprint
    there = verdict.reference and (
        {"recipe_hash": verdict.reference.recipe_hash} | verdict.reference.fingerprint
    )
    if not there:
        return [], [FieldRow(name, None, value) for name, value in here.items()]
    names = ["recipe_hash", *sorted((here.keys() | there.keys()) - {"recipe_hash"})]
    rows = [FieldRow(name, there.get(name), here.get(name)) for name in names]
    return (
        [row for row in rows if row.reference != row.here],
        [row for row in rows if row.reference == row.here],
    )


def quartiles(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """The numbers behind a panel of the figure.

    Args:
        curves: as read by `read_curves`.
        column: a return column of the curves.

    Returns:
        Sorted by step, indexed (step, group), over seeds with a value: their count, and the
        quartiles "25%", "50%" and "75%".
    """
    known = curves.dropna(subset=[column])
    return known.groupby(["step", "group"])[column].describe()[["count", "25%", "50%", "75%"]]
