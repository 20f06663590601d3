"""Faults at the ends of episodes, between the environment and the learner."""

from __future__ import annotations

from typing import Final

import numpy as np

from dqn_core.envs.envs import Tick
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.replay import Batch, Replay
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array
from probes.subjects.core import Parts


class ResetInTheSameStep(GymnasiumEnvs):
    """Environments reset as soon as an episode ends, and show the next one's first observation."""

    def step(self, action: Array) -> Tick:
        tick = super().step(action)
        return tick._replace(next_obs=super().begin(tick.terminated | tick.truncated))

    def begin(self, ended: Array) -> Array:
        """What is shown already."""
        del ended
        return self._obs.copy()


class ResetStoredAsStep(Replay):
    """A reset takes a step of its own, from the last observation to the next episode's first."""

    def start(self, envs: Array, obs: Array) -> None:
        super().start(envs, obs)
        again = envs[self._num_rows[envs] > 1]
        number = self._num_rows[again] - 2
        slot = self._base[again] + number % self.rows
        self._reward[slot] = 0.0
        self._terminated[slot] = False
        self._order[self._base[again] + self._end[again] % self.rows] = number
        self._end[again] += 1


class NextRowOfNextEpisode(Replay):
    """Next observations are read from the next row, though another episode begins there."""

    def gather(self, env: Array, row: Array) -> Batch:
        batch = super().gather(env, row)
        ended = (self._terminated | self._truncated)[batch.slots]
        crossing = np.flatnonzero(ended & (row + 2 < self._num_rows[env]))
        first = self._base[env] + (row + 2) % self.rows
        batch.window[crossing, -1] = self._obs[first[crossing]]
        return batch


class EndsSwapped(Replay):
    """Time limits are stored as ends of the task, and ends of the task as time limits."""

    def append(self, action: Array, reward: Array, *ends_and_next: Array) -> None:
        terminated, truncated, next_obs = ends_and_next
        super().append(action, reward, truncated, terminated, next_obs)


FAULTS: Final = (
    Fault(
        name="reset-in-the-same-step",
        seen=("https://github.com/openai/gym/issues/3177",),
        component=Component.TERMINATION,
        what="Environments reset as soon as an episode ends, and show the next one's "
        "first observation.",
        parts=Parts(envs=ResetInTheSameStep),
        caught_by=(
            "termination.final-observation-kept",
            "termination.bootstraps-from-the-final-observation",
        ),
    ),
    Fault(
        name="reset-stored-as-step",
        seen=(
            "https://github.com/Farama-Foundation/Gymnasium/issues/1103",
            "https://github.com/Farama-Foundation/Gymnasium/issues/785",
            "https://github.com/Farama-Foundation/Gymnasium/pull/1227",
            "https://github.com/vwxyzjn/cleanrl/issues/499",
        ),
        component=Component.TERMINATION,
        what="A reset takes a step of its own, from the last observation to the next "
        "episode's first.",
        parts=Parts(replay=ResetStoredAsStep),
        caught_by=(
            "termination.no-dead-steps",
            "termination.bootstraps-from-the-final-observation",
        ),
    ),
    Fault(
        name="next-row-of-next-episode",
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/issues/934",
            "https://github.com/DLR-RM/stable-baselines3/commit/ef10189d",
            "https://github.com/vwxyzjn/cleanrl/issues/460",
        ),
        component=Component.TERMINATION,
        what="Next observations are read from the next row, though another episode begins there.",
        parts=Parts(replay=NextRowOfNextEpisode),
        caught_by=(
            "termination.final-observation-kept",
            "termination.bootstraps-from-the-final-observation",
        ),
    ),
    Fault(
        name="ends-swapped",
        seen=(
            "https://github.com/keras-rl/keras-rl/issues/298",
            "https://github.com/Curt-Park/rainbow-is-all-you-need/issues/70",
            "https://github.com/google/dopamine/commit/c443e88",
        ),
        component=Component.TERMINATION,
        what="Time limits are stored as ends of the task, and ends of the task as time limits.",
        parts=Parts(replay=EndsSwapped),
        caught_by=("termination.time-limit-is-no-end",),
    ),
)
