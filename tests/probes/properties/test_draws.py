"""Draws of a memory, and draws and seeds of runs that must have nothing in common."""

from __future__ import annotations

import numpy as np
import pytest

from probes.properties.draws import (
    follow_errors,
    indices_differ,
    mean_under_priorities,
    new_rows_are_drawn,
    seeds_are_disjoint,
    weights_make_up_for_shares,
)


def test_the_same_draws_in_two_runs_are_seen():
    assert indices_differ([1, 2, 3], [1, 2, 4]).holds
    assert not indices_differ([1, 2, 3], [1, 2, 3]).holds


def test_a_seed_in_two_runs_is_named():
    assert seeds_are_disjoint({0: [5, None, 6], 1: [7, None, 8]}).holds
    shared = seeds_are_disjoint({0: [0, 1, 2], 1: [1, 2, 3], 2: [9]})
    assert not shared.holds
    assert shared.actual == "runs 0 and 1 share 1, 2"
    assert seeds_are_disjoint({0: [None], 1: [None]}).compared == 0  # and so nothing is shown


ERRORS = np.array([0.25, 0.5, 1.0])
HELD = np.array([[40, 45], [43, 41], [44, 43]])


def drawn(exponent: float, low: float = 1.0) -> np.ndarray:
    """Draws of a memory with such an exponent, where errors that are too low count `low` times."""
    rates = ERRORS[:, None] ** exponent * np.array([low, 1.0])
    return np.random.default_rng(0).poisson(50 * HELD * rates)


@pytest.mark.parametrize("exponent", [0.4, 0.6, 1.0])
def test_draws_follow_errors_by_their_exponent_and_of_either_sign(exponent):
    assert follow_errors(ERRORS, drawn(exponent), HELD, exponent).holds
    for other in (drawn(0.0), drawn(2.0), drawn(exponent, low=0.05)):
        assert not follow_errors(ERRORS, other, HELD, exponent).holds
    assert not follow_errors(ERRORS, np.zeros_like(HELD), HELD, exponent).holds


def test_new_rows_are_drawn_like_others_or_more():
    usual = np.full(64, 100)
    assert new_rows_are_drawn(np.full(8, 400), usual).holds
    assert new_rows_are_drawn(np.full(8, 90), usual).holds
    assert not new_rows_are_drawn(np.full(8, 3), usual).holds


@pytest.mark.parametrize("beta", [0.4, 1.0])
def test_weights_fall_as_shares_rise(beta):
    rates = ERRORS**0.6
    weights = (rates / rates.min()) ** -beta
    assert weights_make_up_for_shares(weights, rates).holds
    assert weights_make_up_for_shares(0.9 * weights, rates).holds  # by the largest of the memory
    for wrong in (3 * weights, weights**-1 * weights.min(), np.ones(3)):
        assert not weights_make_up_for_shares(wrong, rates).holds


def test_the_mean_is_learned_where_weights_make_up_for_priorities():
    rewards, chances = np.array([1.0, 0.0]), np.array([0.2, 0.8])
    assert mean_under_priorities(rewards, chances, 0.6, 1.0) == pytest.approx(0.2)
    # Where 0.2 * (1 - v) ** 1.6 = 0.8 * v ** 1.6.
    by_hand = 1 / (1 + 4 ** (1 / 1.6))
    assert mean_under_priorities(rewards, chances, 0.6, 0.0) == pytest.approx(by_hand)
