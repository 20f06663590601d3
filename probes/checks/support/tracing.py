"""A run traced step by step: where every action was taken, and what the Q-values were just then.

States follow each other at random, whatever is done, and there are few enough to ask for all their
Q-values before every step. So one trace shows which actions were greedy, when the values changed,
and what the environments drew, of any implementation at all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, Final, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt

from probes.checks.support.testbed import Testbed
from probes.subject import Array, Env

# The corners of a cube: 16 states, as observations [16, 4] float32.
OBSERVATIONS: Final = np.array(list(product((-1.0, 1.0), repeat=4)), np.float32)
NEVER: Final = 1_000_000
# Values closer than this share of their range are equal: batches of other sizes round otherwise.
TIE: Final = 1e-5


class Step(NamedTuple):
    """A step: its environment by number, the state it was taken in, and the version of the values.

    Versions of the Q-values are counted as they are seen to change.
    """

    env: int
    state: int
    action: int
    version: int


class Wandering(gymnasium.Env[Array, int]):
    """Draws the next state from its own generator; pays 1 for action `state % A`, else -1.

    Args:
        num_actions: A.
        episode_steps: length of an episode; its end terminates.
        notice: called with state and action before each step.
    """

    def __init__(
        self, num_actions: int, episode_steps: int, notice: Callable[[int, int], None]
    ) -> None:
        self.observation_space = gymnasium.spaces.Box(-1, 1, OBSERVATIONS[0].shape, np.float32)
        self.action_space = gymnasium.spaces.Discrete(num_actions)  # type: ignore[assignment]  # np.int64 against int
        self._num_actions = num_actions
        self._episode_steps = episode_steps
        self._notice = notice
        self._state = 0
        self._length = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Starts an episode in any state."""
        super().reset(seed=seed, options=options)
        self._length = 0
        return self._draw(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Goes to any state; never truncates."""
        self._notice(self._state, action)
        reward = 1.0 if action == self._state % self._num_actions else -1.0
        self._length += 1
        return self._draw(), reward, self._length == self._episode_steps, False, {}

    def _draw(self) -> Array:
        self._state = int(self.np_random.random() * len(OBSERVATIONS))
        obs: Array = OBSERVATIONS[self._state].copy()
        return obs


class StepTrace:
    """A subject that wanders, and all it was seen to do.

    Args:
        testbed: of the subject.
        num_actions: A.
        episode_steps: length of every episode.
        settings: fields of `Settings`.

    Attributes:
        trial: the subject and its environments.
        steps: all steps, in order.
        versions: the Q-values [16, A] float64 as they were first, and after each change.
    """

    def __init__(
        self, testbed: Testbed, *, num_actions: int = 4, episode_steps: int = NEVER, **settings: Any
    ) -> None:
        self.steps: list[Step] = []
        self.versions: list[npt.NDArray[np.float64]] = []
        self._seen: list[int] = []

        def make_env(number: int) -> Env:
            return Wandering(num_actions, episode_steps, partial(self._notice, number))

        self.trial = testbed.trial(make_env, **settings)

    @property
    def changes(self) -> list[int]:
        """How many steps had been taken at each change of the values."""
        return self._seen[1:]

    def by_env(self) -> list[list[Step]]:
        """The steps of each environment that was played."""
        played = sorted({step.env for step in self.steps})
        return [[step for step in self.steps if step.env == env] for env in played]

    def is_greedy(self, step: Step) -> bool:
        """Whether its action was the best under the values of then, or one change before.

        Acting may go on with the values from before an update that is being made.
        """
        recent = self.versions[max(0, step.version - 1) : step.version + 1]
        return any(
            table[step.state].max() - table[step.state, step.action] <= TIE * np.ptp(table)
            for table in recent
        )

    def is_first_choice(self, step: Step) -> bool:
        """Whether its action was the first of the best: one of A actions, even among equals."""
        return int(self.versions[step.version][step.state].argmax()) == step.action

    def _notice(self, env: int, state: int, action: int) -> None:
        table = self.trial.q_table(OBSERVATIONS)
        if not self.versions or not np.array_equal(table, self.versions[-1]):
            self.versions.append(table)
            self._seen.append(len(self.steps))
        self.steps.append(Step(env, state, action, len(self.versions) - 1))
