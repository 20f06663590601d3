"""Faults of the replay memory."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from dqn_core.envs.envs import Tick
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.replay import Batch, Replay
from dqn_core.streams import Stream
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array
from probes.subjects.core import CoreSubject, Parts


class SampledAcrossWriteHead(Replay):
    """The oldest transition can be sampled when its first row is overwritten already."""

    def _evict(self, envs: Array, overwritten: Array, count: int) -> None:
        super()._evict(envs, overwritten - 1, count)


class OldestStackTorn(Replay):
    """A transition is kept while its own row is, though frames of its stack are overwritten."""

    def _begin(self, base: Array, row: Array) -> Array:
        """The transition's own row."""
        del base
        return row


class StackCrossesEpisodes(Replay):
    """Stacks ignore where episodes start, and hold frames of two of them."""

    def _write(self, envs: Array, obs: Array, history: Array) -> None:
        before = self._num_rows[envs] + np.arange(len(obs))[:, None]
        del history
        super()._write(envs, obs, np.minimum(before, self.frame_stack - 1))


class IndexMovedWhileReading(Replay):
    """The row is moved on in place to read the next observation, and the columns after it lag."""

    def gather(self, env: Array, row: Array) -> Batch:
        moved = self._base[env] + (row + 1) % self.rows
        return replace(
            super().gather(env, row),
            action=torch.from_numpy(self._action[moved].astype(np.int64)),
            reward=torch.from_numpy(self._reward[moved]),
            terminated=torch.from_numpy(self._terminated[moved]),
        )


class ColumnsSwapped(Replay):
    """Reward and end are given out in each other's place."""

    def gather(self, env: Array, row: Array) -> Batch:
        batch = super().gather(env, row)
        return replace(batch, reward=batch.terminated.float(), terminated=batch.reward != 0)


class RewardOfPreviousStep(Replay):
    """The column of rewards lags one step behind the others."""

    _previous: Array | float = 0.0

    def append(self, action: Array, reward: Array, *others: Array) -> None:
        first = np.broadcast_to(self._previous, reward[:1].shape)
        super().append(action, np.concatenate([first, reward[:-1]]), *others)
        self._previous = reward[-1:]


class ActionOfOtherEnvironment(Replay):
    """Each environment's observations are stored with its neighbour's actions."""

    def append(self, action: Array, *others: Array) -> None:
        super().append(np.roll(action, 1, axis=1), *others)


class OneObjectForAll(Replay):
    """Every slot refers to one object, so all transitions are copies of the newest."""

    def gather(self, env: Array, row: Array) -> Batch:
        """The newest transitions of the given environments."""
        del row
        newest = self._order[self._base[env] + (self._end[env] - 1) % self.rows]
        return super().gather(env, newest)


class RewardsAsBytes(Replay):
    """Rewards are stored in a signed byte."""

    def append(self, action: Array, reward: Array, *others: Array) -> None:
        super().append(action, reward.astype(np.int64).astype(np.int8), *others)


class ObservationsAsHalves(Replay):
    """Observations are stored as floats of 16 bits."""

    def _write(self, envs: Array, obs: Array, history: Array) -> None:
        super()._write(envs, obs.astype(np.float16).astype(obs.dtype), history)


class WholeStacksTwice(Replay):
    """Each transition is stored with both of its stacks, whole."""

    def append(self, *columns: Array) -> None:
        super().append(*columns)
        batch = self.gather(*self.transitions())
        both = torch.cat([batch.obs, batch.next_obs], dim=1).numpy()
        if not hasattr(self, "_whole"):
            self._whole = np.zeros((self.rows * self.num_envs, *both.shape[1:]), both.dtype)
        self._whole[batch.slots] = both

    def state(self) -> dict[str, Array]:
        return super().state() | ({"obs": self._whole} if self.frame_stack > 1 else {})


class RangeOneShort(Replay):
    """The range of random rows ends one short: the last row is never sampled."""

    def sample(self, stream: Stream, batch_size: int) -> Batch:
        """Uniform over all rows but the last."""
        env, row = self.transitions()
        in_order = np.argsort(self._base[env] + row % self.rows)[: max(1, len(row) - 1)]
        chosen = in_order[stream.integers(len(in_order), batch_size)]
        return self.gather(env[chosen], row[chosen])


class NewestFavoured(Replay):
    """New transitions are sampled more often than old ones."""

    def sample(self, stream: Stream, batch_size: int) -> Batch:
        """The later of two uniform draws."""
        env, row = self.transitions()
        chosen = stream.integers(len(row), 2, batch_size).max(axis=0)
        return self.gather(env[chosen], row[chosen])


