"""Acting: which episodes are reported."""

from __future__ import annotations

import numpy as np
import pytest

from dqn_core.acting import Actor
from dqn_core.streams import Stream
from tests.dqn_core.small import small_pong, trainer


@pytest.mark.atari
def test_a_reported_episode_is_a_whole_game_where_a_life_is_an_episode_for_the_learner():
    env = {"game": "breakout", "actions": "minimal", "episode": "life", "episode_limit_steps": 400}
    made = trainer(small_pong(env=env))
    actor = Actor(made.make_envs(made.recipe, 1, Stream(0, "eval")), 2, Stream(0, "eval"))
    lives, rewards, games = 0, 0.0, []
    while len(games) < 3:
        (tick,) = actor.play(made.agent, np.ones((1, 1)), truncate_last=False)
        lives += int(tick.terminated[0])
        rewards += float(tick.reward[0])
        for game in actor.take_finished():
            assert (lives, game.episode_return) == (5, rewards)
            games.append(game.episode_return)
            lives, rewards = 0, 0.0
    assert sum(games) > 0
