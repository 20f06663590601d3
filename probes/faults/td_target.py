"""Faults of the TD target and the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from dqn_core import td
from dqn_core.agent import Agent
from dqn_core.recipes.schema import Recipe
from dqn_core.replay import Batch
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subjects.core import Parts


class NoTerminalMask(Agent):
    """The end of an episode is not used; its last observation is bootstrapped from."""

    def td_target(self, batch: Batch) -> Tensor:
        return super().td_target(replace(batch, terminated=torch.zeros_like(batch.terminated)))


class DiscountMissing(Agent):
    """The next value is not discounted."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(_with_td(recipe, gamma=1.0), *args)


class DiscountTwice(Agent):
    """The next value is discounted twice."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(_with_td(recipe, gamma=recipe.td.gamma**2), *args)


class TargetAveragedOverBatch(Agent):
    """A broadcast of [B, 1] against [B] regresses every row on the mean of all targets."""

    def td_target(self, batch: Batch) -> Tensor:
        target = super().td_target(batch)
        return target.mean().expand_as(target)


class DoubleSwapped(Agent):
    """In double DQN the target network chooses and the online network values."""

    def td_target(self, batch: Batch) -> Tensor:
        if not self.recipe.td.double:
            return super().td_target(batch)
        self.online_net, self.target_net = self.target_net, self.online_net
        target = super().td_target(batch)
        self.online_net, self.target_net = self.target_net, self.online_net
        return target


class DoubleIsPlain(Agent):
    """Double DQN is asked for, and plain DQN is what there is."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(_with_td(recipe, double=False), *args)


class PlainIsDouble(Agent):
    """Plain DQN is asked for, and double DQN is what there is."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        super().__init__(_with_td(recipe, double=True), *args)


class SoftMaximum(Agent):
    """The next value is the mean of the target Q-values weighted by their softmax."""

    def td_target(self, batch: Batch) -> Tensor:
        target_q = self.target_net.infer(batch.next_obs)
        next_value = (target_q.softmax(dim=1) * target_q).sum(dim=1)
        return td.td_target(batch.reward, batch.terminated, next_value, self.recipe.td.gamma)


class TargetNotDetached(Agent):
    """The loss is differentiated through the target: the target network is left with gradients."""

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        learned = super().learn(batches, updates)
        goes_on = (~batches.terminated).float()
        self.target_net.requires_grad_(requires_grad=True)
        with torch.enable_grad():
            bootstrap = self.target_net(batches.next_obs).amax(dim=1) * goes_on
            (self.recipe.td.gamma * bootstrap @ learned[0].flatten() / len(bootstrap)).backward()
        self.target_net.requires_grad_(requires_grad=False)
        return learned


class LossSummed(Agent):
    """The loss is summed over the batch instead of averaged."""

    def update(self, obs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return super().update(obs, target, weight * len(weight))


def _with_td(recipe: Recipe, **values: float) -> Recipe:
    return recipe.model_copy(update={"td": recipe.td.model_copy(update=values)})


class RootOfMeanSquare(Agent):
    """The loss is the root of the mean squared error: its gradient has one length always."""

    def update(self, obs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        q, pullback = self.online_net.vjp(obs)
        error = (q - target) * (weight > 0)
        root = error.square().sum().div(len(q)).sqrt().clamp(min=1e-12)
        pullback(td.loss_gradient(q, target, weight, "mse") / root)
        self.apply_gradients()
        self.updates += 1
        return q


class OthersPulledToZero(Agent):
    """Targets of actions not taken are zero instead of the network's own values."""

    def update(self, obs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        q, pullback = self.online_net.vjp(obs)
        gradient = td.loss_gradient(q, target, weight, self.recipe.td.loss)
        pullback(gradient + q.clamp(-1, 1) * (weight == 0) / len(q))
        self.apply_gradients()
        self.updates += 1
        return q


def _fault(name: str, agent: type[Agent], *caught_by: str, seen: tuple[str, ...] = ()) -> Fault:
    """A fault that replaces the agent, described by its docstring."""
    return Fault(
        name=name,
        seen=seen,
        component=Component.TD_TARGET,
        what=agent.__doc__ or "",
        parts=Parts(agent=agent),
        caught_by=caught_by,
    )


FAULTS: Final = (
    _fault("no-terminal-mask", NoTerminalMask,
           "td.terminal-masks-and-time-limits-bootstrap", "loss.aims-at-target",
           "loss.ignores-values-after-an-end",
           "world.constant-reward.vector", "world.two-step-discounting.vector",
           seen=(
               "https://github.com/navneet-nmk/pytorch-rl/issues/2",
               "https://github.com/cyoon1729/deep-Q-networks/pull/5",
           )),
    _fault("discount-missing", DiscountMissing,
           "td.terminal-masks-and-time-limits-bootstrap", "loss.aims-at-target",
           "world.two-step-discounting.vector"),
    _fault("discount-twice", DiscountTwice,
           "td.terminal-masks-and-time-limits-bootstrap", "loss.aims-at-target",
           "world.two-step-discounting.vector"),
    _fault("target-averaged-over-batch", TargetAveragedOverBatch,
           "td.rows-are-independent", "loss.rows-are-independent", "loss.fits-fixed-targets",
           "world.reward-by-observation.vector",
           seen=(
               "https://github.com/MoMe36/BranchingDQN/issues/2",
               "https://github.com/BY571/QR-DQN/issues/1",
               "https://github.com/pytorch/pytorch/issues/19699",
           )),
    _fault("double-swapped", DoubleSwapped,
           "td.double-closed-form", "loss.aims-at-double-target",
           "world.overestimation.double",
           seen=(
               "https://github.com/AgileRL/AgileRL/issues/290",
               "https://github.com/AgileRL/AgileRL/commit/b4c0e4b9",
               "https://github.com/higgsfield/RL-Adventure/pull/5",
           )),
    _fault("double-is-plain", DoubleIsPlain,
           "td.double-closed-form", "loss.aims-at-double-target",
           "world.overestimation.double",
           seen=(
               "https://github.com/MaximeVandegar/Papers-in-100-Lines-of-Code/issues/21",
               "https://github.com/pytorch/rl/issues/1722",
           )),
    _fault("plain-is-double", PlainIsDouble,
           "td.bootstraps-from-target", "loss.aims-at-target", "world.overestimation.plain"),
    _fault("soft-maximum", SoftMaximum,
           "td.terminal-masks-and-time-limits-bootstrap", "loss.aims-at-target",
           "world.overestimation.plain"),
    _fault("target-not-detached", TargetNotDetached, "loss.aims-at-target",
           seen=(
               "https://github.com/philtabor/Deep-Q-Learning-Paper-To-Code/issues/16",
               "https://github.com/vwxyzjn/cleanrl/commit/8343b01d",
           )),
    _fault("loss-summed", LossSummed, "loss.averages-over-rows"),
    _fault("root-of-mean-square", RootOfMeanSquare, "loss.small-errors-count-less"),
    _fault("others-pulled-to-zero", OthersPulledToZero, "loss.reaches-actions-taken-alone",
           seen=("https://github.com/MoMe36/BranchingDQN/issues/2",)),
)  # fmt: skip
