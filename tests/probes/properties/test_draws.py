"""Draws and seeds of runs that must have nothing in common."""

from __future__ import annotations

from probes.properties.draws import indices_differ, seeds_are_disjoint


def test_the_same_draws_in_two_runs_are_seen():
    assert indices_differ([1, 2, 3], [1, 2, 4]).holds
    assert not indices_differ([1, 2, 3], [1, 2, 3]).holds


def test_a_seed_in_two_runs_is_named():
    assert seeds_are_disjoint({0: [5, None, 6], 1: [7, None, 8]}).holds
    shared = seeds_are_disjoint({0: [0, 1, 2], 1: [1, 2, 3], 2: [9]})
    assert not shared.holds
    assert shared.actual == "runs 0 and 1 share 1, 2"
    assert seeds_are_disjoint({0: [None], 1: [None]}).compared == 0  # and so nothing is shown
