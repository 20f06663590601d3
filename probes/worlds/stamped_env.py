"""The counter world: every observation says where it was shown, so every stored one can be traced.

An observation carries a *stamp*: the number of its environment, of the episode, and of the step
within it. A ledger notes what was shown and what was done there. Whatever an implementation stores,
samples or reports about these environments can then be held against what really happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import gymnasium
import numpy as np

from probes.subject import Array
from probes.worlds.env import FRAME_SIDE, View
from probes.worlds.world import STACK

NUM_ACTIONS: Final = 5
# Lengths of successive episodes, shorter and longer than a stack of frames. There is an odd number
# of them and every other episode is truncated, so each length occurs with both kinds of end.
LENGTHS: Final = (5, 1, 7, 2, 3)
# Stamps are scaled to be small, by powers of two to be exact.
SCALE: Final = np.array([1 / 8, 1 / 64, 1 / 16], np.float32)


class Stamp(NamedTuple):
    """Where an observation was shown: environment, episode, and steps since its start."""

    env: int
    episode: int
    age: int

    def __str__(self) -> str:
        return f"environment {self.env}, episode {self.episode}, step {self.age}"

    @property
    def following(self) -> Stamp:
        """Of the next observation of the episode."""
        return self._replace(age=self.age + 1)

    @property
    def length(self) -> int:
        """Steps of the whole episode."""
        return LENGTHS[(self.episode + 2 * self.env) % len(LENGTHS)]

    @property
    def truncates(self) -> bool:
        """Whether a limit ends the episode; else the task does."""
        return (self.episode + self.env) % 2 == 1


class Taken(NamedTuple):
    """A step as the environment saw it."""

    action: int
    reward: float
    terminated: bool
    truncated: bool


Reward = Callable[[Stamp], float]


def distinct_reward(stamp: Stamp) -> float:
    """A reward unlike that of any step near by, which any number format can hold: 0 to 100."""
    return float((37 * stamp.env + 11 * stamp.episode + 5 * stamp.age) % 101)


class Ledger:
    """What happened in a family of counter environments.

    Attributes:
        shown: observations by stamp, final ones included.
        taken: steps by stamp of the observation they were taken at, in order.
    """

    def __init__(self) -> None:
        self.shown: dict[Stamp, Array] = {}
        self.taken: dict[Stamp, Taken] = {}

    def returns(self, env: int, since: int) -> list[float]:
        """Undiscounted returns of the whole episodes of an environment, in order.

        Args:
            env: number of the environment.
            since: number of the first episode that counts.
        """
        totals: dict[int, float] = {}
        ended = set()
        for stamp, step in self.taken.items():
            if stamp.env == env and stamp.episode >= since:
                totals[stamp.episode] = totals.get(stamp.episode, 0.0) + step.reward
                if step.terminated or step.truncated:
                    ended.add(stamp.episode)
        return [total for episode, total in totals.items() if episode in ended]


class StampedEnv(gymnasium.Env[Array, int]):
    """One environment of the counter world.

    Args:
        number: of the environment, below 256.
        view: "vector": [4] float32, the scaled stamp and a value that needs all 24 bits; "frames":
            [4, 84, 84] uint8, each frame with its stamp in the first three rows and every value of
            a pixel below, the first frame repeated where the episode is younger than a stack.
        ledger: where everything is noted.
        reward: of the step taken at a stamp.
        reuses_array: whether all observations are shown in one and the same array.
    """

    def __init__(
        self,
        number: int,
        view: View,
        ledger: Ledger,
        reward: Reward = distinct_reward,
        *,
        reuses_array: bool = False,
    ) -> None:
        self.view = view
        self.ledger = ledger
        self.reward = reward
        self._reuses_array = reuses_array
        self._array: Array | None = None
        # Below every episode: the first one is number 0.
        self._stamp = Stamp(number, -1, 0)
        frames = gymnasium.spaces.Box(0, 255, (STACK, FRAME_SIDE, FRAME_SIDE), np.uint8)
        vectors = gymnasium.spaces.Box(-16.0, 16.0, (4,), np.float32)
        self.observation_space = frames if view == "frames" else vectors
        self.action_space = gymnasium.spaces.Discrete(NUM_ACTIONS)  # type: ignore[assignment]  # np.int64 against int

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begins the next episode, whatever became of the last one."""
        super().reset(seed=seed, options=options)
        self._stamp = Stamp(self._stamp.env, self._stamp.episode + 1, 0)
        return self._show(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Goes one step on; the action changes nothing."""
        here = self._stamp
        self._stamp = here.following
        ends = self._stamp.age == here.length
        terminated, truncated = ends and not here.truncates, ends and here.truncates
        taken = Taken(action, self.reward(here), terminated, truncated)
        self.ledger.taken[here] = taken
        return self._show(), taken.reward, terminated, truncated, {}

    def _show(self) -> Array:
        obs = draw_vector(self._stamp) if self.view == "vector" else draw_stack(self._stamp)
        self.ledger.shown[self._stamp] = obs
        if not self._reuses_array:
            return obs.copy()
        self._array = obs.copy() if self._array is None else self._array
        self._array[...] = obs
        return self._array


def draw_vector(stamp: Stamp) -> Array:
    """The observation [4] float32 of a stamp."""
    hard_to_keep = np.sin(1.0 + 37 * stamp.env + 11 * stamp.episode + stamp.age)
    return np.array([*(stamp * SCALE), hard_to_keep], np.float32)


def draw_stack(stamp: Stamp) -> Array:
    """The observation [4, 84, 84] uint8 of a stamp."""
    ages = [max(0, stamp.age - lag) for lag in range(STACK - 1, -1, -1)]
    return np.stack([_frame(stamp._replace(age=age)) for age in ages])


def _frame(stamp: Stamp) -> Array:
    shift = 37 * stamp.env + 11 * stamp.episode + 5 * stamp.age
    pixels = np.arange(shift, shift + FRAME_SIDE**2).reshape(FRAME_SIDE, FRAME_SIDE)
    frame = pixels.astype(np.uint8)
    frame[:3] = np.array(stamp)[:, None]
    return frame


def read_stamps(obs: Array) -> list[Stamp]:
    """Stamps of observations [B, *obs_shape]; of a stack, that of its newest frame.

    Rounded, so that what lost some precision is still recognised; what is not an observation of
    the counter world gets a stamp at which nothing was shown.
    """
    values = obs[:, -1, :3, 0] if obs.ndim > 2 else obs[:, :3] / SCALE
    rounded = np.nan_to_num(np.rint(values.astype(np.float64)), nan=-9, posinf=-9, neginf=-9)
    return [Stamp(*map(int, row)) for row in rounded.tolist()]
