"""Planted faults: one small override each, named for what it does.

Every check must be turned red by at least one of them. The numbers in the docstrings name what was
really seen in public code.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from dqn_core.agent import Agent
from dqn_core.recipe import Recipe
from dqn_core.replay import Batch, Replay
from dqn_core.streams import Stream
from probes.subject import Subject


class NoTerminalMask(Agent):
    """LOS-12: the end of an episode is not used; its last observation is bootstrapped from."""

    def td_target(self, batch: Batch) -> Tensor:
        """As the agent's, with no row marked as ended."""
        return super().td_target(replace(batch, terminated=torch.zeros_like(batch.terminated)))


class TargetNeverSynced(Agent):
    """TGT-04: the target network stays as it was initialised."""

    def sync(self) -> None:
        """Does nothing."""
        return


class TargetAliased(Agent):
    """TGT-02: online and target network are one object."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.target_net = self.online_net


class OptimizerRecreated(Agent):
    """OPT-06: the optimizer is made anew at every update, so Adam's moments are lost."""

    def apply_gradients(self) -> None:
        """As the agent's, with an empty memory."""
        self.optimizer.state.clear()
        super().apply_gradients()


class DiscountMissing(Agent):
    """LOS-21: the next value is not discounted."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(_with_gamma(recipe, 1.0), *args)


class DiscountTwice(Agent):
    """LOS-21: the next value is discounted twice."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(_with_gamma(recipe, recipe.td.gamma**2), *args)


class TargetAveragedOverBatch(Agent):
    """LOS-04: a broadcast of [B, 1] against [B] regresses every row on the mean of all targets."""

    def td_target(self, batch: Batch) -> Tensor:
        """As the agent's, then averaged."""
        target = super().td_target(batch)
        return target.mean().expand_as(target)


class FirstActionTrained(Agent):
    """BUF-03: the actions of a batch are lost, so the first Q-value is always the one trained."""

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        """As the agent's, with action 0 in every row."""
        return super().learn(replace(batches, action=torch.zeros_like(batches.action)), updates)


class ObservationOverwritten(Agent):
    """Memory aliasing: by the time it is learned from, `obs` holds the next observation."""

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        """As the agent's, on the next observations."""
        newest = batches.window[:, -1:].expand_as(batches.window).contiguous()
        return super().learn(replace(batches, window=newest), updates)


class StackCrossesEpisodes(Replay):
    """BUF-15: stacks ignore where episodes start, and hold frames of two of them."""

    def start(self, envs: Any, obs: Any) -> None:
        """As the memory's, with a stack that reaches back."""
        super().start(envs, obs)
        slot = self._base[envs] + (self._num_rows[envs] - 1) % self.rows
        self._history[slot] = np.minimum(self.frame_stack - 1, self._num_rows[envs] - 1)


class SamplesAcrossWriteHead(Replay):
    """BUF-01: a transition is kept while its own row exists, though its stack is overwritten."""

    def _begin(self, base: Any, row: Any) -> Any:
        """The transition's own row."""
        del base
        return row


class NewestNeverSampled(Replay):
    """The slice that is sampled from ends one short of the newest transition."""

    def sample(self, stream: Stream, batch_size: int) -> Batch:
        """As the memory's, from all but the newest transition."""
        if len(self) == 1:
            return super().sample(stream, batch_size)
        self._end -= 1
        try:
            return super().sample(stream, batch_size)
        finally:
            self._end += 1


class RewardOfPreviousStep(Replay):
    """BUF-10: the reward column lags one step behind the others."""

    _previous: Any = 0.0

    def append(self, action: Any, reward: Any, *rest: Any) -> None:
        """As the memory's, with the reward of the call before."""
        lagging = np.concatenate([np.broadcast_to(self._previous, reward[:1].shape), reward[:-1]])
        super().append(action, lagging, *rest)
        self._previous = reward[-1:]


@dataclass(frozen=True)
class Fault:
    """A fault, and the check that must turn red on it.

    Attributes:
        part: the subclass of `Agent` or `Replay` that has it.
        caught_by: codes of checks; ".*" stands for every network.
    """

    part: type[Agent] | type[Replay]
    caught_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """As given on command lines: "no-terminal-mask"."""
        words = "".join(f"-{c.lower()}" if c.isupper() else c for c in self.part.__name__)
        return words.removeprefix("-")


FAULTS: Final = (
    Fault(NoTerminalMask, ("world.constant-reward.*", "world.two-step-discounting.*")),
    Fault(TargetNeverSynced, ("target.moves-on-sync-only", "world.two-step-discounting.*")),
    Fault(TargetAliased, ("target.moves-on-sync-only",)),
    Fault(OptimizerRecreated, ("optimizer.moments-persist",)),
    Fault(DiscountMissing, ("world.two-step-discounting.*",)),
    Fault(DiscountTwice, ("world.two-step-discounting.*",)),
    Fault(TargetAveragedOverBatch, ("world.reward-by-observation.*",)),
    Fault(
        FirstActionTrained,
        ("world.reward-by-action.*", "world.reward-by-observation-and-action.*"),
    ),
    Fault(ObservationOverwritten, ("world.reward-by-observation.*",)),
    Fault(StackCrossesEpisodes, ("replay.transitions-are-whole",)),
    Fault(SamplesAcrossWriteHead, ("replay.exactly-the-whole-ones",)),
    Fault(NewestNeverSampled, ("replay.exactly-the-whole-ones",)),
    Fault(RewardOfPreviousStep, ("replay.transitions-are-whole", "world.reward-by-observation.*")),
)


class UnknownFaultError(ValueError):
    """No fault of that name."""


def subject_with(fault: str) -> Subject:
    """The bundled core with a fault planted in it, or whole for the empty name.

    Raises:
        UnknownFaultError: naming the nearest faults.
    """
    if not fault:
        return Subject()
    by_name = {known.name: known.part for known in FAULTS}
    if fault not in by_name:
        near = difflib.get_close_matches(fault, by_name, n=3, cutoff=0.0)
        raise UnknownFaultError(f"unknown fault {fault!r}\n  nearest   {', '.join(near)}")
    part = by_name[fault]
    name = f"dqn_core with {fault}"
    if issubclass(part, Agent):
        return Subject(name, agent=part)
    return Subject(name, replay=part)


def _with_gamma(recipe: Recipe, gamma: float) -> Recipe:
    return recipe.model_copy(update={"td": recipe.td.model_copy(update={"gamma": gamma})})
