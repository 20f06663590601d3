"""Plain tables: a header, and a line for each episode, with columns that the caller names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regression.importers.episodes import LogError, LoggedEpisodes
from regression.importers.table import read_table


def read_plain(path: Path, step: str, returns: str, length: str) -> LoggedEpisodes:
    """The episodes of a table.

    Args:
        path: the file.
        step: name of the column with the agent steps at the end of each episode.
        returns: name of the column with its undiscounted return.
        length: name of the column with its length in agent steps, or "".

    Raises:
        LogError: if a column is not there, or holds something else than numbers.
        OSError: if the file cannot be read.
    """
    table = read_table(path)
    steps = np.array(table.numbers(step, path), dtype=np.float64)
    uneven = np.flatnonzero(np.isfinite(steps) & (steps != np.floor(steps)))
    if len(uneven):
        raise LogError(
            "a step is not a whole number",
            f"{path}, row {uneven[0] + table.first_line}",
            expected="agent steps",
            actual=f"{steps[uneven[0]]}",
            advice="name the right --step-column",
        )
    lengths = table.numbers(length, path) if length else [np.nan] * len(steps)
    return LoggedEpisodes(
        steps,
        np.array(table.numbers(returns, path), dtype=np.float64),
        np.array(lengths, dtype=np.float64),
        notes=table.notes,
        files=[path],
    )
