"""Runs of a tiny job: one sealed, and one left at a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from regression.job.job_file import StoredJob, record
from regression.runs.unit import UnitWorker
from tests.dqn_core.small import small


def tiny_job() -> StoredJob:
    """Three segments of two windows, an evaluation and a checkpoint at the end of each."""
    recipe = small(
        loop={"total_steps": 96, "segment_steps": 32, "window_steps": 16, "block_steps": 8,
              "sync_period_updates": 4},
        replay={"capacity_rows": 120, "warmup_steps": 16, "batch_size": 8},
        network={"hidden": [8]},
        evaluation={"period_steps": 32, "episodes": 1, "num_envs": 1, "rolling_episodes": 1},
    )  # fmt: skip
    return StoredJob(
        format=1, game="cartpole", recipe_name="tiny", recipe=recipe.model_dump(mode="json"),
        recipe_hash=recipe.digest(), seeds=[1], device="cpu", fault="", fingerprint={},
    )  # fmt: skip


JOB = tiny_job()
NAME = "cartpole-cpu-seed-1"


def sealed_run(folder: Path, job: StoredJob = JOB, seed: int = 1) -> list[str]:
    """A run folder with one sealed unit; what its worker said."""
    said: list[str] = []
    folder.mkdir(exist_ok=True)
    record(folder, job)
    UnitWorker(
        folder,
        job,
        seed=seed,
        device="cpu",
        report=lambda report: said.append(str(report.get("note", ""))),
    ).work()
    return [note for note in said if note]


class StoppedError(Exception):
    pass


def broken_off(folder: Path, step: int) -> Path:
    """A unit that was left at a step; its partial folder."""

    def report(told):
        if told.get("step") == step:
            raise StoppedError

    folder.mkdir(exist_ok=True)
    record(folder, JOB)
    with pytest.raises(StoppedError):
        UnitWorker(folder, JOB, seed=1, device="cpu", report=report).work()
    return folder / f".{NAME}.partial"
