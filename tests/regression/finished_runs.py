"""Runs as they are left, made up, and what is proposed of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd

from dqn_core.files import partial_path, replace_text
from regression.job.job import resolve_job
from regression.job.job_file import StoredJob, describe, record
from regression.store.blessing import proposed
from regression.store.references import put_in_force
from regression.store.units import FORMAT, Unit, seal, unit_folder, unit_key
from reports.schema import VERDICT_FILE, SeedResult, Verdict
from tests.regression.made import curves, evidence, result

SEEDS = [1000, 1001, 1002, 1003, 1004]
UNIT_COLUMNS = (
    "step", "episodes", "episode_return", "episode_length", "evaluation_return", "rolling_return",
    "loss", "q_mean", "epsilon", "learning_rate", "weights_digest",
)  # fmt: skip


def finished(folder: Path, level: float = 108.0, **changes: object) -> Path:
    """A run as `make regress` leaves it: five sealed units, a job and a verdict."""
    from regression.gate.verdict import judge

    job = resolve_job("cartpole", seeds="1000-1004", device="cpu")
    folder.mkdir(parents=True)
    record(folder, describe(job))
    table = curves("candidate", SEEDS, level)
    for seed in SEEDS:
        _seal_unit(folder, job, seed, table[table["seed"] == seed])
    results = [digested(seed) for seed in SEEDS]
    verdict = judge(evidence(level, reference=False)).model_copy(
        update={"seeds": results} | changes
    )
    replace_text(folder / VERDICT_FILE, verdict.model_dump_json())
    return folder


def _digest(seed: int, window: int) -> str:
    """Which reads like a number, too."""
    return f"1e{seed % 100:02d}{window:04d}"


def _seal_unit(folder: Path, job, seed: int, table: pd.DataFrame) -> None:
    place = unit_folder(folder, job, seed)
    partial_path(place).mkdir()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, UNIT_COLUMNS, extrasaction="ignore", restval="nan")
    writer.writeheader()
    for index, row in enumerate(table.to_dict("records")):
        cells = {k: "nan" if pd.isna(v) else v for k, v in row.items()}
        writer.writerow(cells | {"weights_digest": _digest(seed, index)})
    (partial_path(place) / "curve.csv").write_text(text.getvalue(), newline="")
    unit = Unit(
        format=FORMAT, key=unit_key(job.recipe, seed, "cpu", ""), status="complete", steps=1000,
        fingerprint={}, wall_s=1.0,
    )  # fmt: skip
    seal(unit, place)


def propose(run: Path, reason: str = "first ones made here"):
    verdict = Verdict.model_validate_json((run / VERDICT_FILE).read_bytes())
    job = StoredJob.model_validate_json((run / "job.json").read_bytes())
    return proposed(run, verdict, job, reason=reason, today="2026-01-02")


def bless(run: Path, reason: str = "first ones made here") -> Path:
    return put_in_force(*propose(run, reason))


def edited(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replaced(path: Path, old: bytes, new: bytes) -> None:
    before = path.read_bytes()
    path.write_bytes(before.replace(old, new, 1))
    assert path.read_bytes() != before


def digested(seed: int, **changes: object) -> SeedResult:
    return result(seed).model_copy(update={"weights_digest": _digest(seed, 9)} | changes)
