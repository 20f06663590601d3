"""Pixels: how the frames of a stack reach the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch

from probes.checks.check import Check, Component
from probes.checks.frames import listed
from probes.checks.support.testbed import Testbed, Trial
from probes.checks.support.white_box import generator
from probes.outcome import Outcome
from probes.subject import Array, Unsupported
from probes.worlds.stamped_env import Ledger, StampedEnv

# Right is 1, not scaled at all 255, scaled twice 1 / 255: a quarter of the way to either, in
# logarithms, so that scaling to another range of about one is right, too.
SCALE_TOLERANCE: Final = 255**0.25
LEVELS: Final = 18  # of grey, from 0 to 255
# An even step is a seventeenth of the way. A jump from white to black is half of a way, and all of
# it where there are no other steps.
MOST_AT_ONCE: Final = 0.25
UNSEEN: Final = 1e-4  # of the way that another frame moves the values: rounding
SQUARE: Final = 21  # pixels


def scales_pixels_once(testbed: Testbed) -> Outcome:
    """Asks for the Q-values of white frames, and looks at what the first convolution is given."""
    trial = _with_frames(testbed, Ledger())
    shape = trial.watched[0].observation_space.shape
    with _inputs(trial) as given:
        trial.q_table(np.full((1, *(shape or ())), 255, np.uint8))
    white = max((float(np.abs(pixels).max()) for pixels in given), default=np.nan)
    least, most = 1 / SCALE_TOLERANCE, SCALE_TOLERANCE
    return Outcome(
        holds=least <= white <= most,
        expected=f"a white pixel as 1, or from {least:.2f} to {most:.0f}",
        actual=f"{white:.3g}",
        compared=len(given),
    )


def acts_on_what_it_was_shown(testbed: Testbed) -> Outcome:
    """Compares what the network is given in order to act with what it is given of the same stack.

    Exploration is off. Whatever a subject makes of an observation, it must make the same of it when
    it is asked for its Q-values.
    """
    ledger = Ledger()
    trial = _with_frames(
        testbed,
        ledger,
        warmup_steps=4,
        train_period_steps=4,
        batch_size=4,
        capacity=64,
        epsilon_initial=0.0,
        epsilon_final=0.0,
        total_steps=24,
    )
    equal: list[bool] = []
    with _inputs(trial) as given:

        def compare() -> None:
            # Updates have more rows; at random there is no row at all.
            acting = [pixels for pixels in given if len(pixels) == 1]
            trial.q_table(list(ledger.shown.values())[-1][None])
            if acting:
                equal.append(np.array_equal(acting[-1], given[-1]))
            given.clear()

        trial.before_step = compare
        trial.train(24)
    if not equal:
        raise Unsupported("not offered: online_net acts through another network")
    return Outcome(
        holds=all(equal),
        expected=f"in {len(equal)} of {len(equal)} greedy steps the stack that was shown",
        actual=f"in {sum(equal)}",
        compared=len(equal),
    )


def follows_every_level(testbed: Testbed) -> Outcome:
    """Brightens a part of each frame step by step, and asks for the Q-values of each step."""
    trial = _a_little_trained(testbed)
    levels = np.linspace(0, 255, LEVELS).round().astype(np.uint8)
    noise = _noise(testbed, trial)
    frames, height, _ = noise.shape
    shown = np.tile(noise, (frames, LEVELS, 1, 1, 1))
    for frame in range(frames):
        shown[frame, :, frame, : height // 2] = levels[:, None, None]
    values = trial.q_table(shown.reshape(-1, *noise.shape)).reshape(frames, LEVELS, -1)
    steps = np.abs(np.diff(values, axis=1)).sum(axis=2)
    ways = steps.sum(axis=1)
    unseen = np.flatnonzero(ways <= UNSEEN * ways.max())
    share = float((steps.max(axis=1) / np.maximum(ways, UNSEEN * ways.max())).max(initial=0))
    return Outcome(
        holds=not len(unseen) and share <= MOST_AT_ONCE,
        expected=f"in each of {frames} frames levels from 0 to 255 to move the Q-values in many "
        f"steps, none by more than {MOST_AT_ONCE:.0%} of the way",
        actual=f"those of frame {listed(unseen.tolist())} do not move them"
        if len(unseen)
        else f"{LEVELS - 1} steps, one by {share:.0%} of the way",
        compared=steps.size,
    )


def neighbours_stay_neighbours(testbed: Testbed) -> Outcome:
    """Inverts a square of each frame, and looks where the first convolution is given a change."""
    trial = _with_frames(testbed, Ledger())
    noise = _noise(testbed, trial)
    frames, height, width = noise.shape
    shown = np.tile(noise, (1 + frames, 1, 1, 1))
    for frame in range(frames):
        top, left = (16 * frame, 16 * (frames - 1 - frame))
        shown[1 + frame, frame, top : top + SQUARE, left : left + SQUARE] ^= 255
    with _inputs(trial) as given:
        trial.q_table(shown)
    if sum(map(len, given)) != len(shown):
        raise Unsupported("not offered: online_net acts through another network")
    pixels = np.concatenate(given)
    # Where every observation is standardised, all pixels change a little.
    changes = np.abs(pixels[1:] - pixels[0]).max(axis=1)
    changed = changes > changes.max(axis=(1, 2), keepdims=True) / 2
    # In pixels of the observation, should the network be given smaller ones.
    sides = [
        (_extent(one.any(axis=1)) * height, _extent(one.any(axis=0)) * width) for one in changed
    ]
    worst = max(sides, key=max)
    return Outcome(
        holds=min(min(side) for side in sides) > 0 and max(worst) <= 1.5 * SQUARE,
        expected=f"{frames} squares of {SQUARE} x {SQUARE} pixels, each still about as large",
        actual=f"one as {worst[0]:.0f} x {worst[1]:.0f}",
        compared=frames,
    )


def _extent(hit: Array) -> float:
    """From the first to the last that is hit, as a share of all."""
    where = np.flatnonzero(hit)
    return float(where[-1] - where[0] + 1) / len(hit) if len(where) else 0.0


def _noise(testbed: Testbed, trial: Trial) -> Array:
    """A stack [4, 84, 84] uint8 of pixels at random."""
    shape = trial.watched[0].observation_space.shape or ()
    return generator(testbed.seed).integers(256, size=shape, dtype=np.uint8)


def _a_little_trained(testbed: Testbed) -> Trial:
    """A subject after a few updates: the values of a new network may all be the same."""
    trial = _with_frames(
        testbed, Ledger(), warmup_steps=4, batch_size=4, capacity=64, total_steps=8
    )
    trial.train(8)
    return trial


def _with_frames(testbed: Testbed, ledger: Ledger, **settings: Any) -> Trial:
    return testbed.trial(lambda number: StampedEnv(number, "frames", ledger), **settings)


@contextmanager
def _inputs(trial: Trial) -> Iterator[list[Array]]:
    """What the first convolution of the online network is given, while this lasts."""
    modules = trial.subject.online_net.modules()
    first = next((module for module in modules if isinstance(module, torch.nn.Conv2d)), None)
    if first is None:
        raise Unsupported("not offered: online_net has no torch.nn.Conv2d")
    given: list[Array] = []
    handle = first.register_forward_pre_hook(
        lambda _, inputs: given.append(inputs[0].detach().cpu().numpy().copy())
    )
    try:
        yield given
    finally:
        handle.remove()


CHECKS: Final = (
    Check(
        code="frames.scaled-once",
        component=Component.FRAMES,
        needs=("online_net",),
        what="Pixels from 0 to 255 reach the first convolution as numbers of about one.",
        why="Divided twice, all inputs are nearly zero and nothing is learned for months; not "
        "divided at all, learning differs from what was published.",
        causes=(
            "both a wrapper or the replay memory and the network divide by 255",
            "nothing does",
        ),
        seen=(
            "https://github.com/openai/baselines/issues/431",
            "https://github.com/yandexdataschool/Practical_RL/issues/304",
            "https://github.com/thu-ml/tianshou/issues/440",
        ),
        experiment="print the largest input of the first convolution",
        run=scales_pixels_once,
        shows_frames=True,
    ),
    Check(
        code="frames.acts-on-what-it-was-shown",
        component=Component.FRAMES,
        needs=("online_net",),
        what="The network acts on the very stack that it is asked for by its Q-values.",
        why="An agent that learns from one kind of stack and acts on another, with frames in "
        "reverse, of an older step or with other padding, follows values of observations that it "
        "was never shown.",
        causes=(
            "frames are newest first where it acts and newest last in the replay memory",
            "the first stack is padded in one place with zeros, in the other with the first frame",
            "the stack is not cleared where an episode begins, or is a step late",
        ),
        seen=("https://github.com/Farama-Foundation/Gymnasium/pull/830",),
        experiment="compare the stack acted upon with the one stored for the same step",
        run=acts_on_what_it_was_shown,
        shows_frames=True,
    ),
    Check(
        code="frames.every-level-counts",
        component=Component.FRAMES,
        what="The brightness of each frame of a stack moves the Q-values, and without a jump.",
        why="Where levels of grey are lost or wrap around, things become invisible or change "
        "their colour; tasks in black and white never show it.",
        causes=(
            "pixels are divided or rounded as integers before they are floats",
            "arithmetic on bytes that wraps below 0 or above 255",
            "the network is given the newest frame alone",
            "frames are made black and white on purpose",
        ),
        seen=(),
        experiment="print the input of the first layer for grey frames of 0, 64, 128, 192 and 255",
        run=follows_every_level,
        shows_frames=True,
    ),
    Check(
        code="frames.neighbours-stay-neighbours",
        component=Component.FRAMES,
        needs=("online_net",),
        what="Pixels that are next to each other in a frame are so in the first convolution.",
        why="A network that is given frames cut up and interleaved still learns small tasks by "
        "heart, but sees no shapes.",
        causes=(
            "channels are moved by reshape where transpose, or permute, is meant",
            "a batch of stacks is reshaped with its axes in another order",
        ),
        seen=(),
        experiment="draw what the first convolution is given as pictures",
        run=neighbours_stay_neighbours,
        shows_frames=True,
    ),
)
