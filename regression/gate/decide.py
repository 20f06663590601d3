"""The decision rule: fresh seeds against reference seeds in two stages, as a pure function of both.

Five fresh seeds are compared with the reference at a generous alpha. Only where that trips are
fifteen further seeds trained, and judged by themselves at a strict one. A healthy change therefore
costs little more than five seeds, and an alarm is as rare as both stages are together.

The primary metric is the area under the learning curve, which is far less noisy than the return at
the end. Units are standard deviations of the reference, never percent.

One rule holds for all sizes of reference. By simulation of normal and of left-skewed areas, with
five references as with a hundred, at most 4 healthy candidates in a thousand are called FAIL: few
references cost sight, not calm. With 5 of them a drop of 2 SD is seen in 75 % of the cases, with 10
in 90 %, with 30 in 95 to 99 %. For 6 references a margin of 0.5 and an alpha of 0.001 were tried,
and cost a sixth and nearly half of that sight. `power` has the figures for the sizes at
hand, `error_rates` measures the whole gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from regression.gate.curves import Scores, Vector
from regression.gate.permutation import holm, permutation_p, smallest_p
from reports.schema import Criterion, VerdictName

STAGE_ONE_ALPHA: Final = 0.10
STAGE_TWO_ALPHA: Final = 0.01
STAGE_TWO_SEEDS: Final = 15
# Being better costs no further seeds, so stage one must be sure by itself.
BETTER_ALPHA: Final = 0.005
# Of the criteria besides the area.
SECONDARY_ALPHA: Final = 0.01
# A candidate that is worse by less than this, in reference standard deviations, is not worse: a
# stored reference that happened to be lucky would otherwise raise false alarms for ever.
MARGIN_SD: Final = 0.25
FEWEST_REFERENCES: Final = 5
# A seed is dead if no window of its curve rises above the random level by this share of what the
# reference gains.
ALIVE_SHARE: Final = 0.2

AREA: Final = "area under the training curve"
FINAL: Final = "return over the last tenth"
DEAD: Final = "share of dead seeds"


@dataclass(frozen=True)
class Decision:
    """What the gate says.

    Attributes:
        verdict: INCONCLUSIVE as long as stage two is wanted and not there.
        sentence: the reason.
        criteria: every comparison made; the one that decides leads those of its stage.
        seeds_wanted: how many further fresh seeds stage two asks for; 0 where nothing is open.
    """

    verdict: VerdictName
    sentence: str
    criteria: list[Criterion]
    seeds_wanted: int = 0


def decide(
    unit: str, reference: Scores, stage_one: Scores, stage_two: Scores | None = None
) -> Decision:
    """The verdict on some seeds of one recipe on one device.

    Args:
        unit: of the returns.
        reference: of the stored seeds.
        stage_one: of the fresh seeds that every run trains.
        stage_two: of the seeds trained because stage one had tripped; None if there are none yet.
    """
    missing = _missing(reference, stage_one, stage_two)
    if missing:
        return Decision(VerdictName.INCONCLUSIVE, missing, [])
    first = _look(unit, reference, stage_one, stage=1)
    if not first[0].tripped:
        return _quiet(reference, stage_one, first)
    tripped = (
        f"The {len(stage_one)} seeds of stage one lie {moved_sd(first[0])} and trip it "
        f"(p = {first[0].p_value:.2g}, at most {STAGE_ONE_ALPHA:g})"
    )
    if stage_two is None:
        return Decision(
            VerdictName.INCONCLUSIVE,
            f"{tripped}: {STAGE_TWO_SEEDS} further fresh seeds must decide.",
            first,
            STAGE_TWO_SEEDS,
        )
    second = _look(unit, reference, stage_two, stage=2)
    area, fails = second[0], second[0].tripped
    sentence = (
        (f"{tripped}, and " if fails else f"{tripped}, but ")
        + f"the {len(stage_two)} seeds of stage two lie {moved_sd(area)} "
        + (
            f"(p = {area.p_value:.2g}, at most {STAGE_TWO_ALPHA:g})."
            if fails
            else f"and do not confirm it (p = {area.p_value:.2g}, above {STAGE_TWO_ALPHA:g})."
        )
    )
    verdict = VerdictName.FAIL if fails else VerdictName.WATCH
    return Decision(verdict, sentence + _besides(second), [*first, *second])


def _quiet(reference: Scores, candidate: Scores, criteria: list[Criterion]) -> Decision:
    """Stage one saw no drop of the area: better, to be watched for another reason, or a pass."""
    area = criteria[0]
    seen = f"The {area.name} is {moved_sd(area)}"
    p_better = permutation_p(candidate.area - MARGIN_SD * area.reference_sd, reference.area)
    if p_better <= BETTER_ALPHA:
        verdict = VerdictName.BETTER
        sentence = (
            f"{seen}, which is as suspicious as a drop (p = {p_better:.2g}): "
            "explain it, then bless the new curves."
        )
    else:
        alarm = any(criterion.tripped for criterion in criteria)
        verdict = VerdictName.WATCH if alarm else VerdictName.PASS
        sentence = f"{seen}, which chance explains (p = {area.p_value:.2g})."
    return Decision(verdict, sentence + _besides(criteria), criteria)


def _missing(reference: Scores, stage_one: Scores, stage_two: Scores | None) -> str:
    """Why these numbers can show nothing, and what would do; "" where they can."""
    if len(reference) < FEWEST_REFERENCES:
        return (
            f"The reference has {len(reference)} seeds and needs at least {FEWEST_REFERENCES}: "
            f"{FEWEST_REFERENCES - len(reference)} are missing."
        )
    groups = {"the reference": reference, "stage one": stage_one, "stage two": stage_two}
    for name, group in groups.items():
        lost = 0 if group is None else int((~np.isfinite(group.area)).sum())
        if lost:
            return f"In {lost} seeds of {name} no finite return was seen: there is no area."
    if np.ptp(reference.area) == 0.0:
        return (
            f"All {len(reference)} reference seeds have the same {AREA}: without a spread there "
            "is nothing to measure a drop by; bless seeds that differ."
        )
    for number, group, alpha in (
        ("one", stage_one, STAGE_ONE_ALPHA),
        ("two", stage_two, STAGE_TWO_ALPHA),
    ):
        if group is not None and _reach(len(reference), len(group)) > alpha:
            needed = next(k for k in range(1, 100) if _reach(len(reference), k) <= alpha)
            return (
                f"{len(group)} seeds against {len(reference)} cannot show anything in stage "
                f"{number}: their smallest p-value is {_reach(len(reference), len(group)):.3f}, "
                f"alpha is {alpha:g}; {needed} seeds could, {needed - len(group)} are missing."
            )
    return ""


def _reach(num_reference: int, num_candidate: int) -> float:
    return smallest_p(num_reference, num_candidate) if num_candidate else 1.0


def _look(unit: str, reference: Scores, candidate: Scores, stage: int) -> list[Criterion]:
    """All criteria on one stage's seeds, the one that decides first."""
    alpha = STAGE_ONE_ALPHA if stage == 1 else STAGE_TWO_ALPHA
    area = _drop(AREA, unit, reference=reference.area, candidate=candidate.area, alpha=alpha)
    besides = [
        _drop(
            FINAL,
            unit,
            reference=reference.final_tenth,
            candidate=candidate.final_tenth,
            alpha=SECONDARY_ALPHA,
        )
    ]
    random_level = float(reference.first_tenth.mean())
    alive = random_level + ALIVE_SHARE * (float(reference.final_tenth.mean()) - random_level)
    if alive > random_level:
        dead = [(group.peak <= alive).astype(np.float64) for group in (reference, candidate)]
        besides.append(_deaths(*dead))
    adjusted = holm([criterion.p_value for criterion in besides])
    return [
        area.model_copy(update={"decides": True, "stage": stage}),
        *(
            criterion.model_copy(
                update={
                    "p_value": p_value,
                    "smallest_p": min(1.0, len(besides) * criterion.smallest_p),
                    "tripped": p_value <= SECONDARY_ALPHA,
                    "stage": stage,
                }
            )
            for criterion, p_value in zip(besides, adjusted, strict=True)
        ),
    ]


