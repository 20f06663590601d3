"""Atari through ALE's vector environment: every trap that applies here, and our own episodes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import AtariEnv
from dqn_core.streams import Stream

pytestmark = pytest.mark.atari
NOOP, FIRE, RIGHT, LEFT = 0, 1, 2, 3


def section(recipe: str, **changes: object) -> AtariEnv:
    env = load_recipe(recipe).env
    return AtariEnv.model_validate(env.model_dump() | changes)


def envs(recipe: str = "pong", num_envs: int = 1, seed: int = 0, **changes: object):
    from dqn_core.envs.atari import AtariEnvs

    return AtariEnvs(section(recipe, **changes), num_envs, Stream(seed, "env"))


def test_any_number_of_threads_emulates_the_same():
    from dqn_core.envs.atari import AtariEnvs

    rally = section("pong-simplified", episode_limit_steps=40)
    one, many = (AtariEnvs(rally, 5, Stream(0, "env"), threads=n) for n in (1, 4))
    assert np.array_equal(one.reset(), many.reset())
    for ticks in zip(play(one, RIGHT, 200), play(many, RIGHT, 200), strict=True):
        for column, other in zip(*ticks, strict=True):
            assert np.array_equal(column, other)


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (4, 4), (16, 5)])
def test_emulators_get_as_many_threads_as_are_asked_for_but_none_in_vain(asked, given):
    from dqn_core.envs.atari import AtariEnvs, ale_emulators

    told = []

    def emulators(*args, **options):
        told.append(options["num_threads"])
        return ale_emulators(*args, **options)

    AtariEnvs(section("pong"), 5, Stream(0, "env"), emulators, asked)
    assert told == [given]


def forced_or(environment, action: int) -> np.ndarray:
    forced = environment.forced_action()
    return np.full(environment.num_envs, action) if forced is None else forced


def play(environment, action: int, steps: int):
    """Repeats an action, starting new episodes as they end; the ticks."""
    ticks = []
    for _ in range(steps):
        ticks.append(environment.step(forced_or(environment, action)))
        ended = ticks[-1].terminated | ticks[-1].truncated
        if ended.any():
            environment.begin(ended)
    return ticks


@pytest.mark.parametrize(
    "name", ["pong", "Pong", "ALE/Pong-v5", "PongNoFrameskip-v4", "PongDeterministic-v4"]
)
def test_usual_spellings_of_a_game(name):
    from dqn_core.envs.atari import resolve_game

    assert resolve_game(name) == "pong"


def test_names_of_two_words_and_unknown_names():
    from dqn_core.envs.atari import UnknownGameError, resolve_game

    assert resolve_game("ALE/MsPacman-v5") == resolve_game("ms_pacman") == "ms_pacman"
    with pytest.raises(UnknownGameError, match=r"'ALE/Pnog-v5'(.|\n)*nearest +pong, "):
        resolve_game("ALE/Pnog-v5")
    with pytest.raises(UnknownGameError):
        resolve_game("../../etc/passwd")


def test_without_ale_py_the_error_says_what_to_install(monkeypatch):
    from dqn_core.envs.atari import AtariUnavailableError, resolve_game

    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(AtariUnavailableError, match=r"pip install 'dqn-harness\[atari\]'"):
        resolve_game("pong")


def test_frames_are_single_grey_and_of_the_declared_shape():
    frames = envs(num_envs=2).reset()
    assert frames.shape == (2, 84, 84)
    assert frames.dtype == np.uint8
    assert np.unique(frames).size > 2


def test_cropping_pooling_and_the_black_level_by_hand():
    whole = envs("pong-short", crop_rows=[0, 210], max_pool=1, black_level=0)
    small = envs("pong-short")
    brightest = whole.reset()[:, 34:194].reshape(1, 32, 5, 32, 5).max(axis=(2, 4)).astype(int)
    expected = np.clip(brightest - 87, 0, 255)
    shown = small.reset()
    np.testing.assert_array_equal(shown, expected)
    assert small.row_shape == (32, 32)
    assert {0} < set(shown.ravel().tolist())


def test_each_environment_has_its_own_seed_and_the_stream_decides():
    first = envs(num_envs=4, seed=0).reset()
    assert len({frame.tobytes() for frame in first}) > 1
    np.testing.assert_array_equal(first, envs(num_envs=4, seed=0).reset())
    assert (envs(num_envs=4, seed=1).reset() != first).any()


def test_the_number_of_no_ops_varies_from_start_to_start():
    environment = envs(num_envs=1, episode_limit_steps=1)
    environment.reset()
    ages = []
    for _ in range(10):
        _, _, _, _, info = environment._ale.step(np.array([NOOP]))
        ages.append(int(info["episode_frame_number"][0]))
        tick = environment.step(np.array([NOOP]))
        environment.begin(tick.truncated)
    # Four frames of the step above, one of FIRE, up to 28 no-ops.
    assert len(set(ages)) >= 4
    assert min(ages) >= 5
    assert max(ages) <= 5 + 29


def test_one_step_is_four_frames():
    environment = envs()
    environment.reset()
    numbers = []
    for _ in range(3):
        _, _, _, _, info = environment._ale.step(np.array([NOOP]))
        numbers.append(int(info["episode_frame_number"][0]))
    assert np.diff(numbers).tolist() == [4, 4]


def test_rewards_are_raw_and_summed_over_skipped_frames():
    # Space Invaders pays 5 to 30 points for a hit; clipped rewards would be 1.
    environment = envs("pong", game="space_invaders", seed=1)
    environment.reset()
    rewards = {float(tick.reward[0]) for tick in play(environment, FIRE, 300)}
    assert max(rewards) >= 5


def test_a_limit_truncates_with_the_true_last_frame_and_resets_at_once():
    limited, free = envs(episode_limit_steps=40), envs()
    first = limited.reset()
    free.reset()
    for step in range(1, 41):
        action = np.array([RIGHT if step % 3 else LEFT])
        tick, unlimited = limited.step(action), free.step(action)
        # On its own limit ALE would show a stale frame here.
        np.testing.assert_array_equal(tick.next_obs, unlimited.next_obs)
        assert tick.truncated.tolist() == [step == 40]
    assert not tick.terminated.any()
    following = limited.begin(tick.truncated)
    assert (following != tick.next_obs).any()
    assert following.shape == first.shape


def test_no_step_is_lost_on_a_reset():
    """A reset asked for by hand is not followed by the vector environment's own."""
    environment = envs(episode_limit_steps=5)
    environment.reset()
    for _ in range(5):
        tick = environment.step(np.array([NOOP]))
    environment.begin(tick.truncated)
    _, _, _, _, before = environment._ale.step(np.array([NOOP]))
    _, _, _, _, after = environment._ale.step(np.array([NOOP]))
    assert after["episode_frame_number"] - before["episode_frame_number"] == 4