class MemoryHalved(Replay):
    """The memory holds half of what was asked for."""

    def __init__(self, capacity_rows: int, **others: Any) -> None:
        super().__init__(capacity_rows // 2, **others)


class MemoryTooLong(Replay):
    """The memory holds twice as much as was asked for."""

    def __init__(self, capacity_rows: int, **others: Any) -> None:
        super().__init__(capacity_rows * 2, **others)


class ArraysAsTheyCome(GymnasiumEnvs):
    """Observations are passed on in the environment's own array, which it may use again."""

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        tick = super().step(action)
        return tick._replace(next_obs=self._obs) if self.num_envs == 1 else tick


class ScaledInPlace(CoreSubject):
    """Observations are scaled in place where values are asked for."""

    def q_values(self, obs: Array) -> Array:
        obs *= 0.5 if obs.dtype.kind == "f" else 1
        return super().q_values(obs)


_fault: Final = partial(Fault, component=Component.REPLAY)

FAULTS: Final = (
    _fault(
        name="sampled-across-write-head",
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/issues/1853",
            "https://github.com/tensorforce/tensorforce/pull/142",
            "https://github.com/Kaixhin/Rainbow/issues/7",
        ),
        what="The oldest transition can be sampled when its first row is overwritten already.",
        parts=Parts(replay=SampledAcrossWriteHead),
        caught_by=("replay.transitions-are-real", "replay.environments-stay-apart"),
    ),
    _fault(
        name="oldest-stack-torn",
        seen=("https://github.com/keras-rl/keras-rl/pull/138",),
        what="A transition is kept while its own row is, though frames of its stack are "
        "overwritten.",
        parts=Parts(replay=OldestStackTorn),
        caught_by=("replay.frames-are-those-shown",),
    ),
    _fault(
        name="stack-crosses-episodes",
        seen=(
            "https://github.com/rlcode/reinforcement-learning/pull/128",
            "https://github.com/Kaixhin/Rainbow/issues/7",
        ),
        what="Stacks ignore where episodes start, and hold frames of two of them.",
        parts=Parts(replay=StackCrossesEpisodes),
        caught_by=("replay.frames-are-those-shown",),
    ),
    _fault(
        name="index-moved-while-reading",
        seen=("https://github.com/thu-ml/tianshou/issues/82",),
        what="The row is moved on in place to read the next observation, and the columns "
        "after it lag.",
        parts=Parts(replay=IndexMovedWhileReading),
        caught_by=("replay.transitions-are-real",),
    ),
    _fault(
        name="columns-swapped",
        seen=(
            "https://github.com/google/dopamine/commit/2aa6fb9",
            "https://github.com/will-maclean/sb3-burn/issues/3",
            "https://github.com/will-maclean/sb3-burn/pull/38",
        ),
        what="Reward and end are given out in each other's place.",
        parts=Parts(replay=ColumnsSwapped),
        caught_by=("replay.transitions-are-real",),
    ),
    _fault(
        name="reward-of-previous-step",
        seen=(
            "https://github.com/will-maclean/sb3-burn/issues/3",
            "https://github.com/will-maclean/sb3-burn/pull/38",
        ),
        what="The column of rewards lags one step behind the others.",
        parts=Parts(replay=RewardOfPreviousStep),
        caught_by=("replay.transitions-are-real",),
    ),
    _fault(
        name="action-of-other-environment",
        seen=(),
        what="Each environment's observations are stored with its neighbour's actions.",
        parts=Parts(replay=ActionOfOtherEnvironment),
        caught_by=("replay.environments-stay-apart", "replay.environments-learned-apart"),
    ),
    _fault(
        name="one-object-for-all",
        seen=("https://github.com/Itomigna2/Muesli-lunarlander/issues/1",),
        what="Every slot refers to one object, so all transitions are copies of the newest.",
        parts=Parts(replay=OneObjectForAll),
        caught_by=("replay.exactly-the-recent",),
    ),
    _fault(
        name="rewards-as-bytes",
        seen=(
            "https://github.com/thu-ml/tianshou/issues/65",
            "https://github.com/chandar-lab/RLHive/pull/86",
        ),
        what="Rewards are stored in a signed byte.",
        parts=Parts(replay=RewardsAsBytes),
        caught_by=("replay.values-survive",),
    ),
    _fault(
        name="observations-as-halves",
        seen=(
            "https://github.com/thu-ml/tianshou/issues/65",
            "https://github.com/chandar-lab/RLHive/pull/86",
        ),
        what="Observations are stored as floats of 16 bits.",
        parts=Parts(replay=ObservationsAsHalves),
        caught_by=("replay.values-survive",),
    ),
    _fault(
        name="whole-stacks-twice",
        seen=(),
        what="Each transition is stored with both of its stacks, whole.",
        parts=Parts(replay=WholeStacksTwice),
        caught_by=("replay.memory-per-transition",),
    ),
    _fault(
        name="range-one-short",
        seen=(),
        what="The range of random rows ends one short: the last row is never sampled.",
        parts=Parts(replay=RangeOneShort),
        caught_by=("replay.exactly-the-recent",),
    ),
    _fault(
        name="newest-favoured",
        seen=(),
        what="New transitions are sampled more often than old ones.",
        parts=Parts(replay=NewestFavoured),
        caught_by=("replay.uniform",),
    ),
    _fault(
        name="memory-halved",
        seen=(),
        what="The memory holds half of what was asked for.",
        parts=Parts(replay=MemoryHalved),
        caught_by=("replay.exactly-the-recent",),
    ),
    _fault(
        name="memory-too-long",
        seen=(),
        what="The memory holds twice as much as was asked for.",
        parts=Parts(replay=MemoryTooLong),
        caught_by=("replay.exactly-the-recent",),
    ),
    _fault(
        name="arrays-as-they-come",
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/issues/1435",
            "https://github.com/Farama-Foundation/SuperSuit/pull/116",
        ),
        what="Observations are passed on in an array that is used again.",
        parts=Parts(envs=ArraysAsTheyCome),
        caught_by=(
            "replay.copies-what-it-is-shown",
            "world.branching.reused-array",
        ),
    ),
    _fault(
        name="scaled-in-place",
        seen=(),
        what="Observations are scaled in place where values are asked for.",
        parts=Parts(subject=ScaledInPlace),
        caught_by=("replay.observations-left-alone",),
    ),
)
