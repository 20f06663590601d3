"""Networks and gradients from inside: caught, and put back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probes.checks.support.testbed import Testbed
from probes.checks.support.white_box import (
    draw,
    generator,
    gradient,
    kept,
    randomise,
    white_box_trial,
    with_errors,
)
from probes.subjects.core import make
from tests.probes.tiny_dqn import tiny


def test_gradients_are_caught_before_they_are_clipped_or_cleared():
    trial = white_box_trial(Testbed(tiny(), 0))
    transitions = with_errors(trial, draw(generator(0), 8), 0.1)
    weights = list(trial.subject.online_net.parameters())
    before = [weight.detach().clone() for weight in weights]
    found = gradient(trial.subject, transitions)
    assert len(found) == sum(weight.numel() for weight in weights)
    assert np.abs(found).max() > 1e-3
    assert all(weight.grad is None for weight in weights)
    assert all(map(torch.equal, weights, before))  # they have been put back


def test_networks_are_put_back_whatever_happens():
    trial = white_box_trial(Testbed(make, 0))
    obs = draw(generator(0), 4).obs
    before = trial.q_table(obs)

    def interrupted():
        with kept(trial.subject.online_net):
            randomise(trial.subject.online_net, generator(1))
            assert np.abs(trial.q_table(obs) - before).max() > 1e-3
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert np.array_equal(trial.q_table(obs), before)
