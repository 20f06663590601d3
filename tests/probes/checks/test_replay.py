"""What the checks of the replay memory can tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from probes.checks import replay


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.float16])
def test_no_smaller_type_keeps_the_hard_rewards(dtype):
    rewards = np.array(replay.HARD_REWARDS)
    with np.errstate(all="ignore"):
        assert (rewards.astype(np.int64).astype(dtype) != rewards).any()
        assert (np.clip(rewards, -1, 1) != rewards).any()
    assert (rewards.astype(np.float16) != rewards).any()
    assert (rewards.astype(np.float32) == rewards).all()
