"""From finished units to a verdict: a pure function of curves, reference and job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from regression.gate.curves import returns_of, scores
from regression.gate.decide import STAGE_TWO_SEEDS, Decision, decide
from regression.gate.power import operating_curves
from regression.gate.value_shift import diverged, value_criteria, with_value_shift
from regression.job.job import Job
from regression.job.log_protocol import ImportedJob
from regression.machine.bits import bits_notes, with_bits
from regression.machine.levels import claim, describe_claim
from reports.command_line import next_command
from reports.schema import (
    SCHEMA_VERSION,
    BitsCheck,
    Fingerprint,
    OperatingCurve,
    ReferenceInfo,
    SeedResult,
    Verdict,
    VerdictName,
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a verdict follows from.

    Attributes:
        job: what was run; its seeds are those of stage one.
        results: one for each seed of both stages.
        curves: of candidate and, where there is one, reference, in `CURVE_COLUMNS`.
        reference: where the stored truth came from, or None.
        no_reference: why there is none, or "".
        fingerprint: of this run.
        started_utc: ISO time, for the page only.
        wall_s: of the whole run.
        stage_two: the seeds trained because stage one had tripped; none if it had not.
        notes: what is wrong with the records of single runs; they are reported, and decide nothing.
        bits: seeds of the reference that were trained again, compared with what is stored.
    """

    job: Job | ImportedJob
    results: list[SeedResult]
    curves: pd.DataFrame
    reference: ReferenceInfo | None
    no_reference: str
    fingerprint: dict[str, str]
    started_utc: str
    wall_s: float
    stage_two: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bits: list[BitsCheck] = field(default_factory=list)


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a run, with every number it rests on."""
    job = evidence.job
    decision = weigh(evidence)
    name, sentence = with_bits(decision.verdict, decision.sentence, evidence.bits)
    here = Fingerprint.model_validate(evidence.fingerprint)
    known = evidence.reference if evidence.fingerprint else None  # logs name no machine
    claimed = claim(here, known.fingerprint) if known else None
    level = [describe_claim(claimed, "with the reference")] if claimed else []
    return Verdict(
        schema_version=SCHEMA_VERSION,
        verdict=name,
        sentence=sentence,
        game=job.game,
        recipe=job.recipe.name,
        recipe_hash=job.recipe.digest(),
        device=job.device,
        fault=job.fault,
        metric=job.recipe.metric,
        criteria=decision.criteria,
        operating=_operating(evidence) if decision.criteria else [],
        seeds=evidence.results,
        reference=evidence.reference,
        fingerprint=here,
        level=claimed.level if claimed else None,
        level_prevented_by=claimed.prevented_by if claimed else [],
        bits=evidence.bits,
        reproduce=[_again(job)],
        notes=[*job.notes, *evidence.notes, *bits_notes(evidence.bits), *level],
        started_utc=evidence.started_utc,
        wall_s=evidence.wall_s,
    )


def weigh(evidence: Evidence) -> Decision:
    """The gate's decision on a run; asks for further seeds where stage one has tripped."""
    failed = [result for result in evidence.results if result.status == "failed"]
    if failed:
        names = ", ".join(str(result.seed) for result in failed)
        last = failed[0].error.splitlines()[-1]
        return Decision(VerdictName.INFRA, f"Seed {names} did not finish: {last}", [])
    same = _same_run(evidence.results)
    if same:
        sentence = (
            f"Seeds {same} ended with the same weights, bit for bit: they are one run, and the "
            "seed does not reach what it should."
        )
        return Decision(VerdictName.FAIL, sentence, [])
    # Logs of other code may end with a window in which nothing was noted.
    lost = diverged(evidence.curves) if isinstance(evidence.job, Job) else []
    if lost:
        sentence = f"In seeds {lost} Q-values or losses ended as nan or inf: learning diverged."
        return Decision(VerdictName.FAIL, sentence, [])
    if evidence.reference is None:
        sentence = f"Nothing to compare with: {evidence.no_reference}."
        return Decision(VerdictName.INCONCLUSIVE, sentence, [])
    job, curves = evidence.job, evidence.curves
    shared = sorted({*job.seeds, *evidence.stage_two} & set(evidence.reference.seeds))
    if shared:
        sentence = f"Seeds {shared} are in the reference too, so they are not independent."
        return Decision(VerdictName.INCONCLUSIVE, sentence, [])
    later = evidence.stage_two
    decision = decide(
        job.recipe.metric,
        scores(returns_of(curves, "reference")),
        scores(returns_of(curves, "candidate", job.seeds)),
        scores(returns_of(curves, "candidate", later)) if later else None,
    )
    second = value_criteria(curves, later, stage=2) if later else None
    return with_value_shift(decision, value_criteria(curves, job.seeds, stage=1), second)


def _same_run(results: Sequence[SeedResult]) -> list[int]:
    """Seeds whose final weights are those of another seed; logs of other code have none."""
    by_weights: dict[str, list[int]] = {}
    for result in results:
        if result.weights_digest:
            by_weights.setdefault(result.weights_digest, []).append(result.seed)
    return sorted(seed for seeds in by_weights.values() if len(seeds) > 1 for seed in seeds)


def _again(job: Job | ImportedJob) -> str:
    """The command that repeats a run."""
    seeds = f"{job.seeds[0]}-{job.seeds[-1]}"
    if job.seeds != list(range(job.seeds[0], job.seeds[-1] + 1)):
        seeds = ",".join(str(seed) for seed in job.seeds)
    if isinstance(job, ImportedJob):
        return job.command(seeds)
    flags = {"game": job.game, "recipe": job.recipe_name, "seeds": seeds, "device": job.device}
    return next_command("regress", **flags, **({"fault": job.fault} if job.fault else {}))


def stage_two_seeds(job: Job, reference: ReferenceInfo) -> list[int]:
    """The numbers that follow the last fresh seed, without those that the reference uses."""
    first = max(job.seeds) + 1
    beyond = range(first, first + STAGE_TWO_SEEDS + len(reference.seeds))
    return [seed for seed in beyond if seed not in reference.seeds][:STAGE_TWO_SEEDS]


def _operating(evidence: Evidence) -> list[OperatingCurve]:
    stored = scores(returns_of(evidence.curves, "reference"))
    return operating_curves(stored.area, len(evidence.job.seeds))
