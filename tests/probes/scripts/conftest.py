"""A script that plays a game, recorded once."""

from __future__ import annotations

import pytest

from tests.probes.scripts.specimens import FRAMES, recorded_run


@pytest.fixture(scope="module")
def recorded_frames(tmp_path_factory):
    """600 steps of it."""
    return recorded_run(FRAMES, tmp_path_factory.mktemp("frames"))
