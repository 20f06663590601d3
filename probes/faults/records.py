"""Faults of what a run records of itself; nothing of what it does is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dqn_core.acting import Actor, FinishedEpisode, VectorTransition
from dqn_core.agent import Agent
from dqn_core.envs.envs import Tick
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.loop import Trainer
from dqn_core.records import BlockRecord
from dqn_core.replay import Batch
from dqn_core.streams import Stream
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Records
from probes.subjects.core import CoreSubject, Parts

DISCOUNT: Final = 0.99
FRAME_SKIP: Final = 4


class Misrecording(Actor):
    """Plays as the actor does, and records its episodes otherwise."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rewards: list[list[float]] = [[] for _ in range(self.envs.num_envs)]

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        """What is recorded of an episode with these rewards, which a limit cut or not."""
        raise NotImplementedError

    def _tick(self, action: npt.NDArray[np.int64], *, truncate_last: bool) -> VectorTransition:
        before = len(self._finished)
        tick = super()._tick(action, truncate_last=truncate_last)
        for rewards, reward in zip(self._rewards, tick.reward.tolist(), strict=True):
            rewards.append(reward)
        recorded = []
        for episode in self._finished[before:]:
            rewards, self._rewards[episode.env] = self._rewards[episode.env], []
            cut = bool(tick.truncated[episode.env])
            recorded += self.recorded(episode, rewards, truncate_last=cut)
        self._finished[before:] = recorded
        return tick


class TrainingReturnsClipped(Misrecording):
    """Training returns are sums of rewards that were clipped for the learner."""

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        del truncate_last
        return [episode._replace(episode_return=float(np.clip(rewards, -1.0, 1.0).sum()))]


class TrainingReturnsDiscounted(Misrecording):
    """Training returns are discounted sums."""

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        del truncate_last
        return [
            episode._replace(episode_return=float(DISCOUNT ** np.arange(len(rewards)) @ rewards))
        ]


class TruncatedDropped(Misrecording):
    """Training episodes that a time limit cuts are not recorded."""

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        del rewards
        return [] if truncate_last else [episode]


class RecordedTwice(Misrecording):
    """An episode that a time limit cuts is recorded at its end, and once more at the reset."""

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        del rewards
        return [episode, episode] if truncate_last else [episode]


class ReturnsGoOn(Misrecording):
    """Return and length are not set back when a time limit cuts an episode."""

    _carried: FinishedEpisode = FinishedEpisode(0, 0.0, 0)

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        del rewards
        total, length = (
            self._carried.episode_return + episode.episode_return,
            self._carried.length + episode.length,
        )
        summed = FinishedEpisode(episode.env, total, length)
        self._carried = summed if truncate_last else FinishedEpisode(0, 0.0, 0)
        return [summed]


class LengthsInFrames(Misrecording):
    """Lengths of training episodes are in raw frames."""

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        """With its frames for a length."""
        del rewards, truncate_last
        return [episode._replace(length=FRAME_SKIP * episode.length)]


class LastStepLeftOut(Misrecording):
    """The last step of an episode is not counted in its length."""

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        """Shorter by a step."""
        del rewards, truncate_last
        return [episode._replace(length=episode.length - 1)]


class OneSumForAll(Misrecording):
    """One running sum of rewards serves all environments."""

    _sum = 0.0

    def _tick(self, action: npt.NDArray[np.int64], *, truncate_last: bool) -> VectorTransition:
        tick = super()._tick(action, truncate_last=truncate_last)
        self._sum += float(tick.reward.sum())
        return tick

    def recorded(
        self, episode: FinishedEpisode, rewards: Sequence[float], *, truncate_last: bool
    ) -> list[FinishedEpisode]:
        """With the sum of all environments; it is set back."""
        del truncate_last
        summed = episode._replace(episode_return=self._sum + rewards[-1])
        self._sum = -rewards[-1]  # which is still to be added
        return [summed]


class LimitHidden(GymnasiumEnvs):
    """At a time limit the environment is reset and no end reported: episodes go on and on."""

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        tick = super().step(action)
        limited = tick.truncated
        if not limited.any():
            return tick
        return tick._replace(
            next_obs=self.begin(limited),
            truncated=np.zeros_like(limited),
            reported=tick.reported & ~limited,
        )


class LossesSummed(Trainer):
    """The recorded loss is summed over the batch."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        learned = super()._learn(sampling, steps_in_replay)
        return replace(learned, loss=learned.loss * self.recipe.replay.batch_size)


class LossesSmoothed(Trainer):
    """The recorded loss is a running mean."""

    _mean = 0.0

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        learned = super()._learn(sampling, steps_in_replay)
        smoothed = []
        for loss in learned.loss:
            self._mean += 0.1 * (float(loss) - self._mean)
            smoothed.append(self._mean)
        return replace(learned, loss=np.array(smoothed, np.float32))


class ZerosBeforeTheFirst(Trainer):
    """Until the warm-up is over, losses of zero are recorded."""

    def _record(self, *given: Any) -> BlockRecord:
        record = super()._record(*given)
        if len(record.loss):
            return record
        return replace(record, loss=np.zeros(self.recipe.updates_per_block, np.float32))


class OnlyFiniteLosses(Trainer):
    """Losses that are not finite are left out of the record."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        learned = super()._learn(sampling, steps_in_replay)
        return replace(learned, loss=learned.loss[np.isfinite(learned.loss)])


