"""From the files of a run to a tidy learning curve, and from a curve to its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.schema import CURVE_COLUMNS, SeedResult

Group = Literal["reference", "candidate"]
Vector = npt.NDArray[np.float64]


def read_unit(folder: Path, seed: int, group: Group) -> pd.DataFrame:
    """The curve of one seed in the columns of `CURVE_COLUMNS`, one row per window."""
    curve = pd.read_csv(folder / "curve.csv", dtype={"weights_digest": str})
    return curve.assign(group=group, seed=seed)[list(CURVE_COLUMNS)]


def summarise(folder: Path, seed: int, wall_s: float) -> SeedResult:
    """The numbers of one complete seed.

    Windows in which no episode ended take the mean return of the window before (the first ones,
    of the first window that has one).
    """
    curve = pd.read_csv(folder / "curve.csv", dtype={"weights_digest": str})
    returns = curve["episode_return"].ffill().bfill()
    tenth = max(1, len(returns) // 10)
    last = curve.iloc[-1]
    return SeedResult(
        seed=seed,
        status="complete",
        auc=_finite(returns.mean()),
        first_tenth=_finite(returns.iloc[:tenth].mean()),
        final_tenth=_finite(returns.iloc[-tenth:].mean()),
        evaluation_return=_finite(last["rolling_return"]),
        weights_digest=str(last["weights_digest"]),
        wall_s=wall_s,
    )


def areas(curves: pd.DataFrame, group: Group) -> Vector:
    """Area under the training curve of each seed of a group, [seeds] float64: its mean."""
    chosen = curves[curves["group"] == group].sort_values("step")
    filled = chosen.groupby("seed")["episode_return"].transform(lambda r: r.ffill().bfill())
    return np.asarray(filled.groupby(chosen["seed"]).mean(), np.float64)


def final_tenths(curves: pd.DataFrame, group: Group) -> Vector:
    """Mean return of each seed of a group over the last tenth of its windows, [seeds] float64."""
    chosen = curves[curves["group"] == group]
    late = chosen[chosen["step"] > 0.9 * chosen["step"].max()]
    return np.asarray(late.groupby("seed")["episode_return"].mean().dropna(), np.float64)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
