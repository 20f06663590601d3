"""A world with known overestimation: known by hand, and seen by learners that share no code.

The learner is a table with a short memory and a lagged copy: no network, no optimizer, no torch.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from

from probes.checks.overestimation import (
    CHECKS,
    OBSERVATIONS,
    OVERESTIMATION,
    PRIZE,
    SPELLS_STEPS,
    WARMUP_STEPS,
    TurningRewards,
    settings_of,
)
from probes.checks.registry import check_named
from probes.running.run_check import run_check
from probes.subject import Settings, Unsupported
from reports.schema import FindingStatus

PLAIN, DOUBLE = (check.code for check in CHECKS)
SPELL_STEPS = SPELLS_STEPS[0]

# The next value, from the second state's Q-values [A] in the online and in the target table.
FORMS = {
    "plain": lambda _, target: target.max(),
    "double": lambda online, target: target[online.argmax()],
    "double with roles swapped": lambda online, target: online[target.argmax()],
    "the online network alone": lambda online, _: online.max(),
    "a mean": lambda _, target: target.mean(),
    "a minimum": lambda _, target: target.min(),
    "a soft maximum": lambda _, target: target @ np.exp(target) / np.exp(target).sum(),
    "none": lambda *_: 0.0,
}
# What each makes of the first state's values, in prizes, discounted once.
WORTH = {
    "plain": 1.0,
    "double": 0.0,
    "double with roles swapped": -1.0,
    "the online network alone": 1.0,
    "a mean": 0.0,
    "a minimum": -1.0,
    "none": 0.0,
}


class TableLearner:
    """Q-learning in a table, from the newest transitions, with a table that lags.

    Whether double DQN is wanted, it reads, and may not follow; or it never asks.
    Updates are counted from `shift`, and syncs come so much sooner; -1 to 1 are all usual.
    """

    def __init__(
        self, form, make_env, settings, *, rate=0.05, shift=0, period_factor=1.0, asks=True
    ):
        self.env, self.settings, self.rate = make_env(), settings, rate
        asked = "double" if asks and settings.double else "plain"
        self.next_value = FORMS[form or asked]
        self.period = int(settings.sync_period_updates * period_factor)
        self.rng = np.random.Generator(np.random.Philox(key=settings.seed))
        self.online = self.rng.normal(0, 0.1, (2, self.env.action_space.n))
        self.target = self.online.copy()
        self.state, self.action = np.zeros((2, settings.capacity), np.int64)
        self.reward = np.zeros(settings.capacity)
        self.steps, self.updates = 0, shift
        self.obs = self.env.reset(seed=settings.seed)[0]

    def train(self, steps):
        for _ in range(steps):
            slot, here = self.steps % self.settings.capacity, state(self.obs)
            action = int(self.rng.integers(self.env.action_space.n))
            self.obs, reward, terminated, _, _ = self.env.step(action)
            self.state[slot], self.action[slot], self.reward[slot] = here, action, reward
            if terminated:
                self.obs = self.env.reset()[0]
            self.steps += 1
            if self.steps >= self.settings.warmup_steps:
                self.learn()

    def learn(self):
        rows = self.rng.integers(self.settings.capacity, size=self.settings.batch_size)
        cells = self.state[rows], self.action[rows]
        following = self.settings.gamma * self.next_value(self.online[1], self.target[1])
        target = self.reward[rows] + np.where(cells[0] == 0, following, 0.0)
        np.add.at(self.online, cells, self.rate * (target - self.online[cells]))
        self.updates += 1
        if self.updates % self.period == 0:
            self.target = self.online.copy()

    def q_values(self, obs):
        return np.stack([self.online[state(each)] for each in obs])


def state(obs):
    return int(obs[0] != OBSERVATIONS[0, 0])


def found(code, form=None, seed=0, **words):
    """What a check says of a learner; of the form that is asked for, if none is given."""
    return run_check(check_named(code), partial(TableLearner, form, **words), seed)


@pytest.mark.parametrize("direction", [1, 2])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_rewards_turn_and_are_worth_nothing_in_the_long_run(first, direction):
    check_env(TurningRewards(first, direction, SPELL_STEPS), skip_render_check=True)
    paid = np.zeros((6, 3))
    for action in range(3):
        env = TurningRewards(first, direction, SPELL_STEPS)
        for _ in range(WARMUP_STEPS // 2):  # the rest of a spell before the first
            env.reset()
            env.step(action)
            env.step(action)
        for spell, _ in product(range(6), range(SPELL_STEPS // 2)):
            env.reset(seed=0)  # which does not put the rewards back
            obs, reward, *ends, _ = env.step(action)
            assert (reward, *ends) == (0.0, False, False)
            np.testing.assert_array_equal(obs, OBSERVATIONS[1])
            _, paid[spell, action], *ends, _ = env.step(action)
            assert ends == [True, False]
    np.testing.assert_array_equal(np.sort(paid, axis=1), [[-PRIZE, 0, PRIZE]] * 6)
    np.testing.assert_array_equal(paid[:3].sum(axis=0), 0)
    # What double has its value from: the action that is best now was worth nothing before.
    assert (np.take_along_axis(paid[:-1], paid[1:].argmax(axis=1)[:, None], axis=1) == 0).all()


@pytest.mark.parametrize("form", WORTH)
def test_each_form_of_target_overestimates_by_what_is_known(form):
    for seed in range(3):
        env = TurningRewards(seed, 1 + seed % 2, SPELL_STEPS)
        learner = TableLearner(
            form, lambda env=env: env, Settings(seed=seed, **settings_of(SPELL_STEPS))
        )
        learner.train(WARMUP_STEPS + 5 * SPELL_STEPS - 4)  # a sync is due then
        known = WORTH[form] * OVERESTIMATION
        np.testing.assert_allclose(learner.online[0], known, atol=OVERESTIMATION / 8)


@settings(max_examples=10, deadline=None)
@given(seed=integers(0, 2**32 - 1), shift=integers(-2, 2), code=sampled_from([PLAIN, DOUBLE]))
def test_a_right_learner_is_green_however_it_counts(seed, shift, code):
    finding = found(code, seed=seed, shift=shift)
    assert finding.status is FindingStatus.GREEN, finding
    assert finding.compared > 0


@pytest.mark.parametrize(
    ("code", "form"),
    [(PLAIN, form) for form in FORMS if form not in ("plain", "the online network alone")]
    + [(DOUBLE, form) for form in FORMS if WORTH.get(form, 1.0)],
)
def test_another_form_of_target_is_red_and_named(code, form):
    finding = found(code, form)
    assert finding.status is FindingStatus.RED
    assert form in finding.actual or form in ("a soft maximum", "none"), finding


@pytest.mark.parametrize(("code", "form"), [(PLAIN, "double"), (DOUBLE, "plain")])
def test_a_learner_of_one_form_that_never_asks_for_another_is_asked_whether_it_is_meant(code, form):
    finding = found(code, form, asks=False)
    assert finding.status is FindingStatus.INCONCLUSIVE
    assert f"behaves as {form} DQN that never reads settings.double" in finding.actual
    wrong = "double with roles swapped"
    assert found(code, wrong, asks=False).status is FindingStatus.RED


def test_what_a_mean_or_a_network_for_both_cannot_be_told_from():
    """Over time a mean is as right as double, and the online network's maximum is plain's."""
    assert found(DOUBLE, "a mean").status is FindingStatus.GREEN
    assert found(PLAIN, "the online network alone").status is FindingStatus.GREEN


@pytest.mark.parametrize("code", [PLAIN, DOUBLE])
def test_values_that_do_not_follow_the_rewards_say_nothing(code):
    finding = found(code, rate=1e-5)
    assert finding.status is FindingStatus.INCONCLUSIVE
    assert "too little to distinguish plain from double" in finding.actual


def test_another_lag_than_the_one_asked_for_is_no_double():
    finding = found(DOUBLE, period_factor=1 / SPELL_STEPS)
    assert finding.status is FindingStatus.RED
    assert "the online network alone" in finding.actual


def test_an_agent_without_double_is_skipped_there_alone():
    def only_plain(make_env, settings):
        if settings.double:
            raise Unsupported("no double DQN")
        return TableLearner("plain", make_env, settings)

    statuses = [run_check(check_named(code), only_plain, 0).status for code in (PLAIN, DOUBLE)]
    assert statuses == [FindingStatus.GREEN, FindingStatus.SKIP]


def test_another_number_of_values_is_named():
    class Wide(TableLearner):
        def q_values(self, obs):
            return np.zeros((len(obs), 5))

    finding = run_check(check_named(PLAIN), partial(Wide, None), seed=0)
    assert (finding.expected, finding.actual) == ("3 Q-values", "q_values has 5")
