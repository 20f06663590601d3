"""Values that settle, that are on their way, and that go nowhere."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from probes.checks.support.settling import settle

SOLVED = np.array([[2.0, -4.0]])
TOLERANCE = 0.5


class Course:
    """A trial whose values are a function of the steps taken."""

    def __init__(self, values):
        self.values, self.steps = values, 0
        self.settings = SimpleNamespace(warmup_steps=64)

    def train(self, steps):
        self.steps += steps

    def q_table(self, shown):
        del shown
        return SOLVED * self.values(max(0, self.steps - 64))


def settled(values):
    course = Course(values)
    found = settle(course, None, SOLVED, tolerance=TOLERANCE, first=400, most=12_800)
    return found, found.holds(SOLVED, TOLERANCE), course.steps


def noise(size):
    rng = np.random.default_rng(0)
    return lambda n: (n > 0) + size * rng.normal()


@pytest.mark.parametrize(
    ("values", "holds", "most"),
    [
        (lambda n: 1 - np.exp(-n / 50), True, 464),  # quick
        (lambda n: 1 - np.exp(-n / 1_000), True, 12_864),  # twenty times slower
        (lambda n: min(1.0, n / 3_000), True, 12_864),  # at a steady pace
        (lambda n: 0.5 * (1 - np.exp(-n / 50)), False, 464),  # quick, and wrong
        (lambda n: 0.5 * (1 - np.exp(-n / 1_000)), False, 12_864),
        (lambda n: 0 * n, False, 464),  # nothing moves
        (lambda n: n / 40_000, None, 12_864),  # too slow, but on its way
        (lambda n: -n / 10_000, False, 12_864),  # the other way
        (lambda n: np.exp(n / 1_000), False, 12_864),  # diverges
        (noise(0.01), True, 12_864),
    ],
    ids=[
        *("quick", "slow", "steady", "quick and wrong", "slow and wrong", "nothing moves"),
        *("too slow", "the other way", "diverges", "noisy"),
    ],
)
def test_values_are_judged_by_where_they_come_to_rest(values, holds, most):
    found, judged, steps = settled(values)
    assert judged is holds, found
    assert steps <= most


def test_a_value_on_its_way_through_the_right_one_is_not_right():
    """At a steady pace it is within the tolerance for a while, and goes on."""
    _, judged, _ = settled(lambda n: 2 * (1 - np.exp(-n / 3_000)))
    assert judged is not True
