"""What was learned, besides what it earned: Q-values and losses against those of the reference.

Many a fault costs no return on an easy task. Without discounting CartPole is learned as well as
before, and the Q-values are twenty standard deviations too high. For one recipe values and losses
have one distribution, so a shift of either, up or down, says that something else is computed now.

The rule is that of the area, in two stages and with a margin, at alphas that leave its promises
alone: what trips in stage one has further seeds trained, and only what trips again there, in the
same direction, is a FAIL. Logs that hold neither quantity are judged by returns alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from regression.gate.curves import Group, Vector
from regression.gate.decide import (
    STAGE_TWO_ALPHA,
    STAGE_TWO_SEEDS,
    Decision,
    criterion_of,
    moved_sd,
)
from regression.gate.permutation import holm, permutation_p
from reports.schema import Criterion, VerdictName

ALPHA: Final = 0.005  # of each stage, over both quantities and both directions
# Wider than the area's: such a shift costs nothing by itself, and only a plain one is worth a stop.
MARGIN_SD: Final = 0.5
QUANTITIES: Final = {"q_mean": "mean Q-value of sampled actions", "loss": "mean TD loss"}
Means = dict[str, Vector]  # of each quantity, [seeds]
UNITS: Final = {"q_mean": "discounted returns", "loss": "loss"}


def value_criteria(curves: pd.DataFrame, seeds: Sequence[int], stage: int) -> list[Criterion]:
    """Compares values and losses of candidate and reference.

    Args:
        curves: of both, in `CURVE_COLUMNS`.
        seeds: of the candidate, those of the stage.
        stage: 1 or 2.

    Returns:
        As `compare`.
    """
    return compare(means_of(curves, "reference"), means_of(curves, "candidate", seeds), stage)


def diverged(curves: pd.DataFrame) -> list[int]:
    """Candidate seeds whose values or losses end as nan or infinite, after finite ones.

    Args:
        curves: in `CURVE_COLUMNS`.
    """
    candidates = curves[curves["group"] == "candidate"]
    found: set[int] = set()
    for column in QUANTITIES:
        by_seed = candidates.pivot_table(
            index="seed", columns="step", values=column, aggfunc="mean", dropna=False
        )
        finite = np.isfinite(by_seed.to_numpy(np.float64))
        if finite.size:
            found.update(by_seed.index[finite.any(axis=1) & ~finite[:, -1]])
    return sorted(found)


def means_of(curves: pd.DataFrame, group: Group, seeds: Sequence[int] | None = None) -> Means:
    """Each quantity, averaged over the windows of each seed; nan where none was recorded.

    Args:
        curves: in `CURVE_COLUMNS`.
        group: whose.
        seeds: of these only, in this order; of all, by number, if not given.
    """
    chosen = curves[curves["group"] == group]
    means = {
        column: pd.to_numeric(chosen[column]).groupby(chosen["seed"]).mean()
        for column in QUANTITIES
    }
    return {
        column: (of if seeds is None else of.reindex(list(seeds))).to_numpy(np.float64)
        for column, of in means.items()
    }


def compare(references: Means, candidates: Means, stage: int) -> list[Criterion]:
    """Compares each quantity of some seeds with those of reference seeds, two-sided.

    Returns:
        A criterion for each quantity that every seed has recorded, with Holm's p-values.
    """
    found = []
    for column, name in QUANTITIES.items():
        reference, candidate = references[column], candidates[column]
        known = np.isfinite(reference).all() and np.isfinite(candidate).all()
        if not known or len(reference) < 2 or not len(candidate) or np.ptp(reference) == 0.0:
            continue
        margin = MARGIN_SD * float(np.std(reference, ddof=1))
        lower = permutation_p(reference, candidate + margin)
        higher = permutation_p(candidate - margin, reference)
        p_value = min(1.0, 2 * min(lower, higher))
        found.append(
            criterion_of(
                name,
                UNITS[column],
                reference=reference,
                candidate=candidate,
                p_value=p_value,
                alpha=ALPHA,
            )
        )
    adjusted = holm([criterion.p_value for criterion in found])
    return [
        one.model_copy(
            update={
                "p_value": p_value,
                "smallest_p": min(1.0, 2 * len(found) * one.smallest_p),
                "margin_sd": MARGIN_SD,
                "tripped": p_value <= ALPHA,
                "stage": stage,
            }
        )
        for one, p_value in zip(found, adjusted, strict=True)
    ]


def with_value_shift(
    decision: Decision, one: list[Criterion], two: list[Criterion] | None
) -> Decision:
    """A decision on returns, after a look at values and losses.

    Args:
        decision: the gate's.
        one: from `value_criteria` on the seeds of stage one.
        two: from `value_criteria` on those of stage two, or None if there are none yet.
    """
    if not decision.criteria:  # nothing could be compared
        return decision
    decision = replace(decision, criteria=[*decision.criteria, *one, *(two or [])])
    tripped = [criterion for criterion in one if criterion.tripped]
    if not tripped:
        return decision
    if two is None and decision.seeds_wanted:
        return decision
    if two is None:
        sentence = f"{decision.sentence} Stage one saw that {_shifts(tripped)}"
        return replace(
            decision,
            verdict=VerdictName.INCONCLUSIVE,
            sentence=f"{sentence}: {STAGE_TWO_SEEDS} further fresh seeds must decide.",
            seeds_wanted=STAGE_TWO_SEEDS,
        )
    again = confirmed(decision.criteria)
    if not again:
        verdict = decision.verdict
        return replace(
            decision,
            verdict=VerdictName.WATCH if verdict is VerdictName.PASS else verdict,
            sentence=f"{decision.sentence} Stage one saw that {_shifts(tripped)}; stage two does "
            "not confirm it.",
        )
    return replace(
        decision,
        verdict=VerdictName.FAIL,
        sentence=f"{decision.sentence} What is learned is not what it was: {_shifts(again)}, in "
        "both stages. If that is meant, bless the new curves.",
    )


def confirmed(criteria: Iterable[Criterion]) -> list[Criterion]:
    """The quantities of stage two that tripped in both stages, in one direction."""
    inside = [one for one in criteria if one.name in QUANTITIES.values() and one.tripped]
    first = {(one.name, _is_higher(one)) for one in inside if one.stage == 1}
    return [one for one in inside if one.stage == 2 and (one.name, _is_higher(one)) in first]


def comparable_p(criterion: Criterion) -> float:
    """Its p-value on the scale of the area's in stage two, for corrections over cells."""
    return min(1.0, criterion.p_value * STAGE_TWO_ALPHA / criterion.alpha)


def _is_higher(criterion: Criterion) -> bool:
    return criterion.candidate_mean > criterion.reference_mean


def _shifts(criteria: list[Criterion]) -> str:
    return " and ".join(
        f"the {one.name} lies {moved_sd(one)} (p = {one.p_value:.2g})" for one in criteria
    )
