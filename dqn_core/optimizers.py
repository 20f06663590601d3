"""Optimizers and learning-rate schedules as a recipe names them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LinearLR, LRScheduler

from dqn_core.recipes.schema import AdamSection, Recipe


class CentredRmsProp(Optimizer):
    """RMSProp as published with DQN: the root contains both the mean gradient and epsilon.

        m <- decay * m + (1 - decay) * g            running mean of the gradient
        v <- decay * v + (1 - decay) * g^2          running mean of its square
        w <- w - lr * g / sqrt(v - m^2 + min_squared_gradient)

    `torch.optim.RMSprop(centered=True)` adds epsilon *outside* the root, where 0.01 limits a step
    ten times less, hence an own optimizer.

    Args:
        parameters: float32 tensors.
        lr: learning rate.
        decay: of both running means.
        min_squared_gradient: epsilon, inside the root.

    References:
        Mnih et al. 2015, Extended Data Table 1 ("gradient momentum", "squared gradient momentum",
        "min squared gradient"); Graves 2013, "Generating Sequences With Recurrent Neural
        Networks", equations 38 to 41.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, decay: float, min_squared_gradient: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay, "eps": min_squared_gradient})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # never a closure
        """Updates every parameter that has a gradient, in place."""
        del closure
        for group in self.param_groups:
            decay, eps, lr = group["decay"], group["eps"], group["lr"]
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["mean"] = torch.zeros_like(weight)
                    state["mean_square"] = torch.zeros_like(weight)
                gradient = weight.grad
                mean, mean_square = state["mean"], state["mean_square"]
                mean.mul_(decay).add_(gradient, alpha=1 - decay)
                mean_square.mul_(decay).addcmul_(gradient, gradient, value=1 - decay)
                root = mean_square.addcmul(mean, mean, value=-1).add_(eps).sqrt_()
                weight.sub_(gradient.div(root).mul_(lr))  # a rate may be a tensor


class LeanAdam(Adam):
    """torch's fused Adam without the bookkeeping around it.

    For a small network that bookkeeping (argument checks, hooks, a profiler's scope) takes three
    times as long as the arithmetic, which is torch's own: the kernel called here is the one that
    `torch.optim.Adam(fused=True)` calls, and a test holds the two to equal bits.
    """

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # never a closure
        """Updates every parameter in place; all have gradients. Autograd must be off."""
        del closure
        (group,) = self.param_groups
        parameters: list[Tensor] = group["params"]
        if len(self.state) < len(parameters):
            super().step()  # makes the state
            return
        states = [self.state[parameter] for parameter in parameters]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters,
            [parameter.grad for parameter in parameters],  # type: ignore[misc]  # none is None
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=0.0,
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    step.hooked = True  # type: ignore[attr-defined]  # torch would wrap it in a profiler's scope


def make_optimizer(recipe: Recipe, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimizer of a recipe over the parameters of the online network, and no others."""
    section, lr = recipe.optimizer, recipe.learning_rate.initial
    if isinstance(section, AdamSection):
        return LeanAdam(parameters, lr=lr, betas=(0.9, 0.999), eps=section.eps, fused=True)
    return CentredRmsProp(parameters, lr, section.decay, section.min_squared_gradient)


def make_scheduler(recipe: Recipe, optimizer: Optimizer) -> LRScheduler | None:
    """The learning-rate schedule of a recipe, to be stepped once per update until it ends.

    Returns:
        None for a constant rate; else one of torch's schedulers, which reaches the final rate
        after `decay_updates(recipe)` steps.
    """
    rate = recipe.learning_rate
    ratio, updates = rate.final / rate.initial, decay_updates(recipe)
    if rate.schedule == "constant":
        return None
    if rate.schedule == "linear":
        return LinearLR(optimizer, start_factor=1.0, end_factor=ratio, total_iters=updates)
    return ExponentialLR(optimizer, gamma=ratio ** (1 / updates))


def decay_updates(recipe: Recipe) -> int:
    """Updates after which the final learning rate is reached and kept."""
    return max(1, recipe.learning_rate.decay_steps // recipe.loop.train_period_steps)


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Everything the optimizer remembers, by "<parameter index>.<name>"."""
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entries in state.items()
        for name, value in entries.items()
    }


def load_optimizer_tensors(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Gives a fresh optimizer back what `optimizer_tensors` returned.

    Moments take the layout in memory of their parameters: torch's fused kernels walk both in memory
    order, and would pair moments with other weights if only the shapes agreed.
    """
    parameters = optimizer.param_groups[0]["params"]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, entry = name.split(".")
        parameter = parameters[int(index)]
        like = torch.empty_like(parameter) if tensor.shape == parameter.shape else tensor
        state.setdefault(int(index), {})[entry] = like.detach().copy_(tensor)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
