"""The wandering environment, and the trace of what was done in it."""

from __future__ import annotations

import numpy as np
from gymnasium.utils.env_checker import check_env

from probes.checks.support.global_generators import global_generators, global_states
from probes.checks.support.testbed import Testbed
from probes.checks.support.tracing import NEVER, OBSERVATIONS, Step, StepTrace, Wandering
from tests.probes.linear import Linear


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
