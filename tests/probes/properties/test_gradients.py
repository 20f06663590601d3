"""Gradients of a loss, as functions of what was observed of them."""

from __future__ import annotations

import numpy as np
import pytest

from probes.properties.gradients import (
    bends_at,
    clipped_as_declared,
    grows_with_small_errors,
    of_actions_taken_alone,
)

ERRORS = np.array([0.01, 0.02, 0.04, 0.08])


@pytest.mark.parametrize(
    ("pull", "holds"),
    [
        (lambda e: e, True),  # a square
        (lambda e: 7 * e, True),  # times any constant
        (lambda e: e * (1 + 0.1 * e), True),
        (np.ones_like, False),  # an absolute value, or the root of a mean square
        (lambda e: e**2, False),
        (np.sqrt, False),
        (np.zeros_like, False),
    ],
)
def test_a_small_error_pulls_in_proportion(pull, holds):
    assert grows_with_small_errors(ERRORS, pull(ERRORS)).holds is holds


def test_only_values_of_actions_taken_are_reached():
    action = np.array([0, 2, 1])
    gradient = np.zeros((3, 3))
    gradient[np.arange(3), action] = (1.0, -0.1, 0.5)
    assert of_actions_taken_alone(gradient, action).holds
    assert of_actions_taken_alone(gradient + 1e-7, action).holds  # rounding
    another = of_actions_taken_alone(gradient, np.array([1, 0, 0]))
    assert not another.holds
    assert another.actual == "at 0 of them, and at 3 of 6 others"
    pulled = gradient.copy()
    pulled[0, 1] = 0.01
    assert not of_actions_taken_alone(pulled, action).holds
    assert not of_actions_taken_alone(np.zeros((3, 3)), action).holds


@pytest.mark.parametrize("knee", [0.5, 1.0, np.inf])
def test_pulls_bend_at_the_knee_of_the_loss(knee):
    errors = np.array([0.1, 0.4, 2.0, 10.0])
    pulls = 7 * np.minimum(errors, knee)
    assert bends_at(errors, pulls, knee).holds
    for other in {0.5, 1.0, np.inf, 0.05} - {knee}:
        assert not bends_at(errors, pulls, other).holds
    assert not bends_at(errors, 0 * pulls, knee).holds


def test_gradients_are_clipped_as_a_whole_or_number_by_number():
    small, large = np.array([0.03, -0.04]), np.array([30.0, 40.0])
    by_norm, by_value = np.array([0.6, 0.8]), np.array([1.0, 1.0])
    assert clipped_as_declared([small, large], [small, by_norm], 1.0, 0.0).holds
    assert clipped_as_declared([small, large], [small, by_value], 0.0, 1.0).holds
    assert not clipped_as_declared([small, large], [small, by_value], 1.0, 0.0).holds
    assert not clipped_as_declared([small, large], [small, by_norm], 0.0, 1.0).holds
    assert not clipped_as_declared([small, large], [small, large], 1.0, 0.0).holds
    assert clipped_as_declared([small], [small], 1.0, 0.0).holds is None  # nothing to clip
