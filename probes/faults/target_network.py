"""Faults of the target network and of its syncs."""

from __future__ import annotations

import copy
import math
from typing import Any, Final

import torch
from torch import Tensor, nn

from dqn_core.agent import Agent
from dqn_core.networks import Mlp, QNetwork
from dqn_core.recipes.schema import Recipe
from dqn_core.replay import Batch
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subjects.core import Parts


class SharingNetwork(QNetwork):
    """A copy of a perceptron that shares its hidden layers, and has a last layer of its own.

    Args:
        other: whose hidden layers it uses.
    """

    def __init__(self, other: Mlp) -> None:
        super().__init__()
        *hidden, last = other.layers
        self.layers = nn.ModuleList([*hidden, copy.deepcopy(last)])

    def forward(self, obs: Tensor) -> Tensor:
        """Q-values, [B, A] float32, of observations [B, D] float32."""
        for layer in self.layers[:-1]:
            obs = torch.relu(layer(obs))
        q: Tensor = self.layers[-1](obs)
        return q


class SharedFeatures(Agent):
    """Both networks have the same hidden layers; only the last one is a copy. For vectors."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        assert isinstance(self.online_net, Mlp)
        self.target_net = SharingNetwork(self.online_net)

    def sync(self) -> None:
        self.target_net.load_state_dict(self.online_net.state_dict())


class DrawnByItself(Agent):
    """The target network begins with weights of its own."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        with torch.no_grad():
            for leaf in self.target_net.optimized_tensors:
                leaf.mul_(-1.0)


class SameNetwork(Agent):
    """One network goes by both names."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.target_net = self.online_net


class NeverSynced(Agent):
    """Syncs copy nothing: the target network stays as it was drawn."""

    def sync(self) -> None:
        """Goes over an empty list of parameters."""


class BootstrapsFromOnline(Agent):
    """Next values are the online network's; the target network is kept, and never asked."""

    def td_target(self, batch: Batch) -> Tensor:
        lagged, self.target_net = self.target_net, self.online_net
        target = super().td_target(batch)
        self.target_net = lagged
        return target


class SyncsOnlyAfterBlocks(Agent):
    """Whether a sync is due is asked once a block: it waits for a common multiple."""

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        learned = super().learn(batches, updates)
        if self.updates % self.recipe.loop.sync_period_updates == 0:
            super().sync()
        return learned

    def sync(self) -> None:
        """Put off to the end of the block."""


class PeriodDividedByEnvs(Agent):
    """The period between syncs is divided by the number of environments once too often."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        loop = recipe.loop
        super().__init__(_with_period(recipe, loop.sync_period_updates // loop.num_envs), *args)


class PeriodInSteps(Agent):
    """The period between syncs is taken for steps where updates are meant."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        loop = recipe.loop
        updates = math.ceil(loop.sync_period_updates / loop.train_period_steps)
        super().__init__(_with_period(recipe, updates), *args)


