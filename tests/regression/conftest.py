"""What several rooms start from: a stored run, and an empty folder of references."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from regression.store import references
from tests.regression.tiny_runs import sealed_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """For tests that work on a copy."""
    folder = tmp_path_factory.mktemp("store") / "run"
    sealed_run(folder)
    return folder


@pytest.fixture
def copied(run, tmp_path) -> Path:
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    """An empty folder of references."""
    monkeypatch.setattr(references, "REFERENCES", tmp_path / "references")
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "references"
