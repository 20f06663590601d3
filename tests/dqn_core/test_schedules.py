"""Schedules against closed forms."""

from __future__ import annotations

import numpy as np

from dqn_core.recipes.schema import ExplorationSection
from dqn_core.schedules import epsilon


def test_epsilon_at_start_middle_end_and_beyond():
    exploration = ExplorationSection(initial=1.0, final=0.1, decay_steps=100)
    steps = np.array([0, 9, 10, 60, 110, 10_000])
    # Warm-up until step 10; half way at 10 + 50: 1 - 0.9 / 2 = 0.55.
    expected = [1.0, 1.0, 1.0, 0.55, 0.1, 0.1]
    np.testing.assert_allclose(epsilon(steps, exploration, warmup_steps=10), expected)


def test_epsilon_is_one_while_warming_up_whatever_its_initial_value():
    exploration = ExplorationSection(initial=0.5, final=0.1, decay_steps=100)
    assert epsilon(np.array([9, 10]), exploration, warmup_steps=10).tolist() == [1.0, 0.5]
