"""Exact p-values by permutation, and Holm's correction."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regression.gate.permutation import holm, permutation_p, smallest_p
from tests.regression.gate.test_decide import normal


def test_p_value_equals_counting_all_arrangements():
    better, worse = normal(6), normal(4, -0.7, key=1)
    pooled = np.concatenate([better, worse])
    observed = better.mean() - worse.mean()
    as_extreme = 0
    for chosen in combinations(range(10), 4):
        inside = np.isin(np.arange(10), chosen)
        as_extreme += pooled[~inside].mean() - pooled[inside].mean() >= observed - 1e-12
    assert permutation_p(better, worse) == pytest.approx(as_extreme / comb(10, 4))


def test_random_permutations_agree_with_all_of_them(monkeypatch):
    better, worse = normal(12), normal(6, -1.0, key=1)
    exact = permutation_p(better, worse)
    monkeypatch.setattr("regression.gate.permutation.comb", lambda *_: 10**9)
    from regression.gate.permutation import _arrangements

    _arrangements.cache_clear()
    drawn = permutation_p(better, worse)
    _arrangements.cache_clear()
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=5 * np.sqrt(exact / 9_999))


@pytest.mark.parametrize(
    ("reference", "candidate", "expected"),
    [(3, 3, 1 / 20), (20, 5, 1 / 53_130), (6, 4, 1 / 210), (30, 15, 1 / 10_000)],
)
def test_smallest_p_is_reached_by_complete_separation(reference, candidate, expected):
    assert smallest_p(reference, candidate) == pytest.approx(expected)
    assert permutation_p(normal(reference), normal(candidate, -100)) == pytest.approx(expected)


# 30 against 15 takes random arrangements, 6 against 4 takes all.
sizes = st.sampled_from([(30, 15), (6, 4)])
whole_numbers = st.integers(-1000, 1000)


@st.composite
def two_groups(draw):
    """Whole numbers, so that sums are exact and ties are ties."""
    n, k = draw(sizes)
    values = draw(st.lists(whole_numbers, min_size=n + k, max_size=n + k))
    return np.array(values[:n], float), np.array(values[n:], float)


@given(groups=two_groups(), zero=whole_numbers, power=st.integers(-8, 8))
@settings(max_examples=60, deadline=None)
def test_p_has_no_zero_no_unit_and_no_order(groups, zero, power):
    better, worse = groups
    unit = 2.0**power
    again = permutation_p(unit * (better[::-1] + zero), unit * (worse[::-1] + zero))
    assert again == permutation_p(better, worse)


@given(groups=two_groups(), drops=st.lists(st.integers(0, 500), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_p_never_rises_as_the_candidate_falls(groups, drops):
    better, worse = groups
    p_values = [permutation_p(better, worse - drop) for drop in sorted(drops)]
    assert p_values == sorted(p_values, reverse=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_rejects_what_the_procedure_rejects(p_values):
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.5):
        # As Holm has it: from the smallest on, as long as p is at most alpha / (tests left).
        rejected = 0
        for left, p in zip(range(len(p_values), 0, -1), sorted(p_values), strict=True):
            if p * left > alpha:
                break
            rejected += 1
        assert sum(p <= alpha for p in adjusted) == rejected
    assert [adjusted[i] for i in np.argsort(p_values)] == sorted(adjusted)


def test_holm_on_an_example_worked_by_hand():
    # 0.01 x 4; then 0.02 x 3 and 0.03 x 2, both 0.06; then 0.9 x 1.
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
