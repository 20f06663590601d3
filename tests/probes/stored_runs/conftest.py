"""A finished run, stored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dqn_core.train import TrainingRun
from tests.dqn_core.small import small, trainer


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A finished run of 800 steps."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    for _ in TrainingRun(trainer(small()), folder).windows():
        pass
    return folder


@pytest.fixture
def run(run_folder, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(run_folder, tmp_path / "run")
