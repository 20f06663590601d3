"""From episodes that end anywhere to a curve on a fixed grid of steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regression.importers.episodes import LogError, LoggedEpisodes, Vector


@dataclass(frozen=True)
class Gridded:
    """The windows of a seed, W of them.

    Attributes:
        steps: [W] float64, agent steps at the end of each window.
        episodes: [W] float64, how many ended within it.
        returns: [W] float64, mean of them; nan where none ended.
        lengths: [W] float64, mean of those that are known; nan where none is.
        beyond: how many episodes ended after the last window, and are left out.
    """

    steps: Vector
    episodes: Vector
    returns: Vector
    lengths: Vector
    beyond: int


def on_grid(records: LoggedEpisodes, window_steps: int, total_steps: int, path: Path) -> Gridded:
    """Means over windows; an episode belongs to the window in which it ended.

    Window k, from 1, holds the steps from (k - 1) * window_steps + 1 to k * window_steps; what is
    recorded at step 0 belongs to the first.

    Args:
        records: in any order.
        window_steps: length of a window.
        total_steps: a multiple of it.
        path: of the log, for errors.

    Raises:
        LogError: if the log ends more than a window before `total_steps`.
    """
    last = float(records.steps.max())
    if last < total_steps - window_steps:
        raise LogError(
            "the log ends too early",
            path,
            expected=f"an episode that ends after step {total_steps - window_steps}, for "
            f"{total_steps} steps in windows of {window_steps}",
            actual=f"the last one ends at step {last:.0f}",
            advice="let the run finish, or declare fewer steps or longer windows for all seeds",
        )
    windows = total_steps // window_steps
    inside = records.steps <= total_steps
    index = np.maximum(np.ceil(records.steps[inside] / window_steps), 1).astype(np.int64) - 1
    lengths = records.lengths[inside]
    known = np.isfinite(lengths)
    episodes = np.bincount(index, minlength=windows).astype(np.float64)
    return Gridded(
        steps=window_steps * np.arange(1.0, windows + 1),
        episodes=episodes,
        returns=_means(index, records.returns[inside], windows),
        lengths=_means(index[known], lengths[known], windows),
        beyond=int((~inside).sum()),
    )


def _means(index: np.ndarray, values: Vector, windows: int) -> Vector:
    """[windows] float64, nan where there is no value."""
    ordered = np.lexsort((values, index))  # so that the order of the records leaves no trace
    sums = np.bincount(index[ordered], weights=values[ordered], minlength=windows)
    counts = np.bincount(index, minlength=windows)
    means = np.full(windows, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
