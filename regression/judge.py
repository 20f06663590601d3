"""From finished units to a verdict: a pure function of curves, reference and job."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from regression.curves import areas, final_tenths
from regression.games import Job
from regression.gate import AREA, compare, decide
from reports.schema import (
    SCHEMA_VERSION,
    Criterion,
    ReferenceInfo,
    SeedResult,
    Verdict,
    VerdictName,
)


@dataclass(frozen=True)
class Evidence:
    """All that a verdict follows from.

    Attributes:
        job: what was run.
        results: one for each seed.
        curves: of candidate and, where there is one, reference, in `CURVE_COLUMNS`.
        reference: where the stored truth came from, or None.
        no_reference: why there is none, or "".
        fingerprint: of this run.
        started_utc: ISO time, for the page only.
        wall_s: of the whole run.
    """

    job: Job
    results: list[SeedResult]
    curves: pd.DataFrame
    reference: ReferenceInfo | None
    no_reference: str
    fingerprint: dict[str, str]
    started_utc: str
    wall_s: float


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a run, with every number it rests on."""
    job = evidence.job
    verdict, sentence, criteria = _outcome(evidence)
    seeds = f"{job.seeds[0]}-{job.seeds[-1]}"
    if job.seeds != list(range(job.seeds[0], job.seeds[-1] + 1)):
        seeds = ",".join(str(seed) for seed in job.seeds)
    again = f"python -m regression run --game {job.game} --seeds {seeds} --device {job.device}"
    fault = f" --fault {job.fault}" if job.fault else ""
    return Verdict(
        schema_version=SCHEMA_VERSION,
        verdict=verdict,
        sentence=sentence,
        game=job.game,
        recipe=job.recipe.name,
        recipe_hash=job.recipe.digest(),
        device=job.device,
        fault=job.fault,
        metric=job.recipe.metric,
        criteria=criteria,
        seeds=evidence.results,
        reference=evidence.reference,
        fingerprint=evidence.fingerprint,
        reproduce=[f"{again} --recipe {job.recipe_name}{fault}"],
        notes=job.notes,
        started_utc=evidence.started_utc,
        wall_s=evidence.wall_s,
    )


def _outcome(evidence: Evidence) -> tuple[VerdictName, str, list[Criterion]]:
    failed = [result for result in evidence.results if result.status == "failed"]
    if failed:
        names = ", ".join(str(result.seed) for result in failed)
        last = failed[0].error.splitlines()[-1]
        return VerdictName.INFRA, f"Seed {names} did not finish: {last}", []
    if evidence.reference is None:
        return VerdictName.INCONCLUSIVE, f"Nothing to compare with: {evidence.no_reference}.", []
    shared = sorted(set(evidence.job.seeds) & set(evidence.reference.seeds))
    if shared:
        return (
            VerdictName.INCONCLUSIVE,
            f"Seeds {shared} are in the reference too, so they are no independent evidence.",
            [],
        )
    curves, unit = evidence.curves, evidence.job.recipe.metric
    reference, candidate = areas(curves, "reference"), areas(curves, "candidate")
    area = compare(AREA, unit, reference, candidate, decides=True)
    late = [final_tenths(curves, "reference"), final_tenths(curves, "candidate")]
    final = compare("return over the last tenth", unit, late[0], late[1], decides=False)
    verdict, sentence = decide(area, reference, candidate)
    return verdict, sentence, [area, final]
