"""Counts against their exact odds."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binom

from probes.checks.support.chance import UNLIKELY, ChanceTally, weigh


@pytest.mark.parametrize(("trials", "chance"), [(40, 0.22), (240, 0.0875), (240, 0.25), (120, 0.9)])
def test_a_healthy_count_is_refused_less_often_than_promised(trials, chance):
    refused = [
        count
        for count in range(trials + 1)
        if not weigh([ChanceTally("", count, trials, chance, chance)]).holds
    ]
    assert refused
    assert binom.pmf(refused, trials, chance).sum() < 2 * UNLIKELY  # two sides


def test_the_surprise_of_a_count_by_hand():
    assert ChanceTally("", 4, 8, 0.25, 0.75).surprise == 0.0  # inside
    assert ChanceTally("", 0, 8, 0.25, 0.5).surprise == pytest.approx(8 * math.log(1 / 0.75))
    assert ChanceTally("", 8, 8, 0.25, 0.5).surprise == pytest.approx(8 * math.log(2))
    assert ChanceTally("", 1, 8, 0.0, 0.0).surprise == math.inf  # impossible
    assert ChanceTally("", 7, 8, 1.0, 1.0).surprise == math.inf
    assert ChanceTally("", 8, 8, 1.0, 1.0).surprise == 0.0


def test_the_most_surprising_count_is_told_and_nothing_counted_is_nothing_compared():
    outcome = weigh(
        [ChanceTally("heads", 50, 100, 0.5, 0.5), ChanceTally("sixes", 90, 100, 0.1, 0.2)]
    )
    assert (outcome.expected, outcome.actual) == ("about 10 to 20 of 100 sixes", "90")
    assert not outcome.holds
    assert outcome.compared == 200
    assert weigh([ChanceTally("", 0, 0, 0.5, 0.5)]).compared == 0
