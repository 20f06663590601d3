"""The counter world, the audit of what is stored there, and the power of what is derived."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from probes.checks import evaluation, replay, sampling
from probes.checks.checkpoints import LOOP, ROUNDING, resumed
from probes.checks.support.replay_audit import (
    CAPACITY,
    DRAWS,
    LOOK,
    READY,
    STEPS,
    AuditTally,
    audit,
    draw,
    stamped_trial,
)
from probes.checks.support.testbed import Testbed
from probes.subject import Misbehaviour, Transitions
from probes.subjects.core import make
from probes.worlds.env import WorldEnv, observations
from probes.worlds.stamped_env import (
    LENGTHS,
    Ledger,
    Stamp,
    StampedEnv,
    distinct_reward,
    draw_stack,
    draw_vector,
    read_stamps,
)
from probes.worlds.world import STACK

views = pytest.mark.parametrize("view", ["vector", "frames"])


def played(view="vector", env=1, episodes=10):
    """A ledger of some episodes, and the true transitions in it."""
    ledger = Ledger()
    world = StampedEnv(env, view, ledger)
    for episode in range(episodes):
        world.reset()
        for age in range(Stamp(env, episode, 0).length):
            world.step((episode + age) % 5)
    stamps = list(ledger.taken)
    steps = list(ledger.taken.values())
    true = Transitions(
        obs=np.stack([ledger.shown[stamp] for stamp in stamps]),
        action=np.array([step.action for step in steps]),
        reward=np.array([step.reward for step in steps], np.float32),
        next_obs=np.stack([ledger.shown[stamp.following] for stamp in stamps]),
        terminated=np.array([step.terminated for step in steps]),
    )
    return ledger, true


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


def test_true_transitions_pass_the_audit_in_every_aspect():
    tallies = audit(*played())
    assert not [tally for tally in tallies.values() if tally.expected]
    assert all(tally.compared for tally in tallies.values())


def broken(column, change, where):
    """A way to break a column of the true transitions, and the aspect that it must be named as."""

    def apply(ledger, true):
        steps = list(ledger.taken.values())
        rows = {
            "anywhere": np.ones(len(steps), bool),
            "within": np.array([not (s.terminated or s.truncated) for s in steps]),
            "at ends": np.array([s.terminated for s in steps]),
            "at limits": np.array([s.truncated for s in steps]),
        }[where]
        values = getattr(true, column).copy()
        values[rows] = change(values)[rows]
        return true._replace(**{column: values})

    return apply


@pytest.mark.parametrize(
    ("aspect", "breaking"),
    [
        ("transition", broken("action", lambda a: (a + 1) % 5, "anywhere")),
        ("transition", broken("reward", lambda r: np.roll(r, 1), "anywhere")),
        ("transition", broken("next_obs", lambda o: np.roll(o, -1, axis=0), "within")),
        ("transition", broken("obs", lambda o: o + 1, "anywhere")),
        ("transition", broken("terminated", lambda t: ~t, "at ends")),
        ("transition", broken("terminated", lambda t: ~t, "within")),
        ("final observation", broken("next_obs", lambda o: np.roll(o, -1, axis=0), "at limits")),
        ("time limit", broken("terminated", lambda t: ~t, "at limits")),
    ],
)
def test_what_is_broken_is_named_and_nothing_else(aspect, breaking):
    ledger, true = played()
    tallies = audit(ledger, breaking(ledger, true))
    assert [name for name, tally in tallies.items() if tally.expected] == [aspect]


def test_a_step_from_a_final_observation_is_a_dead_one_and_nothing_else():
    ledger, true = played()
    ends = np.flatnonzero([step.truncated for step in ledger.taken.values()])
    dead = Transitions(*(np.array(column) for column in true))
    dead.obs[ends] = true.next_obs[ends]
    tallies = audit(ledger, dead)
    assert [name for name, tally in tallies.items() if tally.expected] == ["dead step"]


def test_what_follows_the_end_of_the_task_does_not_matter():
    ledger, true = played()
    lost = broken("next_obs", np.zeros_like, "at ends")(ledger, true)
    assert not [tally for tally in audit(ledger, lost).values() if tally.expected]


def test_a_tally_tells_the_first_difference_and_counts_all():
    tally = AuditTally()
    tally.note(1, 1, "here")
    tally.note(1, 2, "there")
    tally.note(1, 3, "elsewhere")
    outcome = tally.outcome("ones")
    assert (outcome.holds, outcome.expected, outcome.actual) == (False, "there: 1", "2")
    assert outcome.compared == 3
    assert not AuditTally().outcome("nothing").compared


def test_columns_of_another_shape_break_the_protocol():
    trial, _ = stamped_trial(Testbed(make, seed=0))
    trial.train(READY)
    whole = trial.subject.sample
    assert draw(trial, LOOK).obs.shape == (LOOK, 4)
    trial.subject.sample = lambda size: whole(size)._replace(action=np.zeros((size, 1)))
    with pytest.raises(Misbehaviour, match=r"sample\(16\)\.action of shape \(16,\)"):
        draw(trial, LOOK)


def test_looks_and_draws_miss_nothing():
    # Any one of the transitions of a memory, at one of the wrap positions that come up thrice.
    assert ((CAPACITY - 1) / CAPACITY) ** (LOOK * (STEPS - CAPACITY)) < 1e-15
    moments = STEPS // (CAPACITY // 3)
    assert CAPACITY * moments * np.exp(-DRAWS) < 1e-10


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.float16])
def test_no_smaller_type_keeps_the_hard_rewards(dtype):
    rewards = np.array(replay.HARD_REWARDS)
    with np.errstate(all="ignore"):
        assert (rewards.astype(np.int64).astype(dtype) != rewards).any()
        assert (np.clip(rewards, -1, 1) != rewards).any()
    assert (rewards.astype(np.float16) != rewards).any()
    assert (rewards.astype(np.float32) == rewards).all()


@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_no_smaller_type_keeps_the_observations(dtype):
    obs = draw_vector(Stamp(2, 3, 4))
    assert (np.abs(obs).astype(dtype).astype(np.float32) != np.abs(obs)).any()


def test_the_newest_step_may_wait_and_the_oldest_may_give_way_to_final_observations():
    ledger, _ = played(episodes=60)
    due, allowed = sampling._recent(ledger)
    newest_first = list(reversed(ledger.taken))
    assert newest_first[0] not in due
    assert newest_first[1] in due
    assert due < allowed
    assert allowed == set(newest_first[:CAPACITY])
    mean = np.mean(LENGTHS)  # steps for each final observation
    assert len(due) == pytest.approx(CAPACITY * mean / (mean + 1) - 3, abs=2)


class Biased:
    """Draws of which every second transition is so much likelier than the others."""

    def __init__(self, ratio, seed):
        self.chance = np.where(np.arange(CAPACITY) % 2, ratio, 1.0)
        self.chance /= self.chance.sum()
        self.rng = np.random.Generator(np.random.Philox(key=seed))

    def __call__(self, trial, size):
        del trial
        rows = self.rng.choice(CAPACITY, size, p=self.chance)
        return (Stamp(0, int(row), 0) for row in rows)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("ratio", "holds"), [(1.0, True), (1.5, False)])
def test_a_bias_of_a_half_is_seen(monkeypatch, ratio, holds, seed):
    monkeypatch.setattr(sampling, "sampled_stamps", Biased(ratio, seed))
    assert sampling.sampled_uniformly(Testbed(make, seed=0)).holds is holds


def test_a_common_epsilon_passes_and_a_large_one_does_not():
    most = int(evaluation.MOST_STRAY * evaluation.CHOICES)
    assert binom.sf(most, evaluation.CHOICES, 0.1 / 2) < 1e-6
    assert binom.sf(most, evaluation.CHOICES, 0.5 / 2) > 1 - 1e-5


def test_evaluated_episodes_are_told_apart_by_their_returns():
    stamps = [Stamp(env, episode, 0) for env in range(6) for episode in range(35)]
    returns = {}
    for start in stamps:
        total = sum(evaluation.big_and_small(start._replace(age=a)) for a in range(start.length))
        returns.setdefault(round(total, 4), []).append(start)
    assert len(returns) == len(stamps)


@pytest.mark.parametrize(
    ("reported", "gaps"), [([], 0), ([1.0], 0), ([1.0, 2.0], 0), ([3.0], 2), ([1.0, 3.0], 1)]
)
def test_gaps_are_what_was_left_out_before_the_last_reported(reported, gaps):
    assert evaluation._gaps([1.0, 2.0, 3.0], reported) == gaps


def test_the_loop_feeds_on_itself():
    assert LOOP.solve(0.5).tolist() == [[4.0]]  # 2 / (1 - 0.5)
    assert LOOP.truncated.all()


def test_a_subject_that_restores_nothing_is_far_from_the_one_that_was_saved():
    saved, loaded = resumed(Testbed(make, seed=0), lambda _: WorldEnv(LOOP, "vector"))
    fresh = Testbed(make, seed=0).trial(lambda _: WorldEnv(LOOP, "vector"))
    shown = observations(LOOP, "vector")
    assert np.abs(loaded.q_table(shown) - saved.q_table(shown)).max() == 0
    assert np.abs(fresh.q_table(shown) - saved.q_table(shown)).max() > 1e4 * ROUNDING
