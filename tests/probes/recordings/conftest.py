"""A script of ours, recorded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.probes.scripts.specimens import ARGUMENTS, recorded_run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """The recording of the specimen as it is."""
    folder = tmp_path_factory.mktemp("recorded")
    recorded_run(ARGUMENTS, folder)
    return folder / "recording"
