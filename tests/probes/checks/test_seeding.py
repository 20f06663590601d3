"""How many different starts tell seeds apart."""

from __future__ import annotations

import numpy as np

from probes.checks import seeding


def test_as_many_different_starts_as_are_asked_for_are_all_but_certain():
    # Exact odds of how many of 16 values 48 draws show, by recursion over the draws.
    shown = np.zeros(17)
    shown[0] = 1.0
    for _ in range(48):
        old = np.arange(17) / 16
        shown = shown * old + np.roll(shown * (1 - old), 1)
    needed = seeding._distinct(48, 16)
    assert shown[:needed].sum() < 1e-8
    assert 1 < needed <= 16
