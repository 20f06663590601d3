"""Acting: N environments, a stack of frames for each, and epsilon-greedy choices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dqn_core.agent import Agent
from dqn_core.envs.envs import Envs
from dqn_core.streams import Stream

Array = npt.NDArray[Any]


class FrameStack:
    """The observations that N environments are acted upon, newest frame last.

    The first frame of an episode is repeated until the stack is full. Vectors are not stacked.

    Attributes:
        obs: [N, stack, height, width] uint8, or [N, D] float32.
    """

    def __init__(self, envs: Envs, frame_stack: int) -> None:
        stacked = (frame_stack,) if len(envs.row_shape) > 1 else ()
        self.obs: Array = np.zeros((envs.num_envs, *stacked, *envs.row_shape), envs.dtype)

    def start(self, envs: npt.NDArray[np.int64], row: Array) -> None:
        """Fills the stacks of environments [M] with the first rows [M, ...] of their episodes."""
        self.obs[envs] = row[:, None] if row.ndim < self.obs.ndim else row

    def push(self, row: Array) -> None:
        """Adds the newest rows [N, ...]."""
        if row.ndim == self.obs.ndim:
            self.obs[:] = row
        else:
            self.obs[:, :-1] = self.obs[:, 1:]
            self.obs[:, -1] = row


class VectorTransition(NamedTuple):
    """One tick of N environments, as the replay memory takes it.

    Attributes:
        starting: [M] int64, environments in which an episode begins with this tick.
        first_obs: [M, *row_shape], their first observations.
        action: [N] int64.
        reward: [N] float64, raw.
        terminated: [N] bool.
        truncated: [N] bool.
        next_obs: [N, *row_shape].
    """

    starting: npt.NDArray[np.int64]
    first_obs: Array
    action: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    next_obs: Array


class FinishedEpisode(NamedTuple):
    """A finished episode: its environment, undiscounted raw return, and length in steps."""

    env: int
    episode_return: float
    length: int


class Actor:
    """Plays N environments epsilon-greedily; resets them on construction.

    Args:
        envs: the environments.
        frame_stack: frames in an observation; 1 for vectors.
        stream: two uniform numbers are drawn for each step, whether used or not: whether to
            explore, and the random action.
    """

    make_stack = FrameStack  # so that a planted fault can take its place

    def __init__(self, envs: Envs, frame_stack: int, stream: Stream) -> None:
        self.envs = envs
        self._finished: list[FinishedEpisode] = []
        self._stream = stream
        self._stack = self.make_stack(envs, frame_stack)
        self._row = envs.reset()
        self._stack.start(np.arange(envs.num_envs), self._row)
        self._starting = np.arange(envs.num_envs)  # where the next tick begins an episode
        self._return = np.zeros(envs.num_envs)
        self._length = np.zeros(envs.num_envs, np.int64)

    def play(
        self, agent: Agent, epsilon: npt.NDArray[np.float64], *, truncate_last: bool
    ) -> list[VectorTransition]:
        """Takes some steps in every environment.

        Args:
            agent: whose Q-values are followed; they are not changed.
            epsilon: [T, N] float64, probability of a random action for each step.
            truncate_last: truncate all episodes with the last tick.

        Returns:
            T ticks.
        """
        draws = self._stream.uniform(len(epsilon), 2, self.envs.num_envs)
        explore: Array = draws[:, 0] < epsilon
        random = (draws[:, 1] * self.envs.num_actions).astype(np.int64)
        last = len(epsilon) - 1
        ticks = []
        for tick in range(len(epsilon)):
            action = random[tick]
            if not explore[tick].all():
                # numpy's argmax takes the first of equal values, on every device.
                greedy = agent.q_values(self._stack.obs).argmax(axis=1)
                action = np.where(explore[tick], action, greedy)
            ticks.append(self._tick(action, truncate_last=truncate_last and tick == last))
        return ticks

    def take_finished(self) -> list[FinishedEpisode]:
        """The episodes that ended since this was last asked, in order."""
        finished, self._finished = self._finished, []
        return finished

    def _tick(self, action: npt.NDArray[np.int64], *, truncate_last: bool) -> VectorTransition:
        starting, first_obs = self._starting, self._row[self._starting]
        forced = self.envs.forced_action()
        if forced is not None:
            action = np.where(forced >= 0, forced, action)
        tick = self.envs.step(action)
        truncated = ~tick.terminated if truncate_last else tick.truncated
        self._return += tick.reward
        self._length += 1
        self._row = tick.next_obs
        self._starting = (tick.terminated | truncated).nonzero()[0]
        if len(self._starting):
            self._report(tick.reported)
            if not truncate_last:
                self._row = self.envs.begin(tick.terminated | truncated)
        self._stack.push(self._row)
        if len(self._starting):
            self._stack.start(self._starting, self._row[self._starting])
        return VectorTransition(
            starting, first_obs, action, tick.reward, tick.terminated, truncated, tick.next_obs
        )

    def _report(self, reported: npt.NDArray[np.bool_]) -> None:
        for env in np.flatnonzero(reported):
            episode_return, length = float(self._return[env]), int(self._length[env])
            self._finished.append(FinishedEpisode(int(env), episode_return, length))
            self._return[env] = 0.0
            self._length[env] = 0
