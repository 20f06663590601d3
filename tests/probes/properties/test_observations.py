"""Observations in their space."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box

from probes.properties.observations import lie_in_space

SPACE = Box(0, 255, (2, 3), np.uint8)
RIGHT = np.full((2, 3), 255, np.uint8)


@pytest.mark.parametrize(
    "wrong", [RIGHT / 255, RIGHT.astype(np.float32), RIGHT[None], RIGHT.astype(np.int64) + 1]
)
def test_shape_type_and_range_count(wrong):
    assert lie_in_space([RIGHT, RIGHT], SPACE).holds
    outcome = lie_in_space([RIGHT, wrong], SPACE)
    assert not outcome.holds
    assert outcome.actual.startswith(f"1 of 2 outside, such as {wrong.dtype} {list(wrong.shape)}")
