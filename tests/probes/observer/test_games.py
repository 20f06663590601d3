"""The game of raw frames: what wrappers ask of it, and what is noted."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from probes.observer.environments import replace_make
from probes.observer.games import Game, game_called, game_of
from probes.observer.recorder import Recorder
from probes.observer.worlds import LIFE_LOST, TERMINATED, TRUNCATED
from probes.recordings.reading_world import LIFE_FRAMES, LIMIT_FRAMES, LIVES, reading_screens


class _Package:
    """A package that makes games, as gymnasium would with its emulator."""

    __name__ = "gymnasium"
    __version__ = gymnasium.__version__
    Env, spaces = gymnasium.Env, gymnasium.spaces

    @staticmethod
    def make(name, **_):
        raise ValueError(f"{name} needs an emulator")


@pytest.fixture
def made():
    """Makes a game; with what was recorded of it."""
    recorder = Recorder({"steps": 10_000, "tags": True, "world": {}, "screens": reading_screens()})
    package = _Package()
    replace_make(package, recorder)

    def make(name, **kwargs):
        return package.make(name, **kwargs), recorder

    return make


def _play(env, recorder, frames):
    for _ in range(frames):
        _, _, terminated, truncated, _ = env.step(2)
        if terminated or truncated:
            env.reset()
    return np.array(recorder.steps)


def test_lives_end_games_and_every_other_game_is_cut(made):
    env, recorder = made("PongNoFrameskip-v4")
    env.reset(seed=4)
    steps = _play(env, recorder, 1_500)
    ends = steps[steps[:, 7] > 0, 7].tolist()
    first = ends.index(TERMINATED)
    assert ends[:first] == [LIFE_LOST] * (LIVES - 1)
    assert ends[first + 1 : first + 4] == [LIFE_LOST, LIFE_LOST, TRUNCATED]
    assert first + 1 == LIVES
    whole = np.flatnonzero(steps[:, 7] == TERMINATED)[0] + 1
    assert whole == sum(LIFE_FRAMES[:LIVES])
    cut = np.flatnonzero(steps[:, 7] == TRUNCATED)[0] + 1 - whole
    assert cut == LIMIT_FRAMES
    assert [seed for *_, seed in recorder.resets][:2] == [4, -1]


def test_frames_are_skipped_inside_as_the_name_says(made):
    env, recorder = made("ALE/Breakout-v5")
    env.reset()
    _, reward, *_ = env.step(1)
    assert len(recorder.steps) == 4
    assert reward == sum(step[6] for step in recorder.steps)
    assert env.unwrapped._frameskip == 4
    assert recorder.environments[0]["game"]["sticky"] == 0.25


def test_wrappers_find_what_they_ask_for(made):
    env, _ = made("BreakoutNoFrameskip-v4")
    obs, info = env.reset(seed=1)
    assert env.observation_space.contains(obs)
    assert env.unwrapped.get_action_meanings()[:2] == ["NOOP", "FIRE"]
    assert env.unwrapped.ale.lives() == info["lives"] == LIVES
    assert not env.unwrapped.ale.game_over()
    np.testing.assert_array_equal(env.unwrapped.ale.getScreenRGB(), obs)
    grey = np.zeros((210, 160), np.uint8)
    env.unwrapped.ale.getScreenGrayscale(grey)
    assert 0 < grey.max() <= 255
    wrapped = gymnasium.wrappers.AtariPreprocessing(env, noop_max=10)
    stacked = gymnasium.wrappers.FrameStackObservation(wrapped, 4)
    shown, _ = stacked.reset(seed=2)
    assert shown.shape == (4, 84, 84)
    assert stacked.step(2)[0].shape == (4, 84, 84)


def test_the_step_of_a_game_counts_as_its_frames_do(made):
    env, recorder = made("PongNoFrameskip-v4")
    env.reset()
    for _ in range(8):
        env.step(0)
    assert recorder._taken == 2
    assert len(recorder.steps) == 8


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1"])
def test_what_shows_no_pictures_is_no_game(name):
    env = gymnasium.make(name)
    assert game_of(env) is None
    assert game_called(name) is None


@pytest.mark.atari
def test_an_installed_game_is_asked_what_it_is():
    import ale_py

    gymnasium.register_envs(ale_py)
    env = gymnasium.make("ALE/Pong-v5", frameskip=3, repeat_action_probability=0.1)
    found = game_of(env)
    assert found == Game(tuple(env.unwrapped.get_action_meanings()), 3, 0.1, 210, 160, grey=False)
    env.close()
