"""Logs made up: their headers, tables and protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regression.importers.episodes import LoggedEpisodes
from regression.importers.plain import read_plain
from regression.job.log_protocol import LogProtocol

HEADER = '#{"t_start": 1.0, "env_id": "CartPole-v1"}\n'
HERE = Path("log")


def protocol(**changes: object) -> LogProtocol:
    told = {
        "kind": "imported", "name": "mine", "metric": "return of an episode", "format": "csv",
        "series": {"step": "step", "return": "return", "length": ""}, "environment": "",
        "window_steps": 10, "total_steps": 100,
    }  # fmt: skip
    return LogProtocol.model_validate(told | changes)


def records(steps, returns, lengths=None) -> LoggedEpisodes:
    known = np.full(len(steps), np.nan) if lengths is None else np.array(lengths, np.float64)
    return LoggedEpisodes(np.array(steps, np.float64), np.array(returns, np.float64), known)


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def csv(path: Path, text: str | bytes, length: str = "") -> LoggedEpisodes:
    return read_plain(written(path, text), "step", "return", length)
