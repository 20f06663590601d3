"""Environments in lockstep: the one interface that the loop knows.

`step` never hides an episode's end: it returns the observation that the action led to, and the
caller then asks for the first observations of the next episodes with `begin`. So there are no
bogus transitions from an autoreset, and no bootstrap from another episode's observation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from dqn_core.recipes.schema import Recipe
from dqn_core.streams import Stream

Array = npt.NDArray[Any]

# Exclusive bound of the integers that seed environments.
MAX_ENV_SEED: Final = 2**31 - 1
# Replay keeps an action in a byte; a larger one would wrap without a word.
MAX_ACTIONS: Final = 256


class Tick(NamedTuple):
    """What one step of all N environments returned.

    Attributes:
        next_obs: [N, *row_shape], what the actions led to.
        reward: [N] float64, raw.
        terminated: [N] bool, the episode was ended by the task.
        truncated: [N] bool, the episode was ended by a limit.
        reported: [N] bool, an end that reports count: every one but a lost life.
    """

    next_obs: Array
    reward: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    reported: npt.NDArray[np.bool_]


class Envs(Protocol):
    """N environments that step together."""

    num_envs: int
    num_actions: int
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def reset(self) -> Array:
        """Starts an episode everywhere; [N, *row_shape], the first observations."""

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        """Takes one action, [N] int64, in every environment."""

    def begin(self, ended: npt.NDArray[np.bool_]) -> Array:
        """Starts the next episode where the last one `ended` ([N] bool).

        Returns:
            [N, *row_shape], what every environment shows now.
        """

    def forced_action(self) -> npt.NDArray[np.int64] | None:
        """[N] int64: the action that must be taken next, or -1 where the agent may choose.

        None where it may choose everywhere.
        """

    def close(self) -> None:
        """Frees the emulators."""


EnvMaker = Callable[[Recipe, int, Stream], Envs]
