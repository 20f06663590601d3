"""The decision rule: exact p-values, operating figures, verdicts as functions of their inputs."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from regression.gate import (
    ALPHA,
    AREA,
    MARGIN_SD,
    compare,
    decide,
    permutation_p,
    seeds_needed,
    smallest_p,
)
from reports.schema import VerdictName


def normal(count: int, mean: float = 0.0, key: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=key)).normal(mean, 1.0, count)


def verdict(reference: np.ndarray, candidate: np.ndarray) -> tuple[VerdictName, str]:
    area = compare(AREA, "return", reference, candidate, decides=True)
    return decide(area, reference, candidate)


def test_p_value_equals_counting_all_arrangements():
    better, worse = normal(6), normal(4, -0.7, key=1)
    pooled = np.concatenate([better, worse])
    observed = better.mean() - worse.mean()
    as_extreme = 0
    for chosen in combinations(range(10), 4):
        inside = np.isin(np.arange(10), chosen)
        as_extreme += pooled[~inside].mean() - pooled[inside].mean() >= observed - 1e-12
    assert permutation_p(better, worse) == pytest.approx(as_extreme / comb(10, 4))


def test_random_permutations_are_a_function_of_the_data():
    better, worse = normal(30), normal(15, key=1)  # far too many arrangements to enumerate
    first = permutation_p(better, worse)
    assert first == permutation_p(better.copy(), worse.copy())
    assert 0 < first < 1


@pytest.mark.parametrize(
    ("reference", "candidate", "expected"), [(3, 3, 1 / 20), (20, 5, 1 / 53_130), (6, 4, 1 / 210)]
)
def test_smallest_p_is_reached_by_complete_separation(reference, candidate, expected):
    assert smallest_p(reference, candidate) == pytest.approx(expected)
    assert permutation_p(normal(reference), normal(candidate, -100)) == pytest.approx(expected)


def test_a_healthy_candidate_passes_and_a_ruined_one_fails():
    assert verdict(normal(20), normal(5, key=1))[0] is VerdictName.PASS
    name, sentence = verdict(normal(20), normal(5, -3, key=1))
    assert name is VerdictName.FAIL
    assert "below the reference (p = " in sentence


def test_much_better_is_a_verdict_of_its_own():
    name, sentence = verdict(normal(20), normal(5, 3, key=1))
    assert name is VerdictName.BETTER
    assert "explain it" in sentence


def test_a_drop_within_the_margin_is_no_drop():
    reference = np.arange(20.0)
    spread = reference.std(ddof=1)
    # The same values, lower by less than the margin: never worse than chance.
    shifted = compare(AREA, "return", reference, reference - 0.2 * spread, decides=True)
    assert MARGIN_SD == 0.25
    assert shifted.p_value > 0.5


def test_too_few_seeds_are_inconclusive_and_say_how_many_would_do():
    name, sentence = verdict(normal(6), normal(2, -100, key=1))
    assert name is VerdictName.INCONCLUSIVE
    assert "2 seeds against 6 cannot show anything" in sentence
    assert "4 seeds could" in sentence
    assert smallest_p(6, 3) > ALPHA >= smallest_p(6, 4)
    assert seeds_needed(6) == 4


def test_false_alarms_and_power_by_simulation():
    """Five seeds against twenty, 400 healthy candidates and 200 that lost three deviations."""
    alarms = [
        verdict(normal(20, key=2 * k), normal(5, key=2 * k + 1))[0] is VerdictName.FAIL
        for k in range(400)
    ]
    caught = [
        verdict(normal(20, key=2 * k), normal(5, -3, key=2 * k + 1))[0] is VerdictName.FAIL
        for k in range(200)
    ]
    # Alpha is 1 %; the margin makes alarms rarer still. 12 of 400 would be 6 deviations off.
    assert sum(alarms) < 8
    assert sum(caught) > 190
