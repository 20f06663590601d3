"""The mock emulator, its stand-in for ALE, and the checks on other people's wrappers."""

from __future__ import annotations

import sys
import types
from functools import cache

import gymnasium
import numpy as np
import pytest

from probes.checks import frames, lives, pixels, stacks
from probes.running.run_check import run_check
from probes.subject import Misbehaviour
from probes.subjects.core_atari import EmulatorVector, area
from probes.worlds.mock_emulator import (
    FIRE,
    LEFT,
    MEANINGS,
    NOOP,
    PERIOD,
    RIGHT,
    SCREEN_SIZE,
    STRIPES,
    Emulator,
    draw,
    levels,
    lit,
    planes,
)
from reports.schema import Finding, FindingStatus

CHECKS = {check.code: check for check in (*frames.CHECKS, *lives.CHECKS, *stacks.CHECKS)}
OF_WRAPPERS = [code for code, check in CHECKS.items() if check.needs == ("preprocess",)]


def started(**known) -> Emulator:
    emulator = Emulator(**known)
    emulator.reset(seed=0)
    return emulator


shrinking = cache(area)


def resize(screen, height: int, width: int) -> np.ndarray:
    channels = [
        shrinking(SCREEN_SIZE[0], height) @ channel @ shrinking(SCREEN_SIZE[1], width).T
        for channel in np.moveaxis(np.atleast_3d(screen), -1, 0).astype(float)
    ]
    return np.stack(channels, axis=-1).squeeze().round().astype(np.uint8)


def grey(screen) -> np.ndarray:
    return (screen @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)


class TestEmulator:
    def test_left_pays_and_loses_lives_and_nothing_else_does(self):
        emulator = started(pays=(1.0, 0.0, -2.0), lives=2, life_frames=3)
        for action in (NOOP, FIRE, RIGHT):
            assert emulator.step(action)[1:4] == (0.0, False, False)
        played = [emulator.step(LEFT)[1:4] for _ in range(6)]
        assert [reward for reward, _, _ in played] == [1.0, 0.0, -2.0] * 2
        assert [terminated for _, terminated, _ in played] == [False] * 5 + [True]
        assert emulator.paid == [0.0] * 3 + [1.0, 0.0, -2.0] * 2
        assert (emulator.lives(), emulator.losses, emulator.frame) == (0, 2, 9)
        with pytest.raises(Misbehaviour, match="after the end of a game"):
            emulator.step(NOOP)

    def test_it_waits_for_fire_in_each_life(self):
        emulator = started(pays=(1.0,), lives=2, life_frames=1, waits_for_fire=True)
        script = [LEFT, FIRE, LEFT, LEFT, FIRE, LEFT]
        assert [emulator.step(action)[1] for action in script] == [0, 0, 1, 0, 0, 1]

    def test_a_limit_of_raw_frames_truncates(self):
        emulator = started(limit_frames=2)
        assert [emulator.step(NOOP)[2:4] for _ in range(2)] == [(False, False), (False, True)]

    def test_resets_count_games_and_note_seeds(self):
        emulator = started()
        emulator.step(NOOP)
        emulator.reset()
        assert (emulator.games, emulator.frame, emulator.seeds) == (2, 0, [0, None])

    @pytest.mark.parametrize(
        "view",
        [
            lambda screen: resize(grey(screen), 84, 84),
            lambda screen: resize(grey(screen), 110, 84)[18:102],
            lambda screen: grey(screen)[34:194:2, ::2],
            lambda screen: resize(screen, 84, 84)[..., 0],
        ],
        ids=["resized", "cropped below", "sliced", "red"],
    )
    def test_every_frame_can_be_read_in_every_geometry(self, view):
        emulator = started()
        for game in (1, 2):
            for frame in range(2 * PERIOD):
                shown = view(emulator.step(NOOP)[0] if frame else emulator._screen())
                assert lit(shown.astype(float)) == [game % 2 * PERIOD + frame % PERIOD]
                assert emulator.age(lit(shown.astype(float))[0]) == 0
            emulator.reset()

    @pytest.mark.parametrize("combine", [np.max, np.mean])
    def test_two_frames_can_be_read_from_their_maximum_and_from_their_mean(self, combine):
        emulator = started()
        screens = [emulator.step(NOOP)[0] for _ in range(2)]
        stripes = lit(combine([resize(grey(screen), 84, 84) for screen in screens], axis=0))
        assert sorted(map(emulator.age, stripes)) == [0, 1]

    def test_another_games_frames_are_recognised(self):
        emulator = started()
        old = lit(grey(emulator._screen()).astype(float))
        emulator.reset()
        assert emulator.age(old[0]) > PERIOD

    def test_colours_are_read_where_they_were_drawn(self):
        greys = np.linspace(0, 255, STRIPES).round()
        screen = draw(np.repeat(greys[:, None], 3, axis=1))
        assert screen.shape == (*SCREEN_SIZE, 3)
        small = resize(grey(screen), 84, 84).astype(float)
        np.testing.assert_array_equal(levels(small, STRIPES), greys)


