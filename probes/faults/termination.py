"""Faults of termination and truncation."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dqn_core.agent import Agent
from dqn_core.envs.envs import Tick
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.replay import Array, Batch, Replay
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subjects.core import Parts


class TimeLimitTerminates(Replay):
    """A time limit is stored as an end of the task."""

    def append(
        self, action: Array, reward: Array, terminated: Array, truncated: Array, next_obs: Array
    ) -> None:
        super().append(action, reward, terminated | truncated, truncated, next_obs)


class PlaysOnAfterALimit(GymnasiumEnvs):
    """Only an end of the task is followed by a reset: beyond a time limit the episode goes on."""

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        tick = super().step(action)
        self._cut = tick.truncated
        return tick

    def begin(self, ended: npt.NDArray[np.bool_]) -> Array:
        return super().begin(ended & ~self._cut)


class MaskMultiplies(Agent):
    """The mask multiplies the next value: zero times infinity is not a number."""

    def td_target(self, batch: Batch) -> Tensor:
        next_value = self.target_net.infer(batch.next_obs).amax(dim=1)
        if self.recipe.td.double:
            best = self.online_net.infer(batch.next_obs).argmax(dim=1, keepdim=True)
            next_value = self.target_net.infer(batch.next_obs).gather(1, best).squeeze(1)
        going_on = 1.0 - batch.terminated.float()
        return batch.reward + self.recipe.td.gamma * going_on * next_value


FAULTS: Final = (
    Fault(
        name="time-limit-terminates",
        seen=(
            "https://github.com/keras-rl/keras-rl/issues/298",
            "https://github.com/Curt-Park/rainbow-is-all-you-need/issues/70",
            "https://github.com/google/dopamine/commit/c443e88",
        ),
        component=Component.TERMINATION,
        what="A time limit is stored as an end of the task.",
        parts=Parts(replay=TimeLimitTerminates),
        caught_by=("world.time-limit.vector", "world.two-ends.vector"),
    ),
    Fault(
        name="plays-on-after-a-limit",
        seen=("https://github.com/seungeunrho/RLfrombasics/issues/13",),
        component=Component.TERMINATION,
        what="Only an end of the task is followed by a reset.",
        parts=Parts(envs=PlaysOnAfterALimit),
        caught_by=("termination.resets-after-every-end",),
    ),
    Fault(
        name="mask-multiplies",
        seen=(),
        component=Component.TERMINATION,
        what="The mask multiplies the next value: zero times infinity is not a number.",
        parts=Parts(agent=MaskMultiplies),
        caught_by=("loss.ignores-infinite-values-after-an-end",),
    ),
)