class LossNegated(Trainer):
    """The recorded loss has the sign of an objective."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        learned = super()._learn(sampling, steps_in_replay)
        return replace(learned, loss=-learned.loss)


class ValuesSummed(Trainer):
    """The recorded Q-value is summed over the batch."""

    def _learn(self, sampling: Stream, steps_in_replay: int) -> Any:
        learned = super()._learn(sampling, steps_in_replay)
        return replace(learned, q_mean=learned.q_mean * self.recipe.replay.batch_size)


class TargetsForValues(Agent):
    """The mean of the targets is recorded as that of the Q-values."""

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        errors, predicted = super().learn(batches, updates)
        return errors, predicted + errors


class EpsilonByUpdates(Trainer):
    """The recorded epsilon is that of the number of updates, not of steps."""

    def _record(self, *args: Any) -> BlockRecord:
        record = super()._record(*args)
        return replace(record, epsilon=float(self.epsilon(np.array([record.updates]))[0]))


class StepsInTicks(CoreSubject):
    """Recorded steps are ticks of all environments."""

    def records(self) -> Records:
        steps = self.trainer.step // self.settings.num_envs
        return replace(super().records(), steps=steps)


class RowsForUpdates(CoreSubject):
    """Sampled rows are recorded as updates."""

    def records(self) -> Records:
        rows = self.trainer.agent.updates * self.settings.batch_size
        return replace(super().records(), updates=rows)


def _fault(
    name: str,
    kind: type,
    *caught_by: str,
    part: str,
    seen: tuple[str, ...] = (),
    component: Component = Component.EVALUATION,
) -> Fault:
    """A fault that replaces one part, described by its docstring."""
    return Fault(
        name=name,
        seen=seen,
        component=component,
        what=kind.__doc__ or "",
        parts=Parts(**{part: kind}),
        caught_by=tuple(f"records.{code}" for code in caught_by),
    )


_played: Final = partial(_fault, part="actor")
_learned: Final = partial(_fault, part="trainer")
_counted: Final = partial(_fault, part="subject")

FAULTS: Final = (
    _played("training-returns-clipped", TrainingReturnsClipped, "returns-are-raw",
            seen=(
                "https://github.com/keiohta/tf2rl/issues/31",
                "https://github.com/kengz/SLM-Lab/pull/263",
                "https://github.com/vwxyzjn/cleanrl/commit/02f36c4e",
            )),
    _played("training-returns-discounted", TrainingReturnsDiscounted, "returns-are-raw"),
    _played("truncated-episodes-dropped", TruncatedDropped, "every-episode-once",
            seen=("https://github.com/huggingface/deep-rl-class/issues/37",)),
    _played("episodes-recorded-twice", RecordedTwice, "every-episode-once"),
    _played("returns-go-on", ReturnsGoOn, "returns-are-raw", "lengths-are-agent-steps",
            "lengths-are-within-limit", "returns-are-within-range"),
    _played("lengths-in-frames", LengthsInFrames, "lengths-are-agent-steps",
            "lengths-are-within-limit"),
    _played("last-step-left-out", LastStepLeftOut, "lengths-are-agent-steps"),
    _played("one-sum-for-all-environments", OneSumForAll, "environments-are-kept-apart"),
    _fault("limit-hidden", LimitHidden, "lengths-are-within-limit", "returns-are-within-range",
           part="envs", component=Component.TERMINATION),
    _learned("losses-summed-in-records", LossesSummed, "losses-are-of-their-updates",
             "losses-are-within-bounds"),
    _learned("losses-smoothed", LossesSmoothed, "losses-are-of-their-updates"),
    _learned("zeros-before-the-first-loss", ZerosBeforeTheFirst, "one-loss-per-update",
             "losses-are-of-their-updates"),
    _learned("only-finite-losses", OnlyFiniteLosses, "nan-is-shown"),
    _learned("loss-negated", LossNegated, "numbers-are-finite"),
    _learned("values-summed", ValuesSummed, "values-are-of-their-updates",
             "values-are-within-bounds"),
    _fault("targets-recorded-as-values", TargetsForValues, "values-are-of-their-updates",
           part="agent"),
    _learned("epsilon-of-updates", EpsilonByUpdates, "epsilon-follows-schedule"),
    _counted("steps-recorded-in-ticks", StepsInTicks, "environments-are-kept-apart"),
    _counted("rows-recorded-as-updates", RowsForUpdates, "counts-are-those-taken"),
)  # fmt: skip
