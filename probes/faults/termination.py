"""Faults of termination and truncation."""

from __future__ import annotations

from typing import Final

from dqn_core.replay import Array, Replay
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subjects.core import Parts


class TimeLimitTerminates(Replay):
    """A time limit is stored as an end of the task."""

    def append(
        self, action: Array, reward: Array, terminated: Array, truncated: Array, next_obs: Array
    ) -> None:
        super().append(action, reward, terminated | truncated, truncated, next_obs)


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
)
