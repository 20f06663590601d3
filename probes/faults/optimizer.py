"""Faults of the optimizer, and of what it is given."""

from __future__ import annotations

from typing import Any, Final

import torch

from dqn_core.agent import Agent
from dqn_core.optimizers import make_optimizer
from dqn_core.recipes.schema import Recipe
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subjects.core import Parts


class HoldsTarget(Agent):
    """The optimizer is given the parameters of both networks."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(recipe, *args)
        both = [*self.online_net.optimized_tensors, *self.target_net.optimized_tensors]
        self.optimizer = make_optimizer(recipe, both)


class EpsilonTooLarge(Agent):
    """Adam's epsilon is 100 times the largest usual one, and shrinks most steps."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for group in self.optimizer.param_groups:
            group["eps"] = 100 * 1.5e-4


class AnotherLearningRate(Agent):
    """The learning rate is a port's own, four times smaller than the one asked for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for group in self.optimizer.param_groups:
            group["lr"] /= 4


class AnotherLibrarysOptimizer(Agent):
    """The optimizer differs in a detail from torch's of that name: Adam without bias correction."""

    def apply_gradients(self) -> None:
        (group,) = self.optimizer.param_groups
        beta1, beta2 = group["betas"]
        for leaf in self._optimized_tensors:
            assert leaf.grad is not None
            state = self.optimizer.state[leaf]
            if not state:
                state |= {"mean": torch.zeros_like(leaf), "square": torch.zeros_like(leaf)}
            state["mean"].lerp_(leaf.grad, 1 - beta1)
            state["square"].lerp_(leaf.grad.square(), 1 - beta2)
            root = state["square"].sqrt().add_(group["eps"])
            leaf.addcdiv_(state["mean"], root, value=-group["lr"])


class OptimizerMadeAnew(Agent):
    """The optimizer is made anew at every update: what it remembers is lost."""

    def apply_gradients(self) -> None:
        self.optimizer = make_optimizer(self.recipe, self._optimized_tensors)
        super().apply_gradients()


class WeightDecay(Agent):
    """The optimizer decays the weights."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for group in self.optimizer.param_groups:
            group["weight_decay"] = 1e-2


class RateFades(Agent):
    """The learning rate falls with every update, though a constant was asked for."""

    def apply_gradients(self) -> None:
        super().apply_gradients()
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.999


def _fault(name: str, agent: type[Agent], *caught_by: str, seen: tuple[str, ...] = ()) -> Fault:
    """A fault that replaces the agent, described by its docstring."""
    return Fault(
        name=name,
        seen=seen,
        component=Component.OPTIMIZER,
        what=agent.__doc__ or "",
        parts=Parts(agent=agent),
        caught_by=caught_by,
    )


FAULTS: Final = (
    _fault("optimizer-holds-target", HoldsTarget, "optimizer.holds-online-only",
           seen=(
               "https://github.com/DLR-RM/stable-baselines3/issues/1963",
               "https://github.com/DLR-RM/stable-baselines3/commit/d8148dee",
           )),
    _fault("adam-epsilon-too-large", EpsilonTooLarge,
           "optimizer.follows-the-settings",
           seen=("https://github.com/vwxyzjn/cleanrl/commit/fcf60229",)),
    _fault("another-learning-rate", AnotherLearningRate,
           "optimizer.follows-the-settings", "optimizer.steps-as-configured",
           seen=("https://github.com/google/dopamine/commit/b7217a7",)),
    _fault("optimizer-of-another-library", AnotherLibrarysOptimizer,
           "optimizer.steps-as-configured",
           seen=(
               "https://github.com/DLR-RM/stable-baselines3/blob/master/docs/guide/migration.md",
               "https://github.com/vwxyzjn/cleanrl/blob/master/docs/rl-algorithms/dqn.md",
           )),
    _fault("optimizer-made-anew", OptimizerMadeAnew,
           "optimizer.remembers", "optimizer.steps-as-configured"),
    _fault("weight-decay", WeightDecay, "optimizer.still-without-a-gradient"),
    _fault("rate-fades", RateFades, "optimizer.rate-stays-to-the-end"),
)  # fmt: skip
