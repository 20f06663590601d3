"""Gymnasium behind the lockstep interface: ends, seeds, and what is refused."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.streams import Stream


class Counter(gymnasium.Env):
    """Shows its episode and step; ends after three steps, by the task in even episodes."""

    def __init__(self, observed=None, actions=None) -> None:
        self.observation_space = observed or gymnasium.spaces.Box(0, 99, (2,), np.float32)
        self.action_space = actions or gymnasium.spaces.Discrete(2)
        self.episode, self.seeds = -1, []

    def reset(self, *, seed=None, options=None):
        del options
        self.seeds.append(seed)
        self.episode, self.age = self.episode + 1, 0
        return np.array([self.episode, 0], np.float32), {}

    def step(self, action):
        del action
        self.age += 1
        over, even = self.age == 3, self.episode % 2 == 0
        return np.array([self.episode, self.age], np.float32), 1.0, over and even, over, {}


def test_an_end_shows_its_own_last_observation_and_begin_the_next_episodes_first():
    envs = GymnasiumEnvs([Counter], Stream(0, "env"))
    assert envs.reset().tolist() == [[0, 0]]
    seen = []
    for _ in range(7):
        tick = envs.step(np.array([0]))
        # An end by task and limit at once is the task's.
        seen.append((tick.next_obs[0].tolist(), tick.terminated[0], tick.truncated[0]))
        ended = tick.terminated | tick.truncated
        if ended.any():
            assert envs.begin(ended)[0].tolist() == [tick.next_obs[0][0] + 1, 0]
    assert seen[2] == ([0, 3], True, False)
    assert seen[3] == ([1, 1], False, False)
    assert seen[5] == ([1, 3], False, True)


def test_each_environment_is_seeded_once_and_differently():
    made = []
    envs = GymnasiumEnvs([lambda: made.append(Counter()) or made[-1]] * 3, Stream(0, "env"))
    envs.reset()
    envs.begin(np.array([True, False, False]))
    first = [env.seeds[0] for env in made]
    assert len(set(first)) == 3
    assert made[0].seeds[1:] == [None]


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ({"actions": gymnasium.spaces.Discrete(257)}, "at most 256 actions, got 257"),
        ({"actions": gymnasium.spaces.Discrete(2, start=1)}, "discrete actions from 0"),
        ({"actions": gymnasium.spaces.MultiBinary(2)}, "discrete actions from 0"),
        ({"observed": gymnasium.spaces.Discrete(4)}, "expected a Box"),
        ({"observed": gymnasium.spaces.Box(0, 1, (3, 8, 8))}, "a vector or one grey frame"),
    ],
)
def test_spaces_that_do_not_fit_are_refused(spaces, message):
    with pytest.raises(ValueError, match=message):
        GymnasiumEnvs([lambda: Counter(**spaces)], Stream(0, "env"))
