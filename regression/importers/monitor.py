"""Training episodes as Stable-Baselines3's `Monitor` writes them.

    #{"t_start": 1718000000.0, "env_id": "CartPole-v1"}
    r,l,t
    21.0,21,0.73

A vectorised run leaves one such file per environment, `0.monitor.csv` and so on, in one folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from pydantic_core import from_json

from regression.importers.episodes import LogError, LoggedEpisodes
from regression.importers.table import read_table

SUFFIX: Final = "monitor.csv"
RETURN: Final = "r"
LENGTH: Final = "l"
LONGEST_NAME: Final = 100


def read_monitor(path: Path) -> LoggedEpisodes:
    """The episodes of a monitor, or of all monitors of one vectorised run.

    The environments of a vectorised run step together. So an episode that ends at the n-th step of
    its environment ends at agent step n times their number: exactly, while the sum of the lengths
    of finished episodes, in the order of the clock, would leave out those that still run.

    Args:
        path: the file, or the folder with all the files of the run.

    Raises:
        LogError: if a file is not a monitor, or they are of different environments.
        OSError: if one cannot be read.
    """
    files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise LogError(
            "there is no monitor",
            path,
            expected=f"files that end in {SUFFIX}",
            actual="none",
            advice="name another folder",
        )
    parts = [_read_one(file) for file in files]
    environments = {part.environment for part in parts}
    if len(environments) > 1:
        raise LogError(
            "the monitors are of several environments",
            path,
            expected="the files of one vectorised run",
            actual=", ".join(sorted(map(repr, environments))),
            advice="name the monitors of one run",
        )
    steps = np.concatenate([len(parts) * part.steps for part in parts])
    order = np.argsort(steps, kind="stable")
    notes = [note for part in parts for note in part.notes]
    if len(parts) > 1:
        notes.append(
            f"{path.name}: {len(parts)} monitors, taken as environments that step together."
        )
    return LoggedEpisodes(
        steps=steps[order],
        returns=np.concatenate([part.returns for part in parts])[order],
        lengths=np.concatenate([part.lengths for part in parts])[order],
        environment=environments.pop(),
        notes=notes,
        files=files,
    )


def _read_one(path: Path) -> LoggedEpisodes:
    """The episodes of one environment, by its own steps."""
    table = read_table(path)
    returns, lengths = (
        np.array(table.numbers(name, path), dtype=np.float64) for name in (RETURN, LENGTH)
    )
    wrong = np.flatnonzero(~((lengths > 0) & (lengths == np.floor(lengths)) & (lengths < 2**53)))
    if len(wrong):
        raise LogError(
            "an episode has no length",
            f"{path}, row {wrong[0] + table.first_line}, column {LENGTH}",
            expected="a whole number of steps, 1 at least",
            actual=f"{lengths[wrong[0]]}",
            advice="write the log again",
        )
    environment = _environment(table.comment, path)
    return LoggedEpisodes(
        np.cumsum(lengths), returns, lengths, environment=environment, notes=table.notes
    )


def _environment(comment: str, path: Path) -> str:
    try:
        header = from_json(comment)
    except ValueError:
        header = None
    name = header.get("env_id", "") if isinstance(header, dict) else None
    if not isinstance(name, str):
        raise LogError(
            "the log is not a monitor",
            f"{path}, line 1",
            expected='such as #{"t_start": 0.0, "env_id": ""}',
            actual=repr(comment[:LONGEST_NAME]),
            advice="name another --format",
        )
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise LogError(
            "the name of the environment is not valid",
            f"{path}, line 1, env_id",
            expected=f"at most {LONGEST_NAME} printable characters",
            actual=repr(name[:LONGEST_NAME]),
            advice="write the log again",
        )
    return name
