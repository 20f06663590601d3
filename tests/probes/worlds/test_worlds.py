"""Worlds: solved values against values worked out by hand, and the power to see each fault.

The power is shown twice: on the tables, and by a learner that shares nothing with their solution.
It sees what an environment shows, and learns by averaging, rightly or with one thing done wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import pytest

from probes.checks.worlds import GAMMA
from probes.worlds.env import WorldEnv, observations
from probes.worlds.tables import (
    BRANCHING,
    CONSTANT_REWARD,
    DELAYED_REWARD,
    FLICKER,
    NOISY_REWARD,
    REWARD_BY_ACTION,
    REWARD_BY_OBS,
    REWARD_BY_OBS_AND_ACTION,
    TIME_LIMIT,
    TWO_ENDS,
    TWO_STEP,
    VELOCITY,
    WIDE_VALUES,
    WORLDS,
)
from probes.worlds.world import BACKUPS, BLANK, Semantics

by_name = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
each_claim = pytest.mark.parametrize(
    ("world", "semantics"),
    [(world, semantics) for world in WORLDS for semantics in world.separates],
    ids=lambda value: getattr(value, "name", value),
)


@pytest.mark.parametrize(
    ("world", "values"),
    [
        (CONSTANT_REWARD, [[2]]),
        (REWARD_BY_OBS, [[-2], [2]]),
        (TWO_STEP, [[2], [4]]),  # 0.5 * 4, 4
        (REWARD_BY_ACTION, [[-2, 2]]),
        (REWARD_BY_OBS_AND_ACTION, [[2, -2], [-2, 2]]),
        (BRANCHING, [[2, 0], [-4, 4], [0, -4]]),
        (DELAYED_REWARD, [[0.5], [1], [2], [4], [8]]),
        (WIDE_VALUES, [[-30, 30]]),
        (NOISY_REWARD, [[1.9]]),
        (TIME_LIMIT, [[4], [4], [4]]),  # 2 / (1 - 0.5)
        (TWO_ENDS, [[-6], [-4], [4], [4]]),
        (VELOCITY, [[2]] * 4 + [[-2]] * 4),
        (FLICKER, [[2]] * 4 + [[-2]] * 4),
    ],
)
def test_solved_values_by_hand(world, values):
    np.testing.assert_allclose(world.solve(0.5), values)


@pytest.mark.parametrize(
    ("world", "semantics", "values"),
    [
        (CONSTANT_REWARD, "terminal ignored", [[4]]),  # 2 / (1 - 0.5)
        (TWO_STEP, "discount missing", [[4], [4]]),
        (TWO_STEP, "discount twice", [[1], [4]]),
        (TWO_STEP, "bootstrap lost", [[0], [4]]),
        (REWARD_BY_OBS, "observation ignored", [[0], [0]]),
        (REWARD_BY_ACTION, "action ignored", [[0, 0]]),
        (REWARD_BY_OBS_AND_ACTION, "reward lost", [[0, 0], [0, 0]]),
        (BRANCHING, "behaviour's value", [[0, -1], [-4, 4], [0, -4]]),
        (BRANCHING, "maximum over the batch", [[2, 2], [-4, 4], [0, -4]]),
        (BRANCHING, "same action", [[-2, -2], [-4, 4], [0, -4]]),
        (DELAYED_REWARD, "two steps at most", [[0], [0], [0], [4], [8]]),
        (WIDE_VALUES, "values squashed", [[0, 1]]),
        (WIDE_VALUES, "reward clipped", [[-1, 1]]),
        (NOISY_REWARD, "reward truncated", [[1]]),  # the mean of 2 and 0
        (TIME_LIMIT, "time limit terminates", [[3.5], [3], [2]]),
        (TWO_ENDS, "time limit terminates", [[-6], [-4], [3], [2]]),
        (VELOCITY, "frames reversed", [[2], [2], [2], [-2], [-2], [-2], [-2], [2]]),
        (FLICKER, "newest frame only", [[1], [0], [0], [0], [-1], [0], [0], [0]]),
    ],
)
def test_faulty_values_by_hand(world, semantics, values):
    np.testing.assert_allclose(world.solve(0.5, semantics), values)


@each_claim
def test_a_world_can_tell_right_from_each_faulty_semantics_it_claims(world, semantics):
    right, tolerance = world.solve(GAMMA), world.tolerance(GAMMA)
    assert 0 < tolerance <= np.abs(world.solve(GAMMA, semantics) - right).max() / 4
    assert world.resembling(right, GAMMA) == []
    assert semantics in world.resembling(world.solve(GAMMA, semantics), GAMMA)


def test_together_the_worlds_separate_every_semantics():
    separated = {semantics for world in WORLDS for semantics in world.separates}
    of_variants = {"n rewards, one discount"}  # which only n-step returns can have
    assert separated | of_variants | {"right"} == set(BACKUPS) == set(get_args(Semantics))


@dataclass(frozen=True, eq=False)
class Seen:
    """A transition, and what a fault may confuse with it."""

    obs: bytes
    action: int
    reward: float
    next_obs: bytes
    terminated: bool
    truncated: bool
    next_start: bytes  # first observation of the next episode


def play(world, view, steps):
    """Transitions of an agent that acts at random."""
    env = WorldEnv(world, view)
    actions = np.random.Generator(np.random.Philox(key=1)).integers(world.num_actions, size=steps)
    rows, obs = [], env.reset(seed=1)[0]
    for action in actions:
        next_obs, reward, terminated, truncated, _ = env.step(action)
        start = env.reset()[0] if terminated or truncated else next_obs
        shown = [value.tobytes() for value in (obs, next_obs, start)]
        rows.append(Seen(shown[0], int(action), reward, shown[1], terminated, truncated, shown[2]))
        obs = start
    return rows


def reversed_stack(obs):
    return np.frombuffer(obs, np.uint8).reshape(4, -1)[::-1].tobytes()


def newest_frame(obs):
    return obs[-len(obs) // 4 :]


# What a fault makes of a transition...
ROWS = {
    "terminal ignored": lambda row: replace(row, terminated=False),
    "time limit terminates": lambda row: replace(row, terminated=row.terminated or row.truncated),
    "final observation lost": lambda row: replace(row, next_obs=row.next_start),
    "bootstrap lost": lambda row: replace(row, terminated=True),
    "observation ignored": lambda row: replace(row, obs=b"", next_obs=b""),
    "reward lost": lambda row: replace(row, reward=0.0),
    "reward clipped": lambda row: replace(row, reward=float(np.sign(row.reward))),
    "reward truncated": lambda row: replace(row, reward=float(int(row.reward))),
    "frames reversed": lambda row: replace(
        row, obs=reversed_stack(row.obs), next_obs=reversed_stack(row.next_obs)
    ),
    "newest frame only": lambda row: replace(
        row, obs=newest_frame(row.obs), next_obs=newest_frame(row.next_obs)
    ),
}
# ... of the next Q-values [B, A], given the actions taken [B]...
NEXT_VALUES = {
    "behaviour's value": lambda q, _: q.mean(axis=1),
    "minimum": lambda q, _: q.min(axis=1),
    "first action": lambda q, _: q[:, 0],
    "same action": lambda q, action: q[np.arange(len(q)), action],
    "maximum over the batch": lambda q, _: np.full(len(q), q.max()),
}
# ... of the discount, and of how the targets of one Q-value become its value.
DISCOUNTS = {"discount missing": 1.0, "discount twice": GAMMA**2}
MERGED = {"highest reward": max, "values squashed": lambda targets: np.clip(np.mean(targets), 0, 1)}
# How an observation is looked up, where that is not how it is.
LOOKED_UP = {"observation ignored": lambda _: b"", "newest frame only": newest_frame}


@dataclass
class Averager:
    """Q-learning by averaging targets, over and over, with a target table synced in between."""

    semantics: str
    num_actions: int
    q: dict[bytes, np.ndarray] = field(default_factory=dict)

    def values(self, obs):
        return self.q.get(obs, np.zeros(self.num_actions))

    def sweep(self, rows):
        next_q = np.array([self.values(row.next_obs) for row in rows])
        valued = NEXT_VALUES.get(self.semantics, lambda q, _: q.max(axis=1))
        next_value = valued(next_q, np.array([row.action for row in rows]))
        discount = DISCOUNTS.get(self.semantics, GAMMA)
        targets = {}
        for row, value in zip(rows, next_value, strict=True):
            all_alike = self.semantics == "action ignored"
            for action in range(self.num_actions) if all_alike else [row.action]:
                target = row.reward + (0.0 if row.terminated else discount * value)
                targets.setdefault((row.obs, action), []).append(target)
        merged = MERGED.get(self.semantics, np.mean)
        self.q = {obs: np.zeros(self.num_actions) for obs, _ in targets}
        for (obs, action), values in targets.items():
            self.q[obs][action] = merged(values)

    def table(self, observed):
        look_up = LOOKED_UP.get(self.semantics, lambda obs: obs)
        return np.array([self.values(look_up(obs.tobytes())) for obs in observed])


def learned(world, semantics):
    """What is learned under some semantics, [S, A], in the budget of a check."""
    view = "frames" if world in (VELOCITY, FLICKER) else "vector"
    rows = [ROWS.get(semantics, lambda row: row)(row) for row in play(world, view, 400)]
    learner = Averager(semantics, world.num_actions)
    for _ in range(2 if semantics == "two steps at most" else 40):  # as many as a check has syncs
        learner.sweep(rows)
    return learner.table(observations(world, view))


@by_name
def test_a_right_learner_is_within_the_tolerance(world):
    assert np.abs(learned(world, "right") - world.solve(GAMMA)).max() < world.tolerance(GAMMA) / 4


@each_claim
def test_a_faulty_learner_is_outside_and_is_named(world, semantics):
    values = learned(world, semantics)
    assert np.abs(values - world.solve(GAMMA)).max() > 2 * world.tolerance(GAMMA)
    if semantics != "frames reversed":  # where nothing was learned, the table says nothing
        assert semantics in world.resembling(values, GAMMA)


def test_reversed_frames_swap_the_ways_where_stacks_mirror_each_other():
    values = learned(VELOCITY, "frames reversed")
    np.testing.assert_allclose(values[[3, 7]], VELOCITY.solve(GAMMA, "frames reversed")[[3, 7]])


def test_a_stack_repeats_the_first_frame_and_forgets_after_four():
    assert VELOCITY.path(2) == [0, 1, 2]
    assert VELOCITY.stack([0, 1]) == [0, 0, 0, 1]
    assert FLICKER.stack([4, 5, 6, 7]) == [3, BLANK, BLANK, BLANK]


def test_a_red_world_says_which_semantics_its_values_fit():
    values = TWO_STEP.solve(GAMMA, "discount missing") + 0.1
    assert TWO_STEP.resembling(values, GAMMA) == ["discount missing"]
    assert TWO_STEP.resembling(values + 100, GAMMA) == []
