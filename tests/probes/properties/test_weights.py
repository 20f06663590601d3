"""Weights: still without a gradient, moved at a constant rate, in the mode in which they were."""

from __future__ import annotations

import numpy as np
import pytest

from probes.properties.weights import constant_rate, modes_are_equal, still_without_gradient

WEIGHTS = np.linspace(-1, 1, 11)


def test_weights_that_move_are_counted_and_a_decay_is_named():
    assert still_without_gradient(WEIGHTS, WEIGHTS.copy()).holds
    decayed = still_without_gradient(WEIGHTS, 0.99 * WEIGHTS)
    assert not decayed.holds
    assert decayed.actual == "10 of 11 weights moved, all by 0.01 of themselves: weight decay"
    assert still_without_gradient(WEIGHTS, WEIGHTS + 0.1).actual == "11 of 11 weights moved"


@pytest.mark.parametrize(
    ("rates", "holds"), [([1e-3] * 3, True), ([1e-3, 1e-3, 1e-5], False), ([0.0] * 3, False)]
)
def test_a_constant_rate_is_one_to_the_end(rates, holds):
    assert constant_rate(rates, [10, 20, 30]).holds is holds


def test_modes_are_compared_module_by_module():
    before = {"": True, "layers": True, "layers.0": False}
    assert modes_are_equal(before, dict(before)).holds
    left = modes_are_equal(before, dict.fromkeys(before, False))
    assert not left.holds
    assert left.actual == "2 of 3 in the other mode: the network, layers"
