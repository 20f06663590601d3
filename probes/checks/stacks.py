"""Stacks of frames: of which frames they are made."""

from __future__ import annotations

from typing import Any, Final

from probes.checks.check import Check, Component
from probes.checks.frames import game, last_action, listed
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.subject import Unsupported
from probes.worlds.mock_emulator import NOOP, PERIOD, Emulator, Plane, lit, planes

STEPS: Final = 8  # compared after a stack is full
EPISODES: Final = 6


def stacks_one_frame_per_step(testbed: Testbed) -> Outcome:
    """Reads from the frames of a stack how many raw frames old each one is."""
    emulator, env = game(testbed)
    first, _ = env.reset(seed=testbed.seed)
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


def starts_with_a_fresh_stack(testbed: Testbed) -> Outcome:
    """Plays lives and games, and reads what the first stack of each episode shows."""
    emulator, env = game(testbed, lives=2, life_frames=12)
    first, _ = env.reset(seed=testbed.seed)
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
            "https://github.com/AndersonJo/dqn-pytorch/issues/4",
            "https://github.com/thu-ml/tianshou/issues/1272",
            "https://github.com/openai/baselines/commit/b64974e",
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
            "https://github.com/rlcode/reinforcement-learning/pull/128",
            "https://github.com/Kaixhin/Rainbow/issues/7",
        ),
        experiment="print the mean of each frame of the first stack after a reset",
        run=starts_with_a_fresh_stack,
    ),
)
