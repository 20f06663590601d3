"""From the files of a run to a tidy learning curve, and from a curve to its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dqn_core.recipes.schema import Recipe
from probes.stored_runs.curve import CURVE_FILE, findings, read_curve
from reports.schema import CURVE_COLUMNS, FindingStatus, SeedResult

Group = Literal["reference", "candidate"]
Vector = npt.NDArray[np.float64]
Curves = npt.NDArray[np.float64]


def read_unit(folder: Path, seed: int, group: Group) -> pd.DataFrame:
    """The curve of one seed in the columns of `CURVE_COLUMNS`, one row per window."""
    curve = pd.read_csv(folder / CURVE_FILE, dtype={"weights_digest": str})
    return curve.assign(group=group, seed=seed)[list(CURVE_COLUMNS)]


def summarise(folder: Path, seed: int, wall_s: float) -> SeedResult:
    """The numbers of one complete seed.

    Windows in which no episode ended take the mean return of the window before (the first ones,
    of the first window that has one).
    """
    curve = pd.read_csv(folder / CURVE_FILE, dtype={"weights_digest": str})
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


def record_notes(folder: Path, seed: int, recipe: Recipe) -> list[str]:
    """What is wrong with the records of one complete seed, a sentence each."""
    return [
        f"Seed {seed}: {finding.actual}; expected {finding.expected} ({finding.check})."
        for finding in findings(read_curve(folder / CURVE_FILE, recipe))
        if finding.status is FindingStatus.RED
    ]


def returns_of(curves: pd.DataFrame, group: Group, seeds: Sequence[int] | None = None) -> Curves:
    """The training curves of a group, without gaps.

    Windows in which no episode ended take the return of the window before (the first ones, of the
    first window that has one).

    Args:
        curves: in `CURVE_COLUMNS`.
        group: whose.
        seeds: of these only, in this order; of all, by number, if not given.

    Returns:
        [seeds, windows] float64; a row of NaN for a seed in which no episode ended.
    """
    chosen = curves[curves["group"] == group]
    table = chosen.pivot_table(
        index="seed", columns="step", values="episode_return", aggfunc="mean", dropna=False
    )
    if seeds is not None:
        table = table.reindex(list(seeds))
    return table.ffill(axis=1).bfill(axis=1).to_numpy(np.float64)


@dataclass(frozen=True)
class Scores:
    """What the curves of some seeds come to, each [seeds] float64, in returns.

    Attributes:
        area: mean of the whole curve, that is, the area under it.
        first_tenth: mean of its first tenth of windows.
        final_tenth: mean of its last tenth.
        peak: its best window.
    """

    area: Vector
    first_tenth: Vector
    final_tenth: Vector
    peak: Vector

    def __len__(self) -> int:
        return len(self.area)


def scores(returns: Curves) -> Scores:
    """The numbers of curves as `returns_of` gives them, [seeds, windows] float64."""
    tenth = max(1, returns.shape[1] // 10)
    return Scores(
        area=returns.mean(axis=1),
        first_tenth=returns[:, :tenth].mean(axis=1),
        final_tenth=returns[:, -tenth:].mean(axis=1),
        peak=returns.max(axis=1, initial=-np.inf),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
