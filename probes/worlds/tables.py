"""The probe worlds, each as a table, cheapest explanation first.

Values are far from zero and gamma is meant to be 0.5, so that a fault moves them far.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from probes.worlds.world import BLANK, World


class Move(NamedTuple):
    """What an action does.

    Attributes:
        reward: on average.
        to: the next state; None where the task ends.
        cut: whether a time limit ends the episode there.
        noise: how much more or less than on average a reward is.
    """

    reward: float
    to: int | None = None
    cut: bool = False
    noise: float = 0.0


def _world(
    name: str, isolates: str, moves: list[list[Move]], starts: tuple[int, ...], **fields: Any
) -> World:
    """A world from the moves of each state and action."""
    # On its end an episode shows the state it started from: a fault that bootstraps from the final
    # observation then finds a value there.
    shown = [[starts[0] if move.to is None else move.to for move in row] for row in moves]
    return World(
        name=name,
        isolates=isolates,
        next_state=np.array(shown, np.int64),
        reward=np.array([[move.reward for move in row] for row in moves]),
        noise=np.array([[move.noise for move in row] for row in moves]),
        terminated=np.array([[move.to is None for move in row] for row in moves]),
        truncated=np.array([[move.cut for move in row] for row in moves]),
        starts=starts,
        **({"pictures": tuple(range(len(moves)))} | fields),
    )


CONSTANT_REWARD: Final = _world(
    "constant-reward",
    "loss, optimizer or terminal mask",
    [[Move(2.0)]],
    starts=(0,),
    separates=("terminal ignored", "reward lost"),
)
REWARD_BY_OBS: Final = _world(
    "reward-by-observation",
    "observation path or per-row independence",
    [[Move(-2.0)], [Move(2.0)]],
    starts=(0, 1),
    separates=("observation ignored", "reward lost"),
)
TWO_STEP: Final = _world(
    "two-step-discounting",
    "TD target: discount, bootstrap or target network",
    [[Move(0.0, to=1)], [Move(4.0)]],
    starts=(0,),
    separates=("discount missing", "discount twice", "bootstrap lost", "terminal ignored"),
)
REWARD_BY_ACTION: Final = _world(
    "reward-by-action",
    "action path: which Q-value is trained",
    [[Move(-2.0), Move(2.0)]],
    starts=(0,),
    separates=("action ignored", "reward lost"),
)
REWARD_BY_OBS_AND_ACTION: Final = _world(
    "reward-by-observation-and-action",
    "pairing of observation, action and reward",
    [[Move(2.0), Move(-2.0)], [Move(-2.0), Move(2.0)]],
    starts=(0, 1),
    separates=("observation ignored", "action ignored", "reward lost"),
)
# Its second state is worth much by its last action alone, its third by its first alone.
BRANCHING: Final = _world(
    "branching",
    "TD target: which next value is bootstrapped from",
    [[Move(0.0, to=1), Move(0.0, to=2)], [Move(-4.0), Move(4.0)], [Move(0.0), Move(-4.0)]],
    starts=(0,),
    separates=(
        "behaviour's value",
        "minimum",
        "first action",
        "same action",
        "maximum over the batch",
        "bootstrap lost",
    ),
)
DELAYED_REWARD: Final = _world(
    "delayed-reward",
    "target network: whether values travel on and on",
    [*([Move(0.0, to=state)] for state in (1, 2, 3, 4)), [Move(8.0)]],
    starts=(0,),
    separates=("two steps at most", "discount missing", "discount twice", "bootstrap lost"),
)
WIDE_VALUES: Final = _world(
    "wide-values",
    "range of outputs, rewards and errors",
    [[Move(-30.0), Move(30.0)]],
    starts=(0,),
    separates=("reward clipped", "values squashed", "reward lost"),
)
# The noise stays where Huber's loss is a square, and its mean therefore what is learned.
NOISY_REWARD: Final = _world(
    "noisy-reward",
    "loss or reward: what a value is the mean of",
    [[Move(1.9, noise=1.0)]],
    starts=(0,),
    separates=("highest reward", "reward truncated"),
)
TIME_LIMIT: Final = _world(
    "time-limit",
    "truncation taken for termination",
    [[Move(2.0, to=1)], [Move(2.0, to=2)], [Move(2.0, to=0, cut=True)]],
    starts=(0,),
    separates=("time limit terminates", "bootstrap lost"),
)
# Two episodes of two steps that differ in their kind of end only, and start far apart.
TWO_ENDS: Final = _world(
    "two-ends",
    "termination against truncation, and the final observation",
    [[Move(-4.0, to=1)], [Move(-4.0)], [Move(2.0, to=3)], [Move(2.0, to=2, cut=True)]],
    starts=(0, 2),
    separates=("time limit terminates", "terminal ignored", "final observation lost"),
)
# As above, but what follows is worth no more than one reward: a discount near one takes no longer.
CUT_SHORT: Final = _world(
    "cut-short",
    "termination against truncation, and the final observation",
    [[Move(0.0, to=2, cut=True)], [Move(0.0)], [Move(3.0)]],
    starts=(2, 0, 1),
    separates=("time limit terminates", "terminal ignored", "final observation lost"),
)
# One step each, for rewards of many sizes.
REWARD_SIZES: Final = _world(
    "reward-sizes",
    "what becomes of a reward before it is learned from",
    [[Move(reward)] for reward in (-3.0, -0.5, 0.25, 1.5, 6.0)],
    starts=(0, 1, 2, 3, 4),
    separates=("reward clipped", "reward lost"),
)
# Every value is zero, and every error as large as the noise of its state.
ERROR_SIZES: Final = _world(
    "error-sizes",
    "which rows are drawn more often",
    [[Move(0.0, noise=size)] for size in (0.25, 0.5, 1.0)],
    starts=(0, 1, 2),
    separates=("highest reward",),
)
# A square that crosses the screen one way or the other; rewards keep each way at one value.
VELOCITY: Final = _world(
    "velocity",
    "order of the frames in a stack",
    [
        *([Move(1.0, to=state)] for state in (1, 2, 3)), [Move(2.0)],
        *([Move(-1.0, to=state)] for state in (5, 6, 7)), [Move(-2.0)],
    ],
    starts=(0, 4),
    pictures=(0, 1, 2, 3, 3, 2, 1, 0),
    separates=("frames reversed", "newest frame only"),
)  # fmt: skip
# One of two things is seen, then nothing for as long as a stack remembers it.
FLICKER: Final = _world(
    "flicker",
    "memory of the stack",
    [
        *([Move(1.0, to=state)] for state in (1, 2, 3)), [Move(2.0)],
        *([Move(-1.0, to=state)] for state in (5, 6, 7)), [Move(-2.0)],
    ],
    starts=(0, 4),
    pictures=(0, BLANK, BLANK, BLANK, 3, BLANK, BLANK, BLANK),
    separates=("newest frame only",),
)  # fmt: skip

# A later world means little while an earlier one is red.
WORLDS: Final = (
    CONSTANT_REWARD,
    REWARD_BY_OBS,
    TWO_STEP,
    REWARD_BY_ACTION,
    REWARD_BY_OBS_AND_ACTION,
    BRANCHING,
    DELAYED_REWARD,
    WIDE_VALUES,
    NOISY_REWARD,
    TIME_LIMIT,
    TWO_ENDS,
    VELOCITY,
    FLICKER,
)
