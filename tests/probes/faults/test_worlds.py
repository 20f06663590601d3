"""Faults planted for the worlds do what they are called, and nothing else."""

from __future__ import annotations

import numpy as np
import torch

from dqn_core.networks import QNetwork
from dqn_core.replay import Replay
from probes.faults.worlds import FramesReversedInReplay, SoftmaxNetwork


def test_the_planted_softmax_passes_gradients_as_autograd_does():
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 3, 4)
    torch.nn.init.eye_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    net = SoftmaxNetwork(Through(layer))
    obs, gradient = torch.arange(15.0).view(5, 3).sin(), torch.arange(20.0).view(5, 4).cos()
    values, pullback = net.vjp(obs)
    pullback(gradient)
    by_hand = layer.weight.grad.clone()
    layer.zero_grad()
    layer(obs).softmax(dim=1).backward(gradient)
    torch.testing.assert_close(by_hand, layer.weight.grad)
    torch.testing.assert_close(values, layer(obs).softmax(dim=1).detach())


class Through(QNetwork):
    """A layer as a network."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, obs):
        return self.layer(obs)


def test_the_planted_reversal_turns_stacks_and_nothing_else():
    healthy, reversing = (
        kind(20, 1, (1, 1), np.uint8, 3, torch.device("cpu"))
        for kind in (Replay, FramesReversedInReplay)
    )
    for ring in (healthy, reversing):
        ring.start(np.zeros(1, np.int64), np.full((1, 1, 1), 9, np.uint8))
        for step in range(5):
            flags = np.zeros((1, 1), np.bool_)
            row = np.full((1, 1, 1, 1), step, np.uint8)
            ring.append(np.full((1, 1), step), np.full((1, 1), step), flags, flags, row)
    right, turned = healthy.gather(*healthy.transitions()), reversing.gather(*healthy.transitions())
    for whole, part in ((right, turned), (right.rows(1, 4), turned.rows(1, 4))):
        assert part.obs.flip(1).tolist() == whole.obs.tolist()
        assert part.next_obs.flip(1).tolist() == whole.next_obs.tolist()
        assert part.action.tolist() == whole.action.tolist()