def test_a_game_that_ends_is_reset_at_once_too():
    environment = envs("breakout", num_envs=1)
    environment.reset()
    for _ in range(2_000):
        tick = environment.step(forced_or(environment, NOOP))
        if tick.reported.any():
            break
        if tick.terminated.any():
            environment.begin(tick.terminated)
    assert tick.reported.all()
    assert tick.terminated.all()
    environment.begin(tick.terminated)
    _, _, _, _, info = environment._ale.step(np.array([NOOP]))
    assert info["lives"] == 5
    assert info["episode_frame_number"] < 200


def test_a_lost_life_terminates_without_resetting_the_game():
    environment = envs("breakout")
    environment.reset()
    ticks = play(environment, NOOP, 700)
    ends = [index for index, tick in enumerate(ticks) if tick.terminated[0]]
    reports = [index for index, tick in enumerate(ticks) if tick.reported[0]]
    # Five lives are five episodes for the learner and one game for the report.
    assert len(ends) >= 10
    assert reports == ends[4::5]
    assert not any(tick.truncated.any() for tick in ticks)


def test_fire_is_forced_after_a_lost_life_and_only_then():
    environment = envs("breakout")
    environment.reset()
    forced_after = []
    for _ in range(200):
        tick = environment.step(forced_or(environment, NOOP))
        forced_after.append((bool(tick.terminated[0]), forced_or(environment, -1).tolist()[0]))
        if tick.terminated.any():
            environment.begin(tick.terminated)
            if tick.reported.any():
                break
    lost = [force for ended, force in forced_after[:-1] if ended]
    assert lost == [FIRE] * 4
    assert {force for ended, force in forced_after if not ended} == {-1}


def test_a_rally_ends_an_episode_and_the_game_goes_on():
    environment = envs("pong-short")
    environment.reset()
    ticks = play(environment, NOOP, 200)
    returns = [float(tick.reward[0]) for tick in ticks if tick.terminated[0]]
    assert len(returns) >= 3
    assert set(returns) == {-1.0}
    assert all(tick.reward[0] == 0 for tick in ticks if not tick.terminated[0])
    assert all((tick.reported == tick.terminated).all() for tick in ticks)
    assert environment._ale.step(np.array([NOOP]))[4]["episode_frame_number"] > 1_500


def test_actions_are_named_and_checked_before_ale_sees_them():
    environment = envs("pong-short")
    assert environment.action_names == ["NOOP", "RIGHT", "LEFT"]
    environment.reset()
    for action in (-1, 3):
        # ALE would record the error and then wait for ever.
        with pytest.raises(ValueError, match=r"expected actions in \[0, 3\)"):
            environment.step(np.array([action]))
    with pytest.raises(ValueError, match=r"breakout has no UP; it has NOOP, FIRE, RIGHT, LEFT"):
        envs("breakout", actions=["UP"])


def test_sticky_actions_change_the_game_and_their_absence_does_not():
    def frames(probability: float) -> bytes:
        environment = envs("pong-short", sticky_probability=probability)
        environment.reset()
        ticks = [environment.step(np.array([1 + step // 5 % 2])) for step in range(60)]
        return b"".join(tick.next_obs.tobytes() for tick in ticks)

    assert frames(0.0) == frames(0.0)
    assert frames(0.5) == frames(0.5)
    assert frames(0.0) != frames(0.5)


def test_returned_frames_are_never_overwritten_later():
    environment = envs(num_envs=2)
    kept = [environment.reset()]
    copies = [kept[0].copy()]
    for _ in range(5):
        kept.append(environment.step(np.array([RIGHT, LEFT])).next_obs)
        copies.append(kept[-1].copy())
    for frame, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(frame, copy)
