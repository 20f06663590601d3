"""Both stages, with curves in place of training."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console

from regression.gate.curves import read_unit
from regression.gate.verdict import stage_two_seeds
from regression.job.job import resolve_job
from regression.runs.stages import Regression
from regression.store.units import Unit, unit_folder, unit_key
from reports.load import read_curves, read_verdict
from reports.schema import CURVE_COLUMNS, ReferenceInfo, SeedResult, VerdictName
from tests.regression.made import curves

JOB = resolve_job("cartpole", device="cpu")
STORED = list(range(20))
INFO = ReferenceInfo(
    seeds=STORED, content_hash="c", recipe_hash=JOB.recipe.digest(), reason="first ones made",
    blessed_on="2026-01-01", fingerprint={},
)  # fmt: skip


class Played:
    """In place of training: writes the curves of `levels`, by stage, and keeps the seeds."""

    seen: ClassVar[dict[str, str]] = {"gpu": "this"}  # the fingerprint of every unit
    digests: ClassVar[dict[str, str]] = {}  # of all weights, by device, where it is not "0"

    def __init__(self, levels: list[float], failing: tuple[int, ...] = ()) -> None:
        self.levels, self.failing = levels, failing
        self.stages: list[list[int]] = []

    def __call__(self, job, folder, *_, **__):
        self.job, self.folder = job, folder
        return self

    def run(self) -> list[SeedResult]:
        level = self.levels[len(self.stages)]
        self.stages.append(self.job.seeds)
        table = curves("candidate", self.job.seeds, level)
        results = []
        for seed, rows in table.groupby("seed"):
            unit = unit_folder(self.folder, self.job, seed)
            unit.mkdir(parents=True)
            columns = [name for name in CURVE_COLUMNS if name not in {"group", "seed"}]
            digest = self.digests.get(self.job.device, "0")
            rows[columns].assign(weights_digest=digest).to_csv(unit / "curve.csv", index=False)
            key = unit_key(self.job.recipe, seed, self.job.device, "")
            told = Unit(
                format=1, key=key, status="complete", steps=1, fingerprint=self.seen, wall_s=0
            )
            (unit / "unit.json").write_text(told.model_dump_json())
            results.append(
                SeedResult(
                    seed=seed, status="failed" if seed in self.failing else "complete",
                    auc=1.0, first_tenth=1.0, final_tenth=1.0, evaluation_return=None,
                    weights_digest=f"{seed:08x}", wall_s=0.0, error="boom",
                )
            )  # fmt: skip
        return results


def regress(monkeypatch, folder: Path, played: Played, seeds: str = ""):
    """Verdict and what the console said; the reference's areas lie between 155 and 174."""
    monkeypatch.setattr("regression.runs.stages.Runner", played)
    stored = curves("reference", STORED, 100)
    monkeypatch.setattr("regression.runs.stages.load_reference", lambda *_: (INFO, stored))
    said = io.StringIO()
    job = resolve_job("cartpole", seeds=seeds, device="cpu")
    console = Console(file=said, width=200)
    return Regression(job, folder, console, datetime(2026, 1, 1, tzinfo=UTC)).run(), said.getvalue()


def test_a_quiet_stage_one_spends_no_further_seeds(tmp_path, monkeypatch):
    played = Played([108])
    verdict, said = regress(monkeypatch, tmp_path, played)
    assert verdict.verdict is VerdictName.PASS
    assert "stage" not in said
    assert played.stages == [list(range(1000, 1005))]


@pytest.mark.parametrize(("second", "expected"), [(60, VerdictName.FAIL), (103, VerdictName.WATCH)])
def test_a_tripped_stage_one_trains_fifteen_more_and_says_why(
    tmp_path, monkeypatch, second, expected
):
    played = Played([60, second])
    verdict, said = regress(monkeypatch, tmp_path, played)
    assert played.stages == [list(range(1000, 1005)), list(range(1005, 1020))]
    assert verdict.verdict is expected
    assert "15 further fresh seeds must decide" in said
    assert "stage two: seeds 1005-1019" in said
    assert [(c.stage, c.candidate_n) for c in verdict.criteria if c.decides] == [(1, 5), (2, 15)]
    # What is stored is what the page is made of: both stages, and the curve of the gate itself.
    assert read_verdict(tmp_path) == verdict
    assert len(verdict.seeds) == 20
    assert {curve.reference_n for curve in verdict.operating} == {20}
    assert sorted(set(read_curves(tmp_path)["seed"]))[-20:] == list(range(1000, 1020))
    page = (tmp_path / "report.html").read_text()
    assert "What this gate would see" in page
    assert "stage 2, " in page


def test_an_explicit_choice_of_seeds_sets_stage_one(tmp_path, monkeypatch):
    played = Played([60, 60])
    verdict, _ = regress(monkeypatch, tmp_path, played, seeds="40-42")
    assert played.stages == [[40, 41, 42], list(range(43, 58))]
    assert verdict.verdict is VerdictName.FAIL
    assert "--seeds 40-42 " in verdict.reproduce[0]


def test_seeds_of_stage_two_avoid_those_of_the_reference():
    job = replace(JOB, seeds=[3, 30, 7])
    info = INFO.model_copy(update={"seeds": [0, 32, 35, 1000]})
    expected = [31, 33, 34, *range(36, 48)]
    assert stage_two_seeds(job, info) == expected
    assert len(expected) == 15


def test_a_seed_of_stage_two_that_breaks_is_infrastructure(tmp_path, monkeypatch):
    verdict, _ = regress(monkeypatch, tmp_path, Played([60, 60], failing=(1010,)))
    assert verdict.verdict is VerdictName.INFRA
    assert verdict.sentence == "Seed 1010 did not finish: boom"


def test_units_are_read_back_as_they_were_written(tmp_path):
    played = Played([60])(JOB, tmp_path)
    played.run()
    table = read_unit(unit_folder(tmp_path, JOB, 1001), 1001, "candidate")
    expected = curves("candidate", JOB.seeds, 60).query("seed == 1001")
    assert table["episode_return"].tolist() == expected["episode_return"].tolist()
