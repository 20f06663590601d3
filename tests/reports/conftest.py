"""A stored run, small enough to check by eye."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports.schema import (
    CURVE_COLUMNS,
    CURVES_FILE,
    VERDICT_FILE,
    BitsCheck,
    Criterion,
    OperatingCurve,
    OperatingPoint,
    ReferenceInfo,
    SeedResult,
    Verdict,
)

NAN = float("nan")


@pytest.fixture(scope="session")
def criterion() -> Criterion:
    """Two reference standard deviations below the reference."""
    return Criterion(
        name="area under the training curve",
        unit="mean episode return",
        reference_n=10,
        reference_mean=0.5,
        reference_sd=0.1,
        candidate_n=5,
        candidate_mean=0.3,
        p_value=0.004,
        alpha=0.01,
        smallest_p=0.0003,
        margin_sd=0.5,
        tripped=True,
        decides=True,
    )


@pytest.fixture(scope="session")
def operating() -> list[OperatingCurve]:
    """A gate that sees 2 SD almost always and 1 SD seldom, whatever the shape."""

    def curve(shape: str, fails: tuple[float, ...]) -> OperatingCurve:
        points = [
            OperatingPoint(drop_sd=drop, fail=fail, watch=0.04) for drop, fail in enumerate(fails)
        ]
        return OperatingCurve(
            shape=shape, reference_n=10, stage_one_n=5, stage_two_n=15, draws=2000,
            healthy_seeds=5.6, points=points,
        )  # fmt: skip

    return [curve("normal", (0.001, 0.31, 0.96)), curve("reference", (0.0, 0.42, 0.953))]


@pytest.fixture(scope="session")
def seed_result() -> SeedResult:
    return SeedResult(
        seed=3,
        status="complete",
        auc=0.3,
        first_tenth=-0.9,
        final_tenth=0.6,
        evaluation_return=0.7,
        weights_digest="0123456789abcdef",
        wall_s=61.0,
    )


@pytest.fixture(scope="session")
def verdict(
    criterion: Criterion, operating: list[OperatingCurve], seed_result: SeedResult
) -> Verdict:
    """FAIL, with one criterion, two seeds, a reference, and one field of three that differs."""
    failed = SeedResult(
        seed=4,
        status="failed",
        auc=None,
        first_tenth=None,
        final_tenth=None,
        evaluation_return=None,
        weights_digest="",
        wall_s=2.0,
        error="RuntimeError: boom",
    )
    return Verdict(
        schema_version=2,
        verdict="FAIL",
        sentence="Worse by 2 reference SDs.",
        game="pong",
        recipe="pong-short",
        recipe_hash="aaaa",
        device="cpu",
        fault="stale-target",
        metric="rally return in [-1, 1]",
        criteria=[criterion],
        operating=operating,
        seeds=[seed_result, failed],
        reference=ReferenceInfo(
            seeds=[100, 101],
            content_hash="cccc",
            recipe_hash="aaaa",
            reason="first one",
            blessed_on="2026-01-02",
            fingerprint={"cpu": "x86", "torch": "2.11"},
        ),
        fingerprint={"cpu": "x86", "torch": "2.12"},
        level=0,
        level_prevented_by=["torch git"],
        bits=[BitsCheck(seed=100, windows=9, first_difference=128, promised=True)],
        reproduce=["make regress GAME=pong"],
        notes=["a note"],
        started_utc="2026-01-03T04:05:06Z",
        wall_s=63.0,
    )


@pytest.fixture(scope="session")
def curves() -> pd.DataFrame:
    """Reference returns 0, 1, 2 at step 100 and 1, 2, 5 at step 200; candidates half as good."""
    returns = {
        ("reference", 100): (0.0, 1.0, 2.0),
        ("reference", 200): (1.0, 2.0, 5.0),
        ("candidate", 100): (0.0, 0.5),
        ("candidate", 200): (0.5, 1.0),
    }
    return pd.DataFrame(
        [
            (group, seed, step, 4, value, 25.0, value + 1 if step == 200 else NAN, 0.1, 0.2)
            for (group, step), values in returns.items()
            for seed, value in enumerate(values)
        ],
        columns=list(CURVE_COLUMNS),
    )


@pytest.fixture(scope="session")
def store() -> Callable[[Path, Verdict, pd.DataFrame], Path]:
    """Writes a run's two artifacts as a regression does, and returns the folder."""

    def write(folder: Path, verdict: Verdict, curves: pd.DataFrame) -> Path:
        (folder / VERDICT_FILE).write_text(verdict.model_dump_json(indent=2), encoding="utf-8")
        curves.to_csv(folder / CURVES_FILE, index=False)
        return folder

    return write


@pytest.fixture
def folder(tmp_path: Path, store, verdict: Verdict, curves: pd.DataFrame) -> Path:
    return store(tmp_path, verdict, curves)
