"""Worlds as environments: they follow their tables, and look different in each state."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from probes.worlds.env import VECTOR_SIZE, WorldEnv, frame, observations, observe
from probes.worlds.tables import (
    DELAYED_REWARD,
    FLICKER,
    NOISY_REWARD,
    REWARD_BY_OBS,
    VELOCITY,
    WORLDS,
)
from probes.worlds.world import BLANK

by_name = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)


@by_name
@pytest.mark.parametrize("view", ["vector", "frames"])
def test_a_world_is_a_gymnasium_environment_that_follows_its_table(world, view):
    if view == "vector" and world.num_states > VECTOR_SIZE:
        pytest.skip("seen as frames alone")
    check_env(WorldEnv(world, view), skip_render_check=True)
    env = WorldEnv(world, view)
    for seed in range(10):
        obs, _ = env.reset(seed=seed)
        passed = list(env._passed)
        assert passed[0] in world.starts
        ended = False
        while not ended:
            np.testing.assert_array_equal(obs, observe(world, passed, view))
            here = (passed[-1], seed % world.num_actions)
            obs, reward, terminated, truncated, _ = env.step(here[1])
            assert abs(reward - world.reward[here]) == pytest.approx(world.noise[here])
            assert (terminated, truncated) == (world.terminated[here], world.truncated[here])
            passed.append(int(world.next_state[here]))
            ended = terminated or truncated


def test_all_starts_occur():
    env = WorldEnv(REWARD_BY_OBS, "vector")
    assert {tuple(env.reset(seed=seed)[0][:2]) for seed in range(20)} == {(1, 0), (0, 1)}


def test_noise_is_exact_over_pairs_and_cannot_be_foretold():
    env = WorldEnv(NOISY_REWARD, "vector")
    env.reset(seed=3)
    rewards = np.array([env.step(0)[1] for _ in range(400)]).reshape(200, 2)
    np.testing.assert_allclose(rewards.mean(axis=1), 1.9)
    assert 60 < (rewards[:, 0] > 1.9).sum() < 140  # 100, six standard deviations of seven


def test_states_look_different():
    assert len({observe(DELAYED_REWARD, [s], "vector").tobytes() for s in range(5)}) == 5
    assert len({frame(picture).tobytes() for picture in (BLANK, *range(16))}) == 17
    for world in (VELOCITY, FLICKER):
        assert len({obs.tobytes() for obs in observations(world, "frames")}) == 8
