"""What the tables of a page show, and in which order: the worst and the deciding first."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import pandas as pd

from reports.fields import class_of
from reports.schema import Criterion, Fingerprint, SeedResult, Verdict

RECIPE: Final = "recipe digest"
SEEN: Final = 0.95  # share of FAIL from which on a drop counts as seen
UNSEEN: Final = 0.5  # and below which a drop counts as missed


class FieldRow(NamedTuple):
    """One field of the fingerprints, None where a side lacks it."""

    field: str
    reference: str | None
    here: str | None

    @property
    def kind(self) -> str:
        """What depends on the field: bits, the distribution, or nothing ("informative")."""
        return class_of(self.field)


class OperatingRow(NamedTuple):
    """What the gate makes of one drop, for each shape: (called FAIL, called WATCH), of 1."""

    drop_sd: float
    drop: float | None  # in returns; None where the criterion that decides is missing
    shares: list[tuple[float, float]]


def criteria_by_weight(verdict: Verdict) -> list[Criterion]:
    """Criteria that decide before secondary ones, the later stage first, then by p."""
    return sorted(
        verdict.criteria,
        key=lambda criterion: (not criterion.decides, -criterion.stage, criterion.p_value),
    )


def operating_rows(verdict: Verdict) -> list[OperatingRow]:
    """The gate's operating curves, drop by drop; none where nothing was compared."""
    unit = next((one.reference_sd for one in verdict.criteria if one.decides), None)
    points = zip(*(curve.points for curve in verdict.operating), strict=False)
    return [
        OperatingRow(
            drop_sd=of_drop[0].drop_sd,
            drop=None if unit is None else of_drop[0].drop_sd * unit,
            shares=[(point.fail, point.watch) for point in of_drop],
        )
        for of_drop in points
    ]


def sight(verdict: Verdict) -> str:
    """Which drops the gate calls FAIL almost always and which it misses; "" if unknown."""
    rows = operating_rows(verdict)
    if not rows:
        return ""
    seen = [row for row in rows if min(fail for fail, _ in row.shares) >= SEEN]
    unseen = [row for row in rows if max(fail for fail, _ in row.shares) < UNSEEN]
    calls = f"At these sizes the gate calls FAIL at least {SEEN:.0%} of candidates that lost "
    calls += f"{_drop(seen[0])} or more" if seen else f"more than {_drop(rows[-1])}, if any"
    if unseen and unseen[-1].drop_sd:
        calls += f"; of those that lost {_drop(unseen[-1])} or less it misses more than half"
    return f"{calls}."


def _drop(row: OperatingRow) -> str:
    return f"{row.drop_sd:g} SD" + ("" if row.drop is None else f" ({row.drop:.3g} in returns)")


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

    The recipe's hash leads, as no other field matters where that one differs; then what the
    distribution depends on, what bits depend on, and the rest.
    """
    here = _facts(verdict.fingerprint, verdict.recipe_hash)
    if verdict.reference is None:
        return [], [FieldRow(name, None, value) for name, value in here.items()]
    there = _facts(verdict.reference.fingerprint, verdict.reference.recipe_hash)
    order = {"bits": 1, "distribution": 0, "informative": 2}
    names = sorted(
        here.keys() | there.keys(),
        key=lambda name: (name != RECIPE, order[class_of(name)], name),
    )
    rows = [FieldRow(name, there.get(name), here.get(name)) for name in names]
    return (
        [row for row in rows if row.reference != row.here],
        [row for row in rows if row.reference == row.here],
    )


def _facts(fingerprint: Fingerprint, recipe_hash: str) -> dict[str, str]:
    return {RECIPE: recipe_hash} | fingerprint.flat() | {RECIPE: recipe_hash}


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
