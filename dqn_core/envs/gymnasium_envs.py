"""Gymnasium environments behind the interface of `dqn_core.envs.envs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from dqn_core.envs.envs import MAX_ACTIONS, MAX_ENV_SEED, Array, Envs, Tick
from dqn_core.streams import Stream


class GymnasiumEnvs(Envs):
    """Gymnasium environments, stepped one after the other.

    Args:
        factories: one for each environment; an environment's observation is a vector, or a single
            grey frame of uint8.
        stream: the `env` (or `eval`) stream; one integer is drawn from it to seed each environment.

    Raises:
        ValueError: if the observations are of neither kind, the actions not discrete or too many.
    """

    def __init__(
        self,
        factories: Sequence[Callable[[], gymnasium.Env[Any, Any]]],
        stream: Stream,
    ) -> None:
        self._envs = [factory() for factory in factories]
        self.num_envs = len(self._envs)
        spaces = self._envs[0]
        observed, actions = spaces.observation_space, spaces.action_space
        if not isinstance(actions, gymnasium.spaces.Discrete) or actions.start != 0:
            raise ValueError(f"env: expected discrete actions from 0, got {actions}")
        if not isinstance(observed, gymnasium.spaces.Box):
            raise ValueError(f"env: expected a Box of observations, got {observed}")
        if actions.n > MAX_ACTIONS:
            raise ValueError(f"env: expected at most {MAX_ACTIONS} actions, got {actions.n}")
        self.num_actions = int(actions.n)
        self.row_shape: tuple[int, ...] = observed.shape
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if len(self.row_shape) == 2 else np.float32)
        if len(self.row_shape) not in {1, 2}:
            raise ValueError(f"env: expected a vector or one grey frame, got {observed.shape}")
        self._seeds = stream.integers(MAX_ENV_SEED, self.num_envs)
        self._obs = np.zeros((self.num_envs, *self.row_shape), self.dtype)

    def reset(self) -> Array:
        for index, env in enumerate(self._envs):
            self._obs[index], _ = env.reset(seed=int(self._seeds[index]))
        return self._obs.copy()

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        reward = np.empty(self.num_envs)
        terminated = np.empty(self.num_envs, np.bool_)
        truncated = np.empty(self.num_envs, np.bool_)
        for index, choice in enumerate(action.tolist()):
            self._obs[index], reward[index], ended, limit, _ = self._envs[index].step(choice)
            terminated[index] = ended
            # The task's own end wins: a transition is not both.
            truncated[index] = limit and not ended
        return Tick(self._obs.copy(), reward, terminated, truncated, terminated | truncated)

    def begin(self, ended: npt.NDArray[np.bool_]) -> Array:
        """Starts new episodes; environments go on drawing from the generator of their seed."""
        for index in np.flatnonzero(ended):
            self._obs[index], _ = self._envs[index].reset()
        return self._obs.copy()

    def forced_action(self) -> None:
        """None: the agent may always choose."""

    def close(self) -> None:
        for env in self._envs:
            env.close()
