"""The stand-in for ALE, as the core meets it."""

from __future__ import annotations

import numpy as np
import pytest

from probes.subjects.core_atari import EmulatorVector, area
from probes.worlds.mock_emulator import FIRE, MEANINGS, NOOP, Emulator

OPTIONS = {
    "frameskip": 4, "maxpool": True, "noop_max": 30, "use_fire_reset": True, "img_height": 84,
    "img_width": 84, "reward_clipping": False, "max_num_frames_per_episode": 1000,
}  # fmt: skip


def test_shrinking_averages_over_areas():
    halves = [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_allclose(area(4, 2), halves)
    np.testing.assert_allclose(area(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


def test_the_stand_in_refuses_what_it_cannot_serve():
    with pytest.raises(ValueError, match="episodic_life"):
        EmulatorVector(Emulator(), "any", 1, **OPTIONS | {"episodic_life": True})
    with pytest.raises(ValueError, match="one environment"):
        EmulatorVector(Emulator(), "any", 2, **OPTIONS)


def test_the_stand_in_resets_as_ale_does():
    emulator = Emulator()
    vector = EmulatorVector(emulator, "any", 1, **OPTIONS)
    vector.reset(seed=np.array([3]))
    began = list(emulator.pressed)
    assert began == [NOOP] * (len(began) - 1) + [FIRE]
    assert len(began) <= 30
    frames_, info = vector.reset(options={"reset_mask": np.array([False])})
    assert (emulator.games, frames_.shape, info["lives"].tolist()) == (1, (1, 1, 84, 84), [1])
    vector.reset(options={"reset_mask": np.array([True])})
    assert emulator.seeds == [3, None]


@pytest.mark.atari
def test_the_stand_in_looks_like_ale():
    from ale_py.vector_env import AtariVectorEnv

    ale = AtariVectorEnv("breakout", 1, stack_num=1, **OPTIONS)
    mock = EmulatorVector(Emulator(), "breakout", 1, **OPTIONS)
    action = np.array([NOOP])
    for real, ours in zip(ale.reset(), mock.reset(), strict=True):
        if isinstance(real, np.ndarray):
            assert (real.shape, real.dtype) == (ours.shape, ours.dtype)
    for real, ours in zip(ale.step(action)[:4], mock.step(action)[:4], strict=True):
        assert real.shape == ours.shape
        assert real.dtype == ours.dtype or real.dtype.kind == "i"  # ALE's rewards are integers
    assert [action.name for action in ale.ale.get_action_set()] == list(MEANINGS)
    assert [action.name for action in mock.ale.get_action_set()] == list(MEANINGS)
