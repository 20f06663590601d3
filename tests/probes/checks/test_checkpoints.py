"""The loop in which checkpoints are compared, and its power."""

from __future__ import annotations

import numpy as np

from probes.checks.checkpoints import LOOP, ROUNDING, resumed
from probes.checks.support.testbed import Testbed
from probes.subjects.core import make
from probes.worlds.env import WorldEnv, observations


def test_the_loop_feeds_on_itself():
    assert LOOP.solve(0.5).tolist() == [[4.0]]  # 2 / (1 - 0.5)
    assert LOOP.truncated.all()


def test_a_subject_that_restores_nothing_is_far_from_the_one_that_was_saved():
    saved, loaded = resumed(Testbed(make, seed=0), lambda _: WorldEnv(LOOP, "vector"))
    fresh = Testbed(make, seed=0).trial(lambda _: WorldEnv(LOOP, "vector"))
    shown = observations(LOOP, "vector")
    assert np.abs(loaded.q_table(shown) - saved.q_table(shown)).max() == 0
    assert np.abs(fresh.q_table(shown) - saved.q_table(shown)).max() > 1e4 * ROUNDING
