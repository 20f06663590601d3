"""The mathematics of Q-learning with a target network: pure functions of a batch.

Shapes: B rows in a batch, A actions. Nothing here knows of networks, replay or optimizers, and
nothing here builds an autograd graph: the gradient of the loss with respect to the Q-values is
written out, and the network turns it into gradients of its parameters.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

LossName = Literal["huber", "mse"]


def clip_reward(reward: Tensor) -> Tensor:
    """Clips rewards to [-1, 1], as the learner sees them; reports keep the raw ones.

    The argument is the *sum* of the rewards over the skipped frames: clipping each frame first
    would count two rewards within one step twice.

    Args:
        reward: [B] float32, raw reward of a step.

    Returns:
        [B] float32.

    References:
        Mnih et al. 2015, Methods, "Training details".
    """
    return reward.clamp(-1.0, 1.0)


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, gamma: float) -> Tensor:
    """One-step regression targets.

    A time limit ends an episode but not the task, so truncated transitions still bootstrap: pass
    `terminated`, never "the episode is over".

    Args:
        reward: [B] float32, after any clipping.
        terminated: [B] bool, whether the task ended with this transition.
        next_value: [B] float32, value of the next observation under the target network.
        gamma: discount per agent step, in [0, 1].

    Returns:
        [B] float32.

    Raises:
        ValueError: if the three shapes differ; broadcasting would silently mix rows.

    References:
        Mnih et al. 2015, Methods, Algorithm 1 (definition of y_j).
    """
    if not reward.shape == terminated.shape == next_value.shape or reward.ndim != 1:
        raise ValueError(
            "td_target: expected three tensors of one shape [B], got "
            f"reward {tuple(reward.shape)}, terminated {tuple(terminated.shape)}, "
            f"next_value {tuple(next_value.shape)}"
        )
    # Masked rather than multiplied by zero: 0 * inf is nan, and a diverged target network must not
    # be able to poison the rows whose targets do not depend on it.
    return reward + gamma * next_value.masked_fill(terminated, 0.0)


def max_value(target_q: Tensor) -> Tensor:
    """Value of the next observation in plain DQN: the largest target Q-value of each row.

    Args:
        target_q: [B, A] float32, target network at the next observation.

    Returns:
        [B] float32.

    References:
        Mnih et al. 2015, Methods, Algorithm 1.
    """
    return target_q.amax(dim=1)


def double_value(target_q: Tensor, online_q: Tensor) -> Tensor:
    """Value of the next observation in double DQN: chosen online, valued by the target.

    Args:
        target_q: [B, A] float32, target network at the next observation.
        online_q: [B, A] float32, online network at the next observation.

    Returns:
        [B] float32.

    References:
        van Hasselt et al. 2016, "Deep Reinforcement Learning with Double Q-learning", equation 4.
    """
    return target_q.gather(1, online_q.argmax(dim=1, keepdim=True)).squeeze(1)


def td_error(q: Tensor, action: Tensor, target: Tensor) -> Tensor:
    """Target minus prediction for the actions taken.

    Args:
        q: [B, A] float32, online network at the observation.
        action: [B] int64, action taken.
        target: [B] float32, from `td_target`.

    Returns:
        [B] float32.
    """
    return target - q.gather(1, action.unsqueeze(1)).squeeze(1)


def loss(error: Tensor, name: LossName) -> Tensor:
    """Mean over a batch of the Huber (delta 1) or half the squared TD error.

    Half the square, so that both losses have the gradient `error` near zero and a learning rate
    means the same under either.

    Args:
        error: [..., B] float32, from `td_error`; each batch is averaged by itself.
        name: "huber" or "mse".

    Returns:
        [...] float32, in squared units of a return (Huber: in units of a return, for large errors).

    References:
        Mnih et al. 2015, Methods, "Training algorithm": the error term is clipped to [-1, 1],
        which is the derivative of Huber's loss, not a clipped error inside a squared loss.
    """
    if name == "mse":
        return 0.5 * error.square().mean(dim=-1)
    # Half the square within [-1, 1], and the tangent outside.
    slope = error.clamp(-1.0, 1.0)
    return (slope * (error - 0.5 * slope)).mean(dim=-1)


def loss_weight(action: Tensor, num_actions: int, batch_size: int) -> Tensor:
    """Share of each Q-value in the loss of its batch.

    Args:
        action: [R] int64, actions taken, of one or more batches.
        num_actions: A.
        batch_size: rows in a batch, B.

    Returns:
        [R, A] float32: 1 / B at the actions taken, zero elsewhere.
    """
    taken = action.unsqueeze(1) == torch.arange(num_actions, device=action.device)
    return torch.where(taken, 1.0 / batch_size, 0.0)


def loss_gradient(q: Tensor, target: Tensor, weight: Tensor, name: LossName) -> Tensor:
    """Gradient of `loss` with respect to the online Q-values.

    Written out instead of left to autograd: the backward pass of a gather is a scatter with atomic
    additions on a GPU. Here each Q-value is compared with the target of its row, and what was not
    taken weighs nothing.

    Args:
        q: [B, A] float32, online network at the observation.
        target: [B, 1] float32, from `td_target`.
        weight: [B, A] float32, from `loss_weight`.
        name: "huber" or "mse".

    Returns:
        [B, A] float32: at the actions taken, minus the (for Huber clipped) TD error, divided by B;
        zero elsewhere.

    Raises:
        ValueError: if the shapes do not fit; broadcasting would silently mix rows.
    """
    if target.shape != (len(q), 1) or weight.shape != q.shape:
        raise ValueError(
            f"loss_gradient: expected q [B, A], target [B, 1], weight [B, A], got "
            f"{tuple(q.shape)}, {tuple(target.shape)}, {tuple(weight.shape)}"
        )
    slope = q - target
    if name == "huber":
        slope.clamp_(-1.0, 1.0)
    return slope.mul_(weight)