@pytest.mark.parametrize("shape", [(4, 84, 84), (84, 84, 4), (1, 84, 84), (84, 84), (4, 84, 84, 1)])
@pytest.mark.parametrize("scale", [1, 255])
def test_frames_are_found_in_every_layout(shape, scale):
    obs = np.full(shape, 255, np.uint8) if scale == 1 else np.ones(shape, np.float32)
    found = planes(obs)
    assert found.shape == (4 if 4 in shape else 1, 84, 84)
    assert (found == 255).all()


def test_what_is_no_stack_of_frames_is_refused():
    with pytest.raises(Misbehaviour, match="such as"):
        planes(np.zeros((4, 4, 84, 84), np.uint8))


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


class Wrapped:
    """A subject that has nothing but wrappers."""

    def __init__(self, preprocess):
        self.preprocess = preprocess

    def train(self, steps):
        raise NotImplementedError

    def q_values(self, obs):
        raise NotImplementedError


def found(code: str, preprocess, seed: int = 0) -> Finding:
    return run_check(CHECKS[code], lambda *_: Wrapped(preprocess), seed)


def failing(preprocess, seed: int = 0) -> dict[str, Finding]:
    findings = {code: found(code, preprocess, seed) for code in OF_WRAPPERS}
    return {code: f for code, f in findings.items() if f.status is not FindingStatus.GREEN}


@pytest.fixture
def opencv(monkeypatch):
    """The two functions that the libraries' wrappers use, without the package."""
    from stable_baselines3.common import atari_wrappers  # before it can see the stand-in

    stand_in = types.SimpleNamespace(
        COLOR_RGB2GRAY=0,
        INTER_AREA=0,
        cvtColor=lambda screen, _: grey(screen),
        resize=lambda image, size, **_: resize(image, size[1], size[0]),
    )
    monkeypatch.setitem(sys.modules, "cv2", stand_in)
    monkeypatch.setattr(atari_wrappers, "cv2", stand_in)


def of_gymnasium(emulator, padding: str = "reset", **options):
    frames_ = gymnasium.wrappers.AtariPreprocessing(emulator, **options)
    return gymnasium.wrappers.FrameStackObservation(frames_, 4, padding_type=padding)


def of_stable_baselines3(emulator):
    from stable_baselines3.common.atari_wrappers import AtariWrapper

    return gymnasium.wrappers.FrameStackObservation(AtariWrapper(emulator), 4)


@pytest.mark.usefixtures("opencv")
def test_gymnasiums_wrappers_are_right():
    assert failing(of_gymnasium) == {}
    assert failing(lambda game: of_gymnasium(game, "zero", scale_obs=True), seed=1) == {}


@pytest.mark.usefixtures("opencv")
def test_stable_baselines3s_wrappers_are_right():
    assert failing(of_stable_baselines3) == {}


@pytest.mark.usefixtures("opencv")
def test_stacks_are_not_judged_where_there_are_none():
    skipped = failing(gymnasium.wrappers.AtariPreprocessing)
    assert set(skipped) == {"frames.stack-spans-steps", "frames.first-stack"}
    assert {finding.status for finding in skipped.values()} == {FindingStatus.SKIP}


def squeezed(env, change):
    return gymnasium.wrappers.TransformObservation(env, change, env.observation_space)


FAULTY = {
    "frames.skip": lambda game: of_gymnasium(game, frame_skip=3),
    "frames.two-frame-maximum": lambda game: of_gymnasium(
        gymnasium.wrappers.MaxAndSkipObservation(game, 4), frame_skip=1
    ),
    "frames.no-op-start": lambda game: of_gymnasium(game, noop_max=0),
    "frames.clipped-after-the-sum": lambda game: of_gymnasium(
        gymnasium.wrappers.ClipReward(game, -1, 1)
    ),
    # github.com/Farama-Foundation/Gymnasium issue 166
    "lives.loss-ends-no-game": lambda game: of_gymnasium(game, terminal_on_life_loss=True),
    "frames.order-of-grey-levels": lambda game: squeezed(of_gymnasium(game), lambda obs: obs + 9),
    "frames.stack-spans-steps": lambda game: squeezed(
        of_gymnasium(game), lambda obs: obs[[0, 1, 1, 3]]
    ),
    "frames.actions-reach-the-game": lambda game: gymnasium.wrappers.TransformAction(
        of_gymnasium(game), lambda action: max(action, 1), game.action_space
    ),
}


@pytest.mark.usefixtures("opencv")
@pytest.mark.parametrize("code", FAULTY)
def test_faults_in_other_peoples_wrappers_are_seen(code):
    finding = found(code, FAULTY[code])
    assert finding.status is FindingStatus.RED
    assert finding.expected != "no exception", finding


def test_the_scale_tolerance_is_a_quarter_of_the_way_to_either_fault():
    assert round(pixels.SCALE_TOLERANCE**4) == 255
