"""Exploration, cadence, seeding: bounds against exact odds, and a healthy agent of another kind."""

from __future__ import annotations

import contextlib
import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.stats import binom

from probes.checks import cadence, exploration, seeding
from probes.checks.exploration import DECAY, EDGES, WARMUP, scheduled
from probes.checks.support.chance import UNLIKELY, ChanceTally, weigh
from probes.checks.support.global_generators import global_generators, global_states
from probes.checks.support.testbed import Testbed
from probes.checks.support.tracing import NEVER, OBSERVATIONS, Step, StepTrace, Wandering
from probes.running.run_check import run_check
from probes.subject import Settings, Unsupported
from reports.schema import FindingStatus

CHECKS = (*exploration.CHECKS, *cadence.CHECKS, *seeding.CHECKS)


@pytest.mark.parametrize(("trials", "chance"), [(40, 0.22), (240, 0.0875), (240, 0.25), (120, 0.9)])
def test_a_healthy_count_is_refused_less_often_than_promised(trials, chance):
    refused = [
        count
        for count in range(trials + 1)
        if not weigh([ChanceTally("", count, trials, chance, chance)]).holds
    ]
    assert refused
    assert binom.pmf(refused, trials, chance).sum() < 2 * UNLIKELY  # two sides


def test_the_surprise_of_a_count_by_hand():
    assert ChanceTally("", 4, 8, 0.25, 0.75).surprise == 0.0  # inside
    assert ChanceTally("", 0, 8, 0.25, 0.5).surprise == pytest.approx(8 * math.log(1 / 0.75))
    assert ChanceTally("", 8, 8, 0.25, 0.5).surprise == pytest.approx(8 * math.log(2))
    assert ChanceTally("", 1, 8, 0.0, 0.0).surprise == math.inf  # impossible
    assert ChanceTally("", 7, 8, 1.0, 1.0).surprise == math.inf
    assert ChanceTally("", 8, 8, 1.0, 1.0).surprise == 0.0


def test_the_most_surprising_count_is_told_and_nothing_counted_is_nothing_compared():
    outcome = weigh(
        [ChanceTally("heads", 50, 100, 0.5, 0.5), ChanceTally("sixes", 90, 100, 0.1, 0.2)]
    )
    assert (outcome.expected, outcome.actual) == ("about 10 to 20 of 100 sixes", "90")
    assert not outcome.holds
    assert outcome.compared == 200
    assert weigh([ChanceTally("", 0, 0, 0.5, 0.5)]).compared == 0