class SyncedEveryUpdate(Agent):
    """The target network is synced after every update: there is no lag."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(_with_period(recipe, 1), *args)


def _with_period(recipe: Recipe, updates: int) -> Recipe:
    loop = recipe.loop.model_copy(update={"sync_period_updates": max(1, updates)})
    return recipe.model_copy(update={"loop": loop})


class SyncAssigns(Agent):
    """A sync assigns the online network in place of copying its weights."""

    def sync(self) -> None:
        self.target_net = self.online_net


TAU: Final = 0.1


class Averages(Agent):
    """Not a fault: a sync takes over a share of the online network, as the traits declare."""

    share = TAU

    @torch.no_grad()
    def sync(self) -> None:
        there, here = self.target_net.optimized_tensors, self.online_net.optimized_tensors
        for target, online in zip(there, here, strict=True):
            target.lerp_(online, self.share)


class AverageSwapped(Averages):
    """The shares of the average are swapped: the target network is nearly the online one."""

    share = 1 - TAU


def _fault(name: str, agent: type[Agent], *caught_by: str, seen: tuple[str, ...] = ()) -> Fault:
    """A fault that replaces the agent, described by its docstring."""
    return Fault(
        name=name,
        seen=seen,
        component=Component.TARGET_NETWORK,
        what=agent.__doc__ or "",
        parts=Parts(agent=agent),
        caught_by=caught_by,
    )


FAULTS: Final = (
    _fault("target-drawn-by-itself", DrawnByItself, "target.begins-as-online"),
    _fault("target-shares-features", SharedFeatures,
           "target.separate-storage", "target.moves-on-sync-only",
           seen=(
               "https://github.com/DLR-RM/stable-baselines3/issues/132",
               "https://github.com/DLR-RM/stable-baselines3/commit/77cb3dd0",
               "https://github.com/DLR-RM/stable-baselines3/commit/0fc0dd1b",
           )),
    _fault("target-is-online", SameNetwork,
           "target.separate-storage", "target.moves-on-sync-only",
           "target.values-travel-by-syncs", "td.bootstraps-from-target",
           seen=(
               "https://github.com/datawhalechina/easy-rl/issues/140",
               "https://github.com/pytorch/tutorials/issues/181",
           )),
    _fault("target-never-synced", NeverSynced,
           "target.moves-on-sync-only", "target.values-travel-by-syncs",
           seen=(
               "https://github.com/AgileRL/AgileRL/commit/b3c8717a",
               "https://github.com/AgileRL/AgileRL/commit/dd9bf15d",
               "https://github.com/AgileRL/AgileRL/issues/464",
           )),
    _fault("bootstrap-from-online", BootstrapsFromOnline,
           "td.bootstraps-from-target", "loss.aims-at-target", "target.values-travel-by-syncs",
           "world.overestimation.double",
           seen=(
               "https://github.com/facebookresearch/ReAgent/issues/88",
               "https://github.com/vwxyzjn/cleanrl/commit/8fc71147",
               "https://github.com/higgsfield/RL-Adventure/issues/32",
           )),
    _fault("sync-at-common-multiple", SyncsOnlyAfterBlocks,
           "target.period-with-two-environments",
           seen=(
               "https://github.com/vwxyzjn/cleanrl/pull/323",
               "https://github.com/vwxyzjn/cleanrl/commit/c515aefc",
               "https://github.com/google-deepmind/bsuite/blob/main/bsuite/baselines/tf/dqn/agent.py",
           )),
    _fault("sync-period-divided-by-environments", PeriodDividedByEnvs,
           "target.period-with-two-environments",
           seen=(
               "https://github.com/DLR-RM/stable-baselines3/issues/1463",
               "https://github.com/DLR-RM/stable-baselines3/commit/6cbb2c93",
           )),
    _fault("sync-period-in-steps", PeriodInSteps,
           "target.moves-on-sync-only", "target.values-travel-by-syncs",
           seen=(
               "https://github.com/pfnet/pfrl/pull/200",
               "https://github.com/astooke/rlpyt/issues/150",
               "https://github.com/google/dopamine/commit/c67e2c3",
           )),
    _fault("synced-every-update", SyncedEveryUpdate,
           "target.moves-on-sync-only", "target.values-travel-by-syncs",
           seen=("https://github.com/sebtheiler/tutorials/issues/6",)),
    Fault(
        name="average-swapped",
        seen=(),
        component=Component.TARGET_NETWORK,
        what="The shares of an averaged target network are swapped.",
        parts=Parts(agent=AverageSwapped),
        traits={"tau": TAU},
        caught_by=("target.follows-the-average",),
    ),
    _fault("sync-assigns", SyncAssigns, "target.separate-storage", "target.moves-on-sync-only",
           seen=("https://github.com/datawhalechina/easy-rl/issues/140",)),
)  # fmt: skip
