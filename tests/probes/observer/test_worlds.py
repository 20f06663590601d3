"""Tags of observations, and what a table does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from probes.observer.worlds import TERMINATED, TRUNCATED, World, read_tag, tagged_vector
from probes.recordings.reading_world import LENGTHS, NUM_STATES, reading_world


@pytest.mark.parametrize("size", [2, 3, 4, 6, 8, 12])
@pytest.mark.parametrize("factor", [1.0, 0.1, -2.0])
def test_every_observation_names_its_moment_scaled_or_not(size, factor):
    if size < NUM_STATES and factor != 1.0:
        pytest.skip("bits are told from their tag by their size")
    for state in range(NUM_STATES):
        for tag in (0, 1, 77, 2_000, 9_000):
            obs = tagged_vector(state, tag, NUM_STATES, size)
            assert obs.dtype == np.float32
            assert read_tag(factor * obs.astype(np.float64), NUM_STATES) == tag


def test_what_was_never_shown_has_no_tag():
    for strange in (np.zeros(4), np.full(4, np.nan), np.array([1.0, 0.0, 0.0, 0.0])):
        assert read_tag(strange, NUM_STATES) is None


def test_episodes_of_the_reading_world_end_by_turns_of_both_kinds():
    world, rng = World(reading_world()), np.random.default_rng(0)
    ends = []
    for episode in range(2 * len(LENGTHS)):
        state, age, end = world.start(rng), 0, 0
        while not end:
            age += 1
            state, reward, end = world.move(state, int(rng.integers(9)), age, episode, rng)
            assert -3 <= reward <= 1
        assert age == LENGTHS[episode % len(LENGTHS)]
        ends.append(end)
    assert set(pairwise(ends)) == {(TERMINATED, TRUNCATED), (TRUNCATED, TERMINATED)}


def test_playing_on_after_a_limit_comes_to_an_end():
    world, rng = World(reading_world()), np.random.default_rng(0)
    ends = [world.move(0, 0, age, 1, rng).end for age in range(1, 2 * LENGTHS[1] + 1)]
    assert ends.count(TRUNCATED) == LENGTHS[1]
    assert ends[-1] == TERMINATED


def test_a_table_ends_episodes_itself_and_owes_the_other_half_of_its_noise():
    table = reading_world() | {"lengths": [], "terminated": [[True] * 6] * 4,
                               "noise": [[0.5] * 6] * 4}  # fmt: skip
    world, rng = World(table), np.random.default_rng(0)
    moves = [world.move(0, 0, 1, 0, rng) for _ in range(10)]
    assert {move.end for move in moves} == {TERMINATED}
    rewards = [move.reward for move in moves]
    assert sorted(set(rewards)) == [0.5, 1.5]
    assert np.mean(rewards) == 1.0
