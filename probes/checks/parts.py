"""Driving parts of a subject by hand: a filled replay memory, and updates one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from dqn_core.streams import Stream
from probes.subject import Subject
from probes.worlds import REWARD_BY_OBS_AND_ACTION

Weights = list[Tensor]
BATCH: Final = 32


@dataclass(frozen=True)
class UpdateTrace:
    """Weights before the first update and after each one, and the gradients in between.

    Attributes:
        online: U + 1 copies of the online parameters.
        target: U + 1 copies of the target parameters.
        gradients: U copies of the online gradients that the optimizer was given.
        learning_rates: U floats.
        online_parameters: the parameters themselves.
        target_parameters: likewise.
    """

    online: list[Weights]
    target: list[Weights]
    gradients: list[Weights]
    learning_rates: list[float]
    online_parameters: Weights
    target_parameters: Weights


def trace_updates(subject: Subject, seed: int, updates: int) -> UpdateTrace:
    """Makes the first updates of an agent and copies everything that may move."""
    trainer = subject.fill(REWARD_BY_OBS_AND_ACTION, "mlp", seed)
    sampling = Stream(seed, "replay", 1)
    online: Weights = list(trainer.agent.online_net.parameters())
    target: Weights = list(trainer.agent.target_net.parameters())
    trace = UpdateTrace([_copy(online)], [_copy(target)], [], [], online, target)
    for _ in range(updates):
        trace.learning_rates.append(trainer.agent.learning_rate)
        trainer.agent.learn(trainer.replay.sample(sampling, BATCH), 1)
        trace.online.append(_copy(online))
        trace.target.append(_copy(target))
        trace.gradients.append([_gradient(parameter) for parameter in online])
    return trace


def _copy(tensors: Weights) -> Weights:
    return [tensor.detach().clone() for tensor in tensors]


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
