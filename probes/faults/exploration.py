"""Faults of exploration: of the choice between random and greedy, and of its schedule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import torch

from dqn_core import schedules
from dqn_core.acting import Actor, VectorTransition
from dqn_core.agent import Agent
from dqn_core.envs.envs import Tick
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.loop import Trainer
from dqn_core.streams import Stream
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array
from probes.subjects.core import Parts

Chances = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]


class GreedyAlways(Actor):
    """No action is ever random, not even while warming up."""

    def play(
        self, agent: Agent, epsilon: Chances, *, truncate_last: bool
    ) -> list[VectorTransition]:
        return super().play(agent, np.zeros_like(epsilon), truncate_last=truncate_last)


class RandomAlways(Actor):
    """Every action is random, whatever epsilon is."""

    def play(
        self, agent: Agent, epsilon: Chances, *, truncate_last: bool
    ) -> list[VectorTransition]:
        return super().play(agent, np.ones_like(epsilon), truncate_last=truncate_last)


class CoinInverted(Actor):
    """The comparison with epsilon is the wrong way round: random actions become more, not fewer."""

    def play(
        self, agent: Agent, epsilon: Chances, *, truncate_last: bool
    ) -> list[VectorTransition]:
        return super().play(agent, 1.0 - epsilon, truncate_last=truncate_last)


class SmallestValue(Actor):
    """The greedy action is the one of the smallest Q-value: a sign, or an argmin."""

    def play(
        self, agent: Agent, epsilon: Chances, *, truncate_last: bool
    ) -> list[VectorTransition]:
        return super().play(
            _acting_by(lambda obs: -agent.q_values(obs)), epsilon, truncate_last=truncate_last
        )


class TargetNetworkActs(Actor):
    """The greedy action is the target network's."""

    def play(
        self, agent: Agent, epsilon: Chances, *, truncate_last: bool
    ) -> list[VectorTransition]:

        def q_values(obs: Array) -> Array:
            values: Array = agent.target_net.infer(torch.from_numpy(obs)).numpy()
            return values

        return super().play(_acting_by(q_values), epsilon, truncate_last=truncate_last)


class ObservationBefore(Actor):
    """The greedy action is chosen at the observation before the present one."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._before = self._stack.obs.copy()

    def play(
        self, agent: Agent, epsilon: Chances, *, truncate_last: bool
    ) -> list[VectorTransition]:

        def q_values(obs: Array) -> Array:
            late, self._before = self._before, obs.copy()
            return agent.q_values(late)

        return super().play(_acting_by(q_values), epsilon, truncate_last=truncate_last)


class LastActionNeverTried(Actor):
    """The bound of the random action is off by one: the last action is never drawn."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        fewer = (self.envs.num_actions - 1) / self.envs.num_actions
        self._stream = _altered(self._stream, lambda draws: draws * [[1.0], [fewer]])


class SharedCoin(Actor):
    """All environments explore at the same ticks: one coin is thrown for them together."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)

        def of_the_first(draws: Array) -> Array:
            draws[:, 0] = draws[:, 0, :1]
            return draws

        self._stream = _altered(self._stream, of_the_first)


class SharedRandomAction(Actor):
    """All environments that explore take the same action."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)

        def of_the_first(draws: Array) -> Array:
            draws[:, 1] = draws[:, 1, :1]
            return draws

        self._stream = _altered(self._stream, of_the_first)


class ScheduleOfEpisode(Actor):
    """The step that the schedule is asked about is counted anew in each episode."""

    def play(
        self, agent: Agent, epsilon: Chances, *, truncate_last: bool
    ) -> list[VectorTransition]:
        steps = self._length + np.arange(len(epsilon))[:, None]
        restarted = schedules.epsilon(steps.ravel(), agent.recipe.exploration, 0)
        return super().play(agent, restarted.reshape(epsilon.shape), truncate_last=truncate_last)


class GreedyWhileWarmingUp(Trainer):
    """Epsilon is applied only after the warm-up; until then it is zero."""

    def epsilon(self, steps: Steps) -> Chances:
        warm = steps >= self.recipe.replay.warmup_steps
        return super().epsilon(steps) * warm


class EpsilonPinned(Trainer):
    """A slip of precedence, or steps taken for progress from 0 to 1: at once at its minimum."""

    def epsilon(self, steps: Steps) -> Chances:
        over = self.recipe.replay.warmup_steps + self.recipe.exploration.decay_steps
        warm = steps >= self.recipe.replay.warmup_steps
        return super().epsilon(np.where(warm, over, steps))


class EpsilonNeverDecays(Trainer):
    """The schedule is given progress from 0 to 1 where it expects steps."""

    def epsilon(self, steps: Steps) -> Chances:
        return super().epsilon(np.minimum(steps, self.recipe.replay.warmup_steps + 1))


