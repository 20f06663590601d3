"""The counter world: stamps, stacks, lengths and its ledger."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from probes.worlds.stamped_env import (
    LENGTHS,
    Stamp,
    StampedEnv,
    distinct_reward,
    draw_stack,
    draw_vector,
    read_stamps,
)
from probes.worlds.world import STACK
from tests.probes.played import played

views = pytest.mark.parametrize("view", ["vector", "frames"])


@views
def test_every_observation_is_one_of_the_declared_space(view):
    ledger, _ = played(view)
    space = StampedEnv(0, view, ledger).observation_space
    assert all(space.contains(obs) for obs in ledger.shown.values())


@views
def test_observations_carry_their_stamps(view):
    stamps = [Stamp(env, episode, age) for env in (0, 7) for episode in (0, 250) for age in (0, 6)]
    paint = draw_vector if view == "vector" else draw_stack
    assert read_stamps(np.stack([paint(stamp) for stamp in stamps])) == stamps


def test_what_is_no_observation_gets_a_stamp_that_was_never_shown():
    ledger, _ = played()
    garbage = np.array([[np.nan, 0, 0, 0], [np.inf, 0, 0, 0], [0.3, 0.1, 9.0, 0]], np.float32)
    assert not set(read_stamps(garbage)) & set(ledger.shown)


def test_stacks_repeat_the_first_frame_and_use_every_pixel_value():
    young, old = draw_stack(Stamp(1, 2, 1)), draw_stack(Stamp(1, 2, 6))
    assert [s.age for s in read_stamps(young[:, None])] == [0, 0, 0, 1]
    assert [s.age for s in read_stamps(old[:, None])] == [3, 4, 5, 6]
    assert len(np.unique(young[-1])) == 256


def test_each_length_occurs_with_both_ends_and_some_exceed_a_stack():
    starts = [Stamp(env, episode, 0) for env in range(3) for episode in range(10)]
    assert {(s.length, s.truncates) for s in starts} == {(n, e) for n in LENGTHS for e in (0, 1)}
    assert min(LENGTHS) == 1
    assert max(LENGTHS) > STACK


def test_steps_near_by_have_other_rewards_that_fit_into_a_byte():
    ledger, _ = played(episodes=40)
    rewards = [step.reward for step in ledger.taken.values()]
    assert all(a != b for a, b in pairwise(rewards))
    assert len({distinct_reward(Stamp(env, 3, 1)) for env in range(8)}) == 8
    assert all(0 <= reward <= 100 for reward in rewards)


def test_the_ledger_sums_whole_episodes_only():
    ledger, _ = played(episodes=3)
    world = StampedEnv(1, "vector", ledger)
    whole = ledger.returns(1, since=0)
    assert len(whole) == 3
    assert ledger.returns(1, since=1) == whole[1:]
    assert ledger.returns(0, since=0) == []
    first = [step.reward for stamp, step in ledger.taken.items() if stamp.episode == 0]
    assert whole[0] == sum(first)
    world.reset()  # another environment of that number begins anew, and stops in its midst
    world.step(0)
    assert len(ledger.returns(1, since=1)) == 2


@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_no_smaller_type_keeps_the_observations(dtype):
    obs = draw_vector(Stamp(2, 3, 4))
    assert (np.abs(obs).astype(dtype).astype(np.float32) != np.abs(obs)).any()
