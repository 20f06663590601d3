"""Streams: fixed by seed, name and segment, and different by each."""

from __future__ import annotations

import pytest

from dqn_core.streams import STREAM_NAMES, Stream


def test_a_stream_is_fixed_by_seed_name_and_segment():
    # Pinned: a change of these numbers would move every run ever recorded.
    assert Stream(0, "explore").uniform(2).tolist() == pytest.approx(
        [0.24621329, 0.03313088], abs=1e-8
    )
    assert Stream(0, "replay", 3).integers(1_000_000, 3).tolist() == [895_863, 505_348, 781_897]


def test_streams_differ_by_seed_by_name_and_by_segment():
    keys = [(0, name, 0) for name in STREAM_NAMES] + [(1, "env", 0), (0, "env", 1), (11, "env", 0)]
    draws = [tuple(Stream(*key).uniform(4)) for key in keys]
    assert len(set(draws)) == len(keys)


def test_one_draw_of_many_equals_many_draws_of_one():
    single = Stream(3, "explore")
    assert Stream(3, "explore").uniform(5, 2).ravel().tolist() == [
        float(single.uniform(1)[0]) for _ in range(10)
    ]


def test_integers_reach_both_ends_and_no_further():
    drawn = Stream(0, "replay").integers(3, 300)
    assert set(drawn.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("key", [(0, "exploit", 0), (-1, "env", 0), (0, "env", -1)])
def test_unknown_streams_and_negative_keys_are_refused(key):
    with pytest.raises(ValueError, match=r"unknown stream|must not be negative"):
        Stream(*key)
