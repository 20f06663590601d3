"""Faults of checkpoints: what a resumed run has lost."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dqn_core.agent import Agent
from dqn_core.loop import Trainer
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array
from probes.subjects.core import CoreSubject, Parts


class OptimizerForgotten(CoreSubject):
    """The optimizer is made anew on loading: its moments are lost."""

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.optimizer.state.clear()


class ExplorationBeginsAnew(CoreSubject):
    """Steps are counted from loading on as far as epsilon is concerned."""

    def load(self, folder: Path) -> None:
        super().load(folder)
        trainer, start = self.trainer, self.trainer.step

        def epsilon(steps: Array) -> Array:
            return Trainer.epsilon(trainer, steps - start)

        trainer.epsilon = epsilon  # type: ignore[method-assign]  # of this one run


class RunWarmsUpAgain(CoreSubject):
    """The step is not restored, so the run warms up and explores as at its start."""

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.trainer.step = 0


class TargetFrozenByLoading(CoreSubject):
    """The counter that syncs is never reached again after loading."""

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.trainer.agent.sync = lambda: None  # type: ignore[method-assign]  # of this one run


class SyncRescaledByLoading(CoreSubject):
    """The sync period is divided by the number of environments once more on loading."""

    def load(self, folder: Path) -> None:
        super().load(folder)
        agent = self.trainer.agent
        period = agent.recipe.loop.sync_period_updates // self.settings.num_envs
        loop = agent.recipe.loop.model_copy(update={"sync_period_updates": period})
        agent.recipe = agent.recipe.model_copy(update={"loop": loop})


class TargetNotSaved(CoreSubject):
    """The target network is copied from the online network on loading."""

    def load(self, folder: Path) -> None:
        super().load(folder)
        Agent.sync(self.trainer.agent)


class MemoryNotSaved(CoreSubject):
    """The replay memory is empty after loading."""

    def load(self, folder: Path) -> None:
        empty = self.trainer.replay.state()
        super().load(folder)
        self.trainer.replay.load_state(empty)


class OnlineNetworkNotSaved(CoreSubject):
    """The weights that act after loading are those the run began with."""

    def load(self, folder: Path) -> None:
        begun = {name: w.clone() for name, w in self.online_net.state_dict().items()}
        super().load(folder)
        self.online_net.load_state_dict(begun)


FAULTS: Final = (
    Fault(
        name="optimizer-forgotten",
        seen=(
            "https://github.com/google/dopamine/commit/1028f63",
            "https://github.com/google/dopamine/commit/0230876",
            "https://github.com/google/brax/issues/655",
        ),
        component=Component.CHECKPOINTS,
        what="The optimizer is made anew on loading: its moments are lost.",
        parts=Parts(subject=OptimizerForgotten),
        caught_by=("checkpoints.optimizer-returns", "checkpoints.learning-goes-on"),
    ),
    Fault(
        name="exploration-begins-anew",
        seen=("https://github.com/pfnet/pfrl/issues/183",),
        component=Component.CHECKPOINTS,
        what="Steps are counted from loading on as far as epsilon is concerned.",
        parts=Parts(subject=ExplorationBeginsAnew),
        caught_by=("checkpoints.exploration-goes-on",),
    ),
    Fault(
        name="run-warms-up-again",
        seen=("https://github.com/pfnet/pfrl/issues/183",),
        component=Component.CHECKPOINTS,
        what="The step is not restored, so the run warms up and explores as at its start.",
        parts=Parts(subject=RunWarmsUpAgain),
        caught_by=("checkpoints.learning-goes-on", "checkpoints.exploration-goes-on"),
    ),
    Fault(
        name="target-frozen-by-loading",
        seen=(
            "https://github.com/ray-project/ray/pull/14838",
            "https://github.com/ray-project/ray/issues/13132",
        ),
        component=Component.CHECKPOINTS,
        what="The counter that syncs is never reached again after loading.",
        parts=Parts(subject=TargetFrozenByLoading),
        caught_by=("checkpoints.target-goes-on", "checkpoints.learning-goes-on"),
    ),
    Fault(
        name="sync-rescaled-by-loading",
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/issues/1463",
            "https://github.com/DLR-RM/stable-baselines3/commit/6cbb2c93",
        ),
        component=Component.CHECKPOINTS,
        what="The sync period is divided by the number of environments once more on loading.",
        parts=Parts(subject=SyncRescaledByLoading),
        caught_by=("checkpoints.target-goes-on",),
    ),
    Fault(
        name="target-not-saved",
        seen=(),
        component=Component.CHECKPOINTS,
        what="The target network is copied from the online network on loading.",
        parts=Parts(subject=TargetNotSaved),
        caught_by=("checkpoints.target-goes-on", "checkpoints.learning-goes-on"),
    ),
    Fault(
        name="memory-not-saved",
        seen=(),
        component=Component.CHECKPOINTS,
        what="The replay memory is empty after loading.",
        parts=Parts(subject=MemoryNotSaved),
        caught_by=("checkpoints.memory-returns",),
    ),
    Fault(
        name="online-network-not-saved",
        seen=(),
        component=Component.CHECKPOINTS,
        what="The weights that act after loading are those the run began with.",
        parts=Parts(subject=OnlineNetworkNotSaved),
        caught_by=("checkpoints.values-return", "checkpoints.learning-goes-on"),
    ),
)
