"""Stacks of frames: of which frames they are made, and how they reach the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch

from probes.bench import Bench, Trial
from probes.checks.check import Check, Component, Outcome
from probes.checks.frames import game, last_action, listed
from probes.counter import CounterEnv, Ledger
from probes.emulator import NOOP, PERIOD, Emulator, Plane, lit, planes
from probes.subject import Array, Unsupported

STEPS: Final = 8  # compared after a stack is full
EPISODES: Final = 6
# Right is 1, not scaled at all 255, scaled twice 1 / 255: a quarter of the way to either, in
# logarithms, so that scaling to another range of about one is right, too.
SCALE_TOLERANCE: Final = 255**0.25


def stacks_one_frame_per_step(bench: Bench) -> Outcome:
    """Reads from the frames of a stack how many raw frames old each one is."""
    emulator, env = game(bench)
    first, _ = env.reset(seed=bench.seed)
    size = _stack_size(first)
    taken = [emulator.frame]
    read, expected = [], []
    for _ in range(size + STEPS):
        obs = env.step(NOOP)[0]
        taken.append(emulator.frame)
        if len(taken) > size:
            read.append([_youngest(plane, emulator) for plane in planes(obs)])
            expected.append([(taken[-1] - then) % PERIOD for then in taken[-size:]])
    # Newest first is as good, as long as it is always so.
    order = -1 if read[0] == expected[0][::-1] else 1
    pairs = [(ages[::order], right) for ages, right in zip(read, expected, strict=True)]
    wrong = [ages for ages, right in pairs if ages != right]
    return Outcome(
        holds=not wrong,
        expected=f"frames of a stack {listed(expected[0])} raw frames old",
        actual=listed(wrong[0] if wrong else expected[0]),
        compared=size * len(read),
    )


def starts_with_a_fresh_stack(bench: Bench) -> Outcome:
    """Plays lives and games, and reads what the first stack of each episode shows."""
    emulator, env = game(bench, lives=2, life_frames=12)
    first, _ = env.reset(seed=bench.seed)
    _stack_size(first)
    stale: list[str] = []
    episodes = 0
    for _ in range(20 * EPISODES):
        *_, terminated, truncated, _ = env.step(last_action(env))
        if not (terminated or truncated):
            continue
        games, frame = emulator.games, emulator.frame
        obs, _ = env.reset()
        # Of the same game, up to the frame before the last, as two are combined in one. Black is
        # no frame of any episode.
        oldest = emulator.frame - frame + 1 if emulator.games == games else PERIOD
        ages = [emulator.age(stripe) for plane in planes(obs) for stripe in lit(plane)]
        stale += ["of another game" for age in ages if age > PERIOD]
        stale += [f"{age} raw frames old" for age in ages if oldest < age < PERIOD]
        episodes += 1
        if episodes == EPISODES:
            break
    return Outcome(
        holds=not stale,
        expected="in the first stack of an episode no frame from before it",
        actual=f"a frame {stale[0]}" if stale else "none",
        compared=episodes,
    )


def scales_pixels_once(bench: Bench) -> Outcome:
    """Asks for the Q-values of white frames, and looks at what the first convolution is given."""
    trial = _with_frames(bench, Ledger())
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


def acts_on_what_it_was_shown(bench: Bench) -> Outcome:
    """Compares what the network is given in order to act with what it is given of the same stack.

    Exploration is off. Whatever a subject makes of an observation, it must make the same of it when
    it is asked for its Q-values.
    """
    ledger = Ledger()
    trial = _with_frames(
        bench,
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


def _with_frames(bench: Bench, ledger: Ledger, **settings: Any) -> Trial:
    return bench.trial(lambda number: CounterEnv(number, "frames", ledger), **settings)


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


def _stack_size(obs: Any) -> int:
    size = len(planes(obs))
    if size == 1:
        raise Unsupported("not offered: preprocess shows single frames, no stacks")
    return size


def _youngest(plane: Plane, emulator: Emulator) -> int | None:
    return min((emulator.age(stripe) for stripe in lit(plane)), default=None)


CHECKS: Final = (
    Check(
        code="frames.stack-spans-steps",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="The frames of a stack are those of successive agent steps, each once and in order.",
        why="A stack of raw frames spans one step instead of four, and shows too little motion; "
        "one of equal frames shows none, one of stacks has sixteen channels.",
        causes=(
            "every skipped frame is pushed to the stack",
            "frames are stacked twice, in a wrapper and in the agent",
            "all frames of the stack are one buffer",
        ),
        seen=(
            "github.com/AndersonJo/dqn-pytorch issue 4",
            "github.com/thu-ml/tianshou issue 1272",
            "github.com/openai/baselines commit b64974e",
        ),
        experiment="print the emulator's frame number next to each frame pushed",
        run=stacks_one_frame_per_step,
    ),
    Check(
        code="frames.first-stack",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="The first stack of an episode shows nothing from before it.",
        why="Frames of two episodes in one stack show motion that never was, at every start.",
        causes=(
            "the stack is not cleared on a reset",
            "a lost life starts an episode and the stack is left as it was",
            "stacks are put together without regard to the ends of episodes",
        ),
        seen=(
            "github.com/rlcode/reinforcement-learning pull 128",
            "github.com/Kaixhin/Rainbow issue 7",
        ),
        experiment="print the mean of each frame of the first stack after a reset",
        run=starts_with_a_fresh_stack,
    ),
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
            "github.com/openai/baselines issue 431",
            "github.com/yandexdataschool/Practical_RL issue 304",
            "github.com/thu-ml/tianshou issue 440",
        ),
        experiment="print the largest input of the first convolution",
        run=scales_pixels_once,
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
        seen=("github.com/Farama-Foundation/Gymnasium pull 830",),
        experiment="compare the stack acted upon with the one stored for the same step",
        run=acts_on_what_it_was_shown,
    ),
)
