"""Made-up evidence: curves that rise, and what a run on them would have left."""

from __future__ import annotations

import pandas as pd

from regression.gate.verdict import Evidence
from regression.job.job import resolve_job
from reports.schema import CURVE_COLUMNS, ReferenceInfo, SeedResult

STEPS = range(100, 1_100, 100)


def job(seeds: str = "5"):
    return resolve_job("cartpole", seeds=seeds, device="cpu")


def curves(group: str, seeds: list[int], level: float) -> pd.DataFrame:
    """Curves that rise from `level` by 10 a window, a little higher for each seed."""
    rows = [
        {"group": group, "seed": seed, "step": step, "episodes": 3, "episode_length": 9.0}
        | {"episode_return": level + step / 10 + index}
        | {"evaluation_return": None, "loss": 0.5, "q_mean": 1.0}
        for index, seed in enumerate(seeds)
        for step in STEPS
    ]
    return pd.DataFrame(rows)[list(CURVE_COLUMNS)]


def result(seed: int, status: str = "complete") -> SeedResult:
    number = float(seed % 7) if status == "complete" else None
    return SeedResult(
        seed=seed, status=status, auc=number, first_tenth=number,
        final_tenth=None if number is None else number + 90, evaluation_return=number,
        weights_digest=f"{seed:08x}", wall_s=1.0,
        error="" if status == "complete" else "Traceback\nMemoryError: out of memory",
    )  # fmt: skip


def evidence(
    level: float,
    *,
    reference=True,
    seeds=(1000, 1001, 1002, 1003, 1004),
    failed=(),
    notes=(),
    stage_two=(),
):
    stored = list(range(20))
    tables = [curves("candidate", list(seeds), level)]
    info = None
    if reference:
        tables.append(curves("reference", stored, 100))
        info = ReferenceInfo(
            seeds=stored, content_hash="c", recipe_hash="r", reason="first ones made",
            blessed_on="2026-01-01", fingerprint={},
        )  # fmt: skip
    return Evidence(
        job=job(",".join(str(seed) for seed in seeds if seed not in stage_two)),
        results=[result(s, "failed" if s in failed else "complete") for s in seeds],
        curves=pd.concat(tables),
        reference=info,
        no_reference="there is none",
        fingerprint={"torch version": "1"},
        started_utc="2026-01-01T00:00:00+00:00",
        wall_s=2.0,
        stage_two=list(stage_two),
        notes=list(notes),
    )
