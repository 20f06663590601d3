"""Worlds: solved values against values worked out by hand, and the power to see each fault."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from probes.subject import GAMMA
from probes.worlds import (
    CONSTANT_REWARD,
    REWARD_BY_ACTION,
    REWARD_BY_OBS,
    REWARD_BY_OBS_AND_ACTION,
    TWO_STEP,
    WORLDS,
    WorldEnv,
    observe,
)

by_name = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)


@pytest.mark.parametrize(
    ("world", "values"),
    [
        (CONSTANT_REWARD, [[2.0]]),
        (REWARD_BY_OBS, [[-2.0], [2.0]]),
        (TWO_STEP, [[2.0], [4.0]]),  # 0.5 * 4, 4
        (REWARD_BY_ACTION, [[-2.0, 2.0]]),
        (REWARD_BY_OBS_AND_ACTION, [[2.0, -2.0], [-2.0, 2.0]]),
    ],
)
def test_solved_values_by_hand(world, values):
    assert world.solve(0.5).tolist() == values


@pytest.mark.parametrize(
    ("world", "semantics", "values"),
    [
        (CONSTANT_REWARD, "terminal ignored", [[4.0]]),  # 2 / (1 - 0.5)
        (TWO_STEP, "discount missing", [[4.0], [4.0]]),
        (TWO_STEP, "discount twice", [[1.0], [4.0]]),
        (TWO_STEP, "bootstrap lost", [[0.0], [4.0]]),
        (REWARD_BY_OBS, "observation ignored", [[0.0], [0.0]]),
        (REWARD_BY_ACTION, "action ignored", [[0.0, 0.0]]),
        (REWARD_BY_OBS_AND_ACTION, "reward lost", [[0.0, 0.0], [0.0, 0.0]]),
    ],
)
def test_faulty_values_by_hand(world, semantics, values):
    np.testing.assert_allclose(world.solve(0.5, semantics), values)


@by_name
def test_a_world_can_tell_right_from_each_faulty_semantics_it_claims(world):
    right, tolerance = world.solve(GAMMA), world.tolerance(GAMMA)
    assert world.separates
    for semantics in world.separates:
        separation = np.abs(world.solve(GAMMA, semantics) - right).max()
        assert 0 < tolerance <= separation / 4
        # Neither right values nor faulty ones can be taken for the other.
        assert separation - tolerance > tolerance


def test_together_the_worlds_separate_every_semantics():
    separated = {semantics for world in WORLDS for semantics in world.separates}
    assert separated == {
        "terminal ignored", "discount missing", "discount twice", "observation ignored",
        "action ignored", "reward lost", "bootstrap lost",
    }  # fmt: skip


@by_name
@pytest.mark.parametrize("view", ["vector", "frame"])
def test_a_world_is_a_gymnasium_environment_that_follows_its_table(world, view):
    check_env(WorldEnv(world, view), skip_render_check=True)
    env = WorldEnv(world, view)
    for seed in range(20):
        obs, _ = env.reset(seed=seed)
        state = env._state
        assert state in world.starts
        np.testing.assert_array_equal(obs, observe(state, view))
        terminated = False
        while not terminated:
            action = seed % world.num_actions
            obs, reward, terminated, truncated, _ = env.step(action)
            assert (reward, terminated) == (
                world.reward[state, action],
                world.terminated[state, action],
            )
            state = int(world.next_state[state, action])
            np.testing.assert_array_equal(obs, observe(state, view))
            assert not truncated


def test_all_starts_occur():
    env = WorldEnv(REWARD_BY_OBS, "vector")
    assert {tuple(env.reset(seed=seed)[0]) for seed in range(20)} == {(1, 0, 0, 0), (0, 1, 0, 0)}


def test_states_look_different():
    for view in ("vector", "frame"):
        assert len({observe(state, view).tobytes() for state in range(4)}) == 4
    assert TWO_STEP.path(1) == [0, 1]
