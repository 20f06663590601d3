"""A script of ours, recorded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.recordings.reading_world import reading_world
from probes.scripts.observed import Plan, Script, observe
from tests.probes.scripts.specimens import ARGUMENTS, OWN


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """The recording of the specimen as it is."""
    folder = tmp_path_factory.mktemp("recorded")
    observe(Script(ARGUMENTS, OWN), Plan(600, 120, reading_world()), folder)
    return folder / "recording"
