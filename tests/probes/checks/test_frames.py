"""Checks of frames, lives and stacks on other people's wrappers, right and faulty."""

from __future__ import annotations

import sys
import types

import gymnasium
import pytest

from probes.checks import frames, lives, stacks
from probes.running.run_check import run_check
from reports.schema import Finding, FindingStatus
from tests.probes.screens import grey, resize

CHECKS = {check.code: check for check in (*frames.CHECKS, *lives.CHECKS, *stacks.CHECKS)}
OF_WRAPPERS = [code for code, check in CHECKS.items() if check.needs == ("preprocess",)]


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
