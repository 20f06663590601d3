"""The operating curve is that of the gate itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regression.gate.curves import Scores
from regression.gate.decide import MARGIN_SD, STAGE_TWO_SEEDS, decide
from regression.gate.permutation import permutation_p
from regression.gate.power import DROPS_SD, normal, operating_curves, p_values, resampled
from reports.schema import VerdictName


def generator(key: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


@given(key=st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_p_values_are_those_of_the_gate_where_all_arrangements_are_taken(key):
    draws = generator(key)
    reference, candidate = normal(draws, (3, 5)), normal(draws, (3, 4))
    found = p_values(draws, reference, candidate)
    for row in range(3):
        margin = MARGIN_SD * reference[row].std(ddof=1)
        expected = [
            permutation_p(reference[row], candidate[row] + margin - drop) for drop in DROPS_SD
        ]
        assert found[row].tolist() == pytest.approx(expected)


def test_p_values_agree_with_the_gate_where_arrangements_are_drawn():
    draws = generator()
    reference, candidate = normal(draws, (40, 30)), normal(draws, (40, 15))
    found = p_values(draws, reference, candidate)
    exact = np.array(
        [
            [permutation_p(ref, new + MARGIN_SD * ref.std(ddof=1) - drop) for drop in DROPS_SD]
            for ref, new in zip(reference, candidate, strict=True)
        ]
    )
    assert np.all(np.abs(found - exact) < 5 * np.sqrt(exact * (1 - exact) / 999) + 0.003)
    assert np.all(np.diff(found, axis=1) <= 0)


def test_the_curve_is_what_the_gate_does():
    """300 candidates that lost 1.5 SD, judged one by one, against the curve's share."""
    draws = generator(7)
    fails = trips = 0
    for _ in range(300):
        groups = [normal(draws, (1, size))[0] for size in (12, 5, STAGE_TWO_SEEDS)]
        reference, one, two = (
            Scores(areas, 0 * areas, 100 + 0 * areas, 100 + 0 * areas)
            for areas in (groups[0], groups[1] - 1.5, groups[2] - 1.5)
        )
        trips += decide("", reference, one).seeds_wanted > 0
        fails += decide("", reference, one, two).verdict is VerdictName.FAIL
    curve = operating_curves(normal(draws, (1, 12))[0], 5)[0]
    point = next(point for point in curve.points if point.drop_sd == 1.5)
    error = 4 * np.sqrt(0.25 / 300)
    assert fails / 300 == pytest.approx(point.fail, abs=error)
    assert trips / 300 == pytest.approx(point.fail + point.watch, abs=error)


def test_curves_rise_with_the_drop_and_are_the_same_when_asked_again():
    areas = normal(generator(), (1, 20))[0]
    curves = operating_curves(areas, 5)
    assert [curve.shape for curve in curves] == ["normal", "reference"]
    for curve in curves:
        fails = [point.fail for point in curve.points]
        assert fails == sorted(fails)
        assert fails[0] < 0.01
        assert fails[-1] > 0.95
        assert curve.healthy_seeds == 5 + 15 * (fails[0] + curve.points[0].watch)
    assert curves == operating_curves(areas.copy(), 5)


def test_more_references_see_more():
    few, many = (operating_curves(normal(generator(), (1, n))[0], 5)[0] for n in (6, 60))
    assert many.points[4].fail > few.points[4].fail + 0.1


def test_the_references_own_shape_has_mean_0_and_deviation_1():
    drawn = resampled(np.array([3.0, 5.0, 5.0, 11.0]))(generator(), (1, 1_000))
    assert len(np.unique(drawn)) == 3
    standard = (np.array([3.0, 5.0, 11.0]) - 6) / 3
    assert np.unique(drawn) == pytest.approx(standard)