def _drop(name: str, unit: str, *, reference: Vector, candidate: Vector, alpha: float) -> Criterion:
    """Is the candidate's mean below the reference's by more than the margin?"""
    spread = float(np.std(reference, ddof=1))
    p_value = permutation_p(reference, candidate + MARGIN_SD * spread)
    return criterion_of(
        name, unit, reference=reference, candidate=candidate, p_value=p_value, alpha=alpha
    )


def _deaths(reference: Vector, candidate: Vector) -> Criterion:
    """Are more of the candidate's seeds dead?

    Args:
        reference: [n] float64, 1 where dead, else 0.
        candidate: [k] float64, 1 where dead, else 0.
    """
    p_value = _fisher(reference, candidate)
    made = criterion_of(
        DEAD,
        "of 1",
        reference=reference,
        candidate=candidate,
        p_value=p_value,
        alpha=SECONDARY_ALPHA,
    )
    smallest = _fisher(reference, np.ones_like(candidate))
    return made.model_copy(update={"margin_sd": 0.0, "smallest_p": smallest})


def _fisher(reference: Vector, candidate: Vector) -> float:
    """One-sided p-value that the candidate's share is not the larger one.

    References:
        Fisher 1935, "The Logic of Inductive Inference": the exact test of a 2x2 table.
    """
    from scipy.stats import fisher_exact  # noqa: PLC0415  # half a second that few commands need

    table = np.array([[group.sum(), (1 - group).sum()] for group in (candidate, reference)], int)
    return float(fisher_exact(table, alternative="greater").pvalue)


def criterion_of(
    name: str, unit: str, *, reference: Vector, candidate: Vector, p_value: float, alpha: float
) -> Criterion:
    """A comparison that does not decide, of stage one, with the margin of the area."""
    return Criterion(
        name=name,
        unit=unit,
        reference_n=len(reference),
        reference_mean=float(np.mean(reference)),
        reference_sd=float(np.std(reference, ddof=1)),
        candidate_n=len(candidate),
        candidate_mean=float(np.mean(candidate)),
        p_value=p_value,
        alpha=alpha,
        smallest_p=smallest_p(len(reference), len(candidate)),
        margin_sd=MARGIN_SD,
        tripped=p_value <= alpha,
        decides=False,
    )


def moved_sd(criterion: Criterion) -> str:
    """How far the candidate lies from the reference, in words."""
    moved = (criterion.candidate_mean - criterion.reference_mean) / criterion.reference_sd
    return (
        f"{abs(moved):.2f} reference standard deviations "
        f"{'above' if moved >= 0 else 'below'} the reference"
    )


def _besides(criteria: list[Criterion]) -> str:
    """Names what tripped besides the area; "" where nothing did."""
    named = [
        f"{criterion.name}, {criterion.reference_mean:.3g} in the reference and "
        f"{criterion.candidate_mean:.3g} here (p = {criterion.p_value:.2g})"
        for criterion in criteria
        if criterion.tripped and not criterion.decides
    ]
    return f" Besides, to be watched: {'; '.join(named)}." if named else ""