def test_the_schedule_begins_ends_and_may_start_early_or_late():
    assert scheduled(0) == (1.0, 1.0)
    assert scheduled(WARMUP) == (1.0 - 0.9 * WARMUP / DECAY, 1.0)
    assert scheduled(WARMUP + DECAY) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    "faulty",
    [
        lambda _: 0.1,  # pinned
        lambda _: 1.0,  # never decays
        lambda step: scheduled(2 * step)[0],  # twice as fast, from the first step
        lambda step: scheduled(step // 2)[1],  # half as fast, from the end of the warm-up
        lambda step: scheduled(step // 3)[1],  # by ticks of three environments
        lambda step: 0.5 * scheduled(step)[0],  # half of what was asked for
        lambda step: scheduled(step % 20)[1],  # anew in each episode
    ],
)
def test_a_faulty_schedule_cannot_pass_by_luck(faulty):
    passing = 1.0
    for first, last in pairwise(EDGES):
        right = np.array([scheduled(step) for step in range(first, last)]).mean(axis=0)
        least, most = (right * 7 / 8).tolist()
        chance = float(np.mean([faulty(step) for step in range(first, last)])) * 7 / 8
        trials = last - first
        # Binomial odds of the mean chance: those of unequal chances are narrower still.
        passing *= sum(
            float(binom.pmf(count, trials, chance))
            for count in range(trials + 1)
            if weigh([ChanceTally("", count, trials, least, most)]).holds
        )
    assert passing < 1e-3


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


def test_the_wandering_environment_is_one_and_draws_from_its_own_generator_alone():
    seen = []
    env = Wandering(3, 2, lambda state, action: seen.append((state, action)))
    with global_generators(5):
        check_env(env, skip_render_check=True)
        seen.clear()
        runs = []
        for _ in range(2):
            before = global_states()
            obs, _ = env.reset(seed=4)
            steps = [env.step(action) for action in (0, 1)]
            assert global_states() == before
            runs.append([obs, *(step[0] for step in steps)])
    np.testing.assert_array_equal(*runs)
    assert [step[3] for step in steps] == [False, False]
    assert [step[2] for step in steps] == [False, True]  # an episode of two steps
    for (state, action), obs, step in zip(seen[2:], runs[1], steps, strict=False):
        np.testing.assert_array_equal(OBSERVATIONS[state], obs)
        assert step[1] == (1.0 if action == state % 3 else -1.0)


def test_global_generators_are_given_back_even_after_an_error():
    before = global_states()
    inside = []
    for number in (1, 2, 1):
        with contextlib.suppress(KeyError), global_generators(number):
            inside.append(global_states())
            np.random.random_sample(3)  # noqa: NPY002  # what a careless subject does
            raise KeyError
    assert global_states() == before
    assert inside[0] == inside[2]
    assert all(inside[0][name] != inside[1][name] for name in before)


class Linear:
    """Learns immediate rewards by a linear map of observations, at first zero.

    It acts with the values of before its last update, breaks ties at random, decays epsilon from
    the first step on, and makes its first update a period after the warm-up.
    """

    def __init__(self, make_env, settings: Settings) -> None:
        self.settings = settings
        self.envs = [make_env() for _ in range(settings.num_envs)]
        self.num_actions = int(self.envs[0].action_space.n)
        self.rng = np.random.default_rng(settings.seed)
        self.weight = np.zeros((5, self.num_actions))
        self.acting = self.weight.copy()
        self.optimizer = SimpleNamespace(step=lambda: None)
        self.memory: list[tuple[np.ndarray, int, float]] = []
        self.steps = 0
        self.obs = [env.reset(seed=settings.seed + n)[0] for n, env in enumerate(self.envs)]

    def epsilon(self) -> float:
        settings = self.settings
        progress = min(1.0, self.steps / settings.epsilon_decay_steps)
        fall = settings.epsilon_initial - settings.epsilon_final
        return settings.epsilon_initial - progress * fall

    def choose(self, values) -> int:
        warm = self.steps >= self.settings.warmup_steps
        if not warm or self.rng.random() < self.epsilon():
            return int(self.rng.integers(self.num_actions))
        return int(self.rng.choice(np.flatnonzero(values == values.max())))

    def train(self, steps: int) -> None:
        period = self.settings.train_period_steps
        for _ in range(-(-steps // len(self.envs))):
            for index, env in enumerate(self.envs):
                features = np.append(self.obs[index], 1.0)
                action = self.choose(features @ self.acting)
                self.obs[index], reward, terminated, truncated, _ = env.step(action)
                self.memory.append((features, action, reward))
                if terminated or truncated:
                    self.obs[index], _ = env.reset()
            self.steps += len(self.envs)
            if self.steps >= self.settings.warmup_steps + period and self.steps % period == 0:
                self.update()

    def update(self) -> None:
        self.acting = self.weight.copy()
        for row in self.rng.integers(len(self.memory), size=self.settings.batch_size):
            features, action, reward = self.memory[row]
            error = reward - features @ self.weight[:, action]
            self.weight[:, action] += self.settings.learning_rate * error * features
        self.optimizer.step()

    def q_values(self, obs):
        return np.concatenate([obs, np.ones((len(obs), 1))], axis=1) @ self.weight


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_healthy_agent_of_another_kind_is_green(check):
    for seed in range(2):
        finding = run_check(check, Linear, seed)
        assert finding.status is FindingStatus.GREEN, finding


class Stuck(Linear):
    """Its random action is drawn only every five steps."""

    kept = 0

    def choose(self, values) -> int:
        if self.steps % 5 == 0:
            self.kept = int(self.rng.integers(self.num_actions))
        warm = self.steps >= self.settings.warmup_steps
        greedy = warm and self.rng.random() >= self.epsilon()
        return int(values.argmax()) if greedy else self.kept


class TwoChangesLate(Linear):
    """It acts with the values of two updates ago."""

    def update(self) -> None:
        before = self.acting
        super().update()
        self.acting, self.next_acting = getattr(self, "next_acting", before), self.acting


class Careless(Linear):
    """It seeds one global generator and draws from another."""

    def __init__(self, make_env, settings: Settings) -> None:
        super().__init__(make_env, settings)
        np.random.seed(settings.seed)  # noqa: NPY002, TID251  # what is to be found
        import torch

        torch.rand(1)


@pytest.mark.parametrize(
    ("subject", "code", "told"),
    [
        (Stuck, "exploration.uniform-when-epsilon-is-one", ""),
        (TwoChangesLate, "exploration.greedy-when-epsilon-is-zero", "was taken at Q-values"),
        (
            Careless,
            "seeding.leaves-global-generators-alone",
            "numpy.random was seeded, torch was drawn from",
        ),
    ],
)
def test_what_no_planted_fault_does_is_found_too(subject, code, told):
    check = next(check for check in CHECKS if check.code == code)
    finding = run_check(check, subject, seed=0)
    assert finding.status is FindingStatus.RED
    assert told in finding.actual


class OneEnvironment(Linear):
    """It plays one environment, however many are asked for."""

    def __init__(self, make_env, settings: Settings) -> None:
        super().__init__(make_env, settings)
        self.envs = self.envs[:1]


@pytest.mark.parametrize(
    "run",
    [exploration.coins_differ, seeding.environments_differ, seeding.environments_are_seeded],
)
def test_fewer_environments_than_asked_for_show_nothing_of_several(run):
    with pytest.raises(Unsupported, match=r"plays one environment; settings.num_envs = 3"):
        run(Testbed(OneEnvironment, 0))


def test_a_trace_tells_what_was_done():
    trace = StepTrace(
        Testbed(Linear, 3), episode_steps=NEVER, warmup_steps=32, train_period_steps=4
    )
    trace.trial.train(60)
    assert trace.changes == list(range(36, 60, 4))
    assert [step.version for step in trace.steps[35:41]] == [0, 1, 1, 1, 1, 2]
    assert len(trace.versions) == 1 + len(trace.changes)
    assert [step.action for step in trace.steps] == trace.trial.watched[0].log.actions


def test_an_action_may_be_the_best_of_one_change_before_but_not_of_two():
    trace = StepTrace(Testbed(Linear, 0))
    best_actions = (0, 3, 1)  # in state 0, by version; in others all actions are alike
    trace.versions = [np.eye(16, 4)[:, np.roll(range(4), best)] for best in best_actions]
    accepted = [
        {action for action in range(4) if trace.is_greedy(Step(0, 0, action, version))}
        for version in range(3)
    ]
    assert accepted == [{0}, {0, 3}, {3, 1}]
    first = [action for action in range(4) if trace.is_first_choice(Step(0, 0, action, 1))]
    assert first == [3]
    assert all(trace.is_greedy(Step(0, 9, action, 0)) for action in range(4))
    assert [trace.is_first_choice(Step(0, 9, action, 0)) for action in range(4)].count(True) == 1