class EpsilonByTicks(Trainer):
    """The schedule counts ticks of all environments instead of steps."""

    def epsilon(self, steps: Steps) -> Chances:
        return super().epsilon(steps // self.recipe.loop.num_envs)


def _acting_by(q_values: Callable[[Array], Array]) -> Agent:
    """What an actor needs of an agent."""
    return cast("Agent", SimpleNamespace(q_values=q_values))


def _altered(stream: Stream, alter: Callable[[Array], Array]) -> Stream:
    """What an actor needs of a stream: draws [T, 2, N] of coins and actions, altered."""
    return cast("Stream", SimpleNamespace(uniform=lambda *shape: alter(stream.uniform(*shape))))


class WarmUpFollowsEpsilon(Trainer):
    """While it warms up it explores by epsilon, and not at random: at zero, not at all."""

    def epsilon(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return super().epsilon(steps + self.recipe.replay.warmup_steps)


class OneActionTooMany(GymnasiumEnvs):
    """The last action is taken for one that the environment does not have."""

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        return super().step(action + (action == self.num_actions - 1))


_fault: Final = partial(Fault, component=Component.EXPLORATION)
_RANDOM: Final = (
    "exploration.random-while-warming-up",
    "exploration.uniform-when-epsilon-is-one",
)
_GREEDY: Final = "exploration.greedy-when-epsilon-is-zero"
_SCHEDULE: Final = (
    "exploration.follows-the-schedule.1-env",
    "exploration.follows-the-schedule.3-envs",
)

FAULTS: Final = (
    _fault(
        name="greedy-always",
        seen=(),
        what="No action is ever random, not even while warming up.",
        parts=Parts(actor=GreedyAlways),
        caught_by=(*_RANDOM, *_SCHEDULE),
    ),
    _fault(
        name="random-always",
        seen=(),
        what="Every action is random, whatever epsilon is.",
        parts=Parts(actor=RandomAlways),
        caught_by=(_GREEDY, *_SCHEDULE),
    ),
    _fault(
        name="coin-inverted",
        seen=(),
        what="The comparison with epsilon is the wrong way round.",
        parts=Parts(actor=CoinInverted),
        caught_by=(_GREEDY, *_RANDOM, *_SCHEDULE),
    ),
    _fault(
        name="smallest-value",
        seen=(),
        what="The greedy action is the one of the smallest Q-value.",
        parts=Parts(actor=SmallestValue),
        caught_by=(_GREEDY, *_SCHEDULE),
    ),
    _fault(
        name="target-network-acts",
        seen=(),
        what="The greedy action is the target network's.",
        parts=Parts(actor=TargetNetworkActs),
        caught_by=(_GREEDY,),
    ),
    _fault(
        name="observation-before",
        seen=(),
        what="The greedy action is chosen at the observation before the present one.",
        parts=Parts(actor=ObservationBefore),
        caught_by=(_GREEDY,),
    ),
    _fault(
        name="last-action-never-tried",
        seen=("https://github.com/dennybritz/reinforcement-learning/issues/30",),
        what="The last action is never drawn at random.",
        parts=Parts(actor=LastActionNeverTried),
        caught_by=_RANDOM,
    ),
    _fault(
        name="shared-coin",
        seen=(),
        what="All environments explore at the same ticks.",
        parts=Parts(actor=SharedCoin),
        caught_by=("exploration.coin-for-each-environment",),
    ),
    _fault(
        name="shared-random-action",
        seen=(),
        what="All environments that explore take the same action.",
        parts=Parts(actor=SharedRandomAction),
        caught_by=("exploration.random-action-for-each-environment",),
    ),
    _fault(
        name="schedule-of-episode",
        seen=("https://github.com/google-deepmind/rlax/issues/102",),
        what="The step that epsilon depends on is counted anew in each episode.",
        parts=Parts(actor=ScheduleOfEpisode),
        caught_by=_SCHEDULE,
    ),
    _fault(
        name="greedy-while-warming-up",
        seen=(),
        what="Epsilon is zero until the warm-up is over.",
        parts=Parts(trainer=GreedyWhileWarmingUp),
        caught_by=("exploration.random-while-warming-up",),
    ),
    _fault(
        name="epsilon-pinned",
        seen=(
            "https://github.com/Lightning-AI/pytorch-lightning/issues/9620",
            "https://github.com/DLR-RM/stable-baselines3/commit/fd5153b9",
        ),
        what="Epsilon is at its minimum as soon as the warm-up is over.",
        parts=Parts(trainer=EpsilonPinned),
        caught_by=("exploration.epsilon-as-set", *_SCHEDULE),
    ),
    _fault(
        name="epsilon-never-decays",
        seen=("https://github.com/DLR-RM/stable-baselines3/commit/fd5153b9",),
        what="The schedule is given progress from 0 to 1 where it expects steps.",
        parts=Parts(trainer=EpsilonNeverDecays),
        caught_by=("exploration.epsilon-as-set", *_SCHEDULE),
    ),
    _fault(
        name="epsilon-by-ticks",
        seen=("https://github.com/DLR-RM/stable-baselines3/commit/fd5153b9",),
        what="The schedule counts ticks of all environments instead of steps.",
        parts=Parts(trainer=EpsilonByTicks),
        caught_by=("exploration.follows-the-schedule.3-envs",),
    ),
    _fault(
        name="warm-up-follows-epsilon",
        seen=(),
        what="While it warms up it explores by epsilon, and not at random.",
        parts=Parts(trainer=WarmUpFollowsEpsilon),
        caught_by=("exploration.random-while-warming-up-at-epsilon-zero",),
    ),
    _fault(
        name="one-action-too-many",
        seen=(),
        what="An action is taken that the environment does not have.",
        parts=Parts(envs=OneActionTooMany),
        caught_by=("exploration.actions-in-the-space",),
    ),
)
