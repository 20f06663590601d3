"""Faults of cadence: of when updates are made, and how many."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final, cast

from torch import Tensor

from dqn_core.acting import VectorTransition
from dqn_core.agent import Agent
from dqn_core.envs.envs import Tick
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.loop import Trainer
from dqn_core.replay import Batch
from dqn_core.streams import Stream
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array, EnvMaker, Settings
from probes.subjects.core import CoreSubject, Parts

EARLY: Final = 0  # steps in the replay memory before the warm-up is over
LATE: Final = 1_000_000  # and after


class WarmupCountedByUpdates(Trainer):
    """The counter that the warm-up waits for is counted up by updates: it stays at zero."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        del steps_in_replay
        return super()._learn(sampling, self.agent.updates)


class WarmupIgnored(Trainer):
    """Updates begin with the first transitions."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        del steps_in_replay
        return super()._learn(sampling, LATE)


class HalfAsOften(Trainer):
    """Every other update is left out."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        odd = self.step // self.recipe.loop.block_steps % 2
        return super()._learn(sampling, EARLY if odd else steps_in_replay)


class PeriodInTicks(Trainer):
    """The training period is counted in ticks of all environments instead of steps."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        loop = self.recipe.loop
        off = self.step // loop.block_steps % loop.num_envs
        return super()._learn(sampling, EARLY if off else steps_in_replay)


class UpdatesAtEnds(Trainer):
    """Updates are made only after steps that end an episode."""

    _ended = False

    def _append(self, ticks: list[VectorTransition]) -> None:
        super()._append(ticks)
        self._ended = any((tick.terminated | tick.truncated).any() for tick in ticks)

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        return super()._learn(sampling, steps_in_replay if self._ended else EARLY)


class WarmupOfCall(Trainer):
    """The warm-up is counted from the start of each call, so short calls train nothing."""

    call_began = 0

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        return super()._learn(sampling, steps_in_replay - self.call_began)


class CountingCalls(CoreSubject):
    """Notifies a `WarmupOfCall` when a call begins."""

    def train(self, steps: int) -> None:
        cast("WarmupOfCall", self.trainer).call_began = self.trainer.step
        super().train(steps)


class UpdatesTwice(Agent):
    """Each update is made twice: by the loop, and once more by the agent."""

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        super().learn(batches, updates)
        return super().learn(batches, updates)


class StepsTheFirstAlone(GymnasiumEnvs):
    """The first environment is stepped; the others show what they showed, and pay nothing."""

    def step(self, action: Array) -> Tick:
        tick = super().step(action[:1])
        for column in tick[1:]:
            column[1:] = 0
        return tick


class TrainsInLongPieces(CoreSubject):
    """A call takes so many rounds of steps as steps were asked for."""

    round_steps: ClassVar = 8

    def __init__(self, make_env: EnvMaker, settings: Settings, parts: Parts) -> None:
        longer = replace(settings, total_steps=self.round_steps * settings.total_steps)
        super().__init__(make_env, longer, parts)

    def train(self, steps: int) -> None:
        super().train(steps * self.round_steps)


_fault: Final = partial(Fault, component=Component.EXPLORATION)
_PERIOD: Final = "cadence.updates-every-period"

FAULTS: Final = (
    _fault(
        name="warmup-counted-by-updates",
        seen=(
            "https://github.com/jsboige/CoursIA/issues/3341",
            "https://github.com/google-deepmind/bsuite/issues/42",
        ),
        what="The counter that the warm-up waits for is only counted up by updates.",
        parts=Parts(trainer=WarmupCountedByUpdates),
        caught_by=(
            "cadence.learns-after-warmup",
            f"{_PERIOD}.1-env",
            f"{_PERIOD}.3-envs",
            "cadence.short-calls-train-too",
            "cadence.one-update-per-period",
        ),
    ),
    _fault(
        name="warmup-ignored",
        seen=(),
        what="Updates begin with the first transitions.",
        parts=Parts(trainer=WarmupIgnored),
        caught_by=("cadence.learns-after-warmup", "cadence.one-update-per-period"),
    ),
    _fault(
        name="half-as-often",
        seen=(),
        what="Every other update is left out.",
        parts=Parts(trainer=HalfAsOften),
        caught_by=(
            f"{_PERIOD}.1-env",
            f"{_PERIOD}.3-envs",
            "cadence.short-calls-train-too",
            "cadence.one-update-per-period",
        ),
    ),
    _fault(
        name="training-period-in-ticks",
        seen=(),
        what="The training period is counted in ticks of all environments instead of steps.",
        parts=Parts(trainer=PeriodInTicks),
        caught_by=(f"{_PERIOD}.3-envs", "cadence.one-update-per-period"),
    ),
    _fault(
        name="updates-at-ends",
        seen=(),
        what="Updates are made only after steps that end an episode.",
        parts=Parts(trainer=UpdatesAtEnds),
        caught_by=(f"{_PERIOD}.1-env", f"{_PERIOD}.3-envs", "cadence.one-update-per-period"),
    ),
    _fault(
        name="warmup-of-call",
        seen=("https://github.com/hill-a/stable-baselines/issues/754",),
        what="The warm-up is counted from the start of each call.",
        parts=Parts(trainer=WarmupOfCall, subject=CountingCalls),
        caught_by=("cadence.short-calls-train-too",),
    ),
    _fault(
        name="updates-twice",
        seen=(),
        what="Each update is made twice.",
        parts=Parts(agent=UpdatesTwice),
        caught_by=("cadence.one-update-per-period",),
    ),
    _fault(
        name="steps-the-first-environment-alone",
        seen=(),
        what="Of several environments the first alone is stepped.",
        parts=Parts(envs=StepsTheFirstAlone),
        caught_by=("cadence.steps-every-environment",),
    ),
    _fault(
        name="steps-counted-in-rounds",
        seen=(),
        what="A call of train takes so many rounds of steps as steps were asked for.",
        parts=Parts(subject=TrainsInLongPieces),
        caught_by=("cadence.takes-the-steps-asked-for",),
    ),
)
