"""Cadence: when updates are made, in agent steps, and how many."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise
from typing import Any, Final
from unittest.mock import patch

from probes.checks.check import Check, Component
from probes.checks.support.testbed import ROUNDING_STEPS, Testbed
from probes.checks.support.tracing import StepTrace
from probes.outcome import Outcome

EPISODE_STEPS: Final = 10
UPDATES: Final = 24


def learns_after_warmup(testbed: Testbed) -> Outcome:
    """The Q-values change for the first time at the end of the warm-up, or a little later."""
    warmup, period = 96, 4
    latest = warmup + 2 * period
    trace = _trace(testbed, warmup_steps=warmup, train_period_steps=period, total_steps=latest + 8)
    trace.trial.train(latest + 8)
    first = trace.changes[0] if trace.changes else None
    return Outcome(
        holds=first is not None and warmup <= first <= latest,
        expected=f"Q-values change first after {warmup} to {latest} steps",
        actual=f"after {first}" if first else f"no change in {len(trace.steps)} steps",
        compared=len(trace.steps),
    )


def updates_every_period(num_envs: int, period: int, call_steps: int, testbed: Testbed) -> Outcome:
    """After the warm-up the Q-values change every so many steps, neither more nor less often."""
    warmup = 36
    total = warmup + period * UPDATES
    trace = _trace(
        testbed,
        warmup_steps=warmup,
        train_period_steps=period,
        total_steps=total,
        num_envs=num_envs,
    )
    while trace.trial.steps < total:
        trace.trial.train(min(call_steps, total - trace.trial.steps))
    gaps = Counter(after - before for before, after in pairwise(trace.changes))
    # The first update may come a period late, and the last change is seen by no step.
    enough = gaps[period] >= UPDATES - 3
    text = ", ".join(f"{gap} steps ({count} times)" for gap, count in sorted(gaps.items()))
    return Outcome(
        holds=enough and set(gaps) == {period},
        expected=f"{period} steps between changes of the Q-values, {UPDATES - 3} times or more",
        actual=text or f"{len(trace.changes)} changes in {len(trace.steps)} steps",
        compared=len(trace.steps),
    )


def updates_as_often_as_asked(testbed: Testbed) -> Outcome:
    """The optimizer makes one step for each period after the warm-up, with many environments."""
    warmup, period, num_envs = 36, 6, 3
    total = warmup + period * UPDATES
    trace = _trace(
        testbed,
        warmup_steps=warmup,
        train_period_steps=period,
        total_steps=total,
        num_envs=num_envs,
    )
    optimizer = trace.trial.subject.optimizer
    with patch.object(optimizer, "step", wraps=optimizer.step) as step:
        trace.trial.train(total)
    return Outcome(
        # The first update may come with the last step of the warm-up, or a period late.
        holds=abs(step.call_count - UPDATES) <= 1,
        expected=f"{UPDATES} updates, give or take one, in {total} steps",
        actual=f"{step.call_count}",
        compared=UPDATES,
    )


def steps_every_environment(testbed: Testbed) -> Outcome:
    """Counts the steps of each environment; half of an equal share is enough."""
    num_envs, ticks = 3, 60
    total = num_envs * ticks
    trace = _trace(testbed, total_steps=total, warmup_steps=total, num_envs=num_envs)
    # Not by the trial, which has those skipped that play fewer.
    trace.trial.subject.train(total)
    counted = [len(env.log.actions) for env in trace.trial.played]
    enough = sum(2 * steps >= ticks for steps in counted)
    return Outcome(
        holds=enough >= num_envs,
        expected=f"{num_envs} environments stepped together, {ticks} times each",
        actual=f"steps in {len(counted)} of {num_envs} environments: "
        f"{', '.join(map(str, counted)) or 'none'}"
        + ("" if enough >= num_envs else "; an agent made for fewer says so: max_envs = 1"),
        compared=num_envs,
    )


def takes_the_steps_asked_for(testbed: Testbed) -> Outcome:
    """Asks for a few steps, and counts; a rollout more is allowed."""
    asked = 40
    total = 4 * (asked + ROUNDING_STEPS)  # a run does not end before the count does
    trace = _trace(testbed, total_steps=total, warmup_steps=total)
    counted = []
    for _ in range(3):
        before = trace.trial.steps
        # Not by the trial, which has those skipped that take many more.
        trace.trial.subject.train(asked)
        counted.append(trace.trial.steps - before)
    return Outcome(
        holds=all(asked <= taken <= asked + ROUNDING_STEPS for taken in counted),
        expected=f"train({asked}) to take {asked} steps, or at most {ROUNDING_STEPS} more",
        actual=f"it took {', '.join(map(str, counted))}",
        compared=len(counted),
    )


def _trace(testbed: Testbed, **settings: Any) -> StepTrace:
    return StepTrace(testbed, episode_steps=EPISODE_STEPS, batch_size=16, **settings)


CHECKS: Final = (
    Check(
        code="cadence.learns-after-warmup",
        component=Component.EXPLORATION,
        what="The Q-values change for the first time when the warm-up is over.",
        why="An agent that never starts plays on with its first weights and logs plausible "
        "returns; one that starts early fits the few transitions it has.",
        causes=(
            "the counter that the warm-up waits for is only counted up inside an update",
            "updates begin as soon as a batch can be drawn",
            "the loss or the optimizer never moves the weights",
        ),
        seen=(
            "https://github.com/jsboige/CoursIA/issues/3341",
            "https://github.com/google-deepmind/bsuite/issues/42",
        ),
        experiment="print the step and the counter at the place that decides on an update",
        run=learns_after_warmup,
    ),
    *(
        Check(
            code=f"cadence.updates-every-period.{num_envs}-env{'s' * (num_envs > 1)}",
            component=Component.EXPLORATION,
            what="The Q-values change once every training period, counted in steps of all "
            "environments, wherever episodes end.",
            why="Fewer updates learn slower, more of them overfit the replay memory; either way "
            "learning curves over steps cannot be compared.",
            causes=(
                "the period is counted in ticks, frames or episodes instead of steps",
                "the test for an update is nested in another periodic one",
                "updates are made at the ends of episodes",
            ),
            seen=(
                "https://github.com/vwxyzjn/cleanrl/pull/323",
                "https://github.com/google-deepmind/bsuite/issues/42",
            ),
            experiment="log the step of each update; compare the distances with the period",
            run=partial(updates_every_period, num_envs, period, 10_000),
        )
        # A period that no episode's length is a multiple of; and one that is whole ticks.
        for num_envs, period in ((1, 7), (3, 6))
    ),
    Check(
        code="cadence.short-calls-train-too",
        component=Component.EXPLORATION,
        what="Training in many short calls makes as many updates, at the same distances.",
        why="An agent that is trained in small portions, to evaluate or to save in between, would "
        "never be updated.",
        causes=("the warm-up or the training period is counted from the start of each call",),
        seen=("https://github.com/hill-a/stable-baselines/issues/754",),
        experiment="train once in one call and once step by step; compare the weights",
        run=partial(updates_every_period, 1, 7, 5),
    ),
    Check(
        code="cadence.one-update-per-period",
        component=Component.EXPLORATION,
        needs=("optimizer",),
        what="The optimizer makes one step for every training period after the warm-up.",
        why="Several updates in place of one are seen as a single change of the weights, but "
        "multiply the work and the ratio of updates to steps.",
        causes=(
            "updates are made once for each environment instead of once for each period",
            "the update is called both by the loop and by the agent",
            "the period is counted in ticks instead of steps",
        ),
        seen=("https://github.com/google-deepmind/bsuite/issues/42",),
        experiment="count the calls of the optimizer's step over a thousand agent steps",
        run=updates_as_often_as_asked,
    ),
    Check(
        code="cadence.steps-every-environment",
        component=Component.EXPLORATION,
        what="Where several environments are asked for, all of them are stepped.",
        why="An agent that leaves environments out sees less than it seems to, and its other "
        "checks with several environments would say nothing. One that is made for a single "
        "environment declares `max_envs = 1`, and is skipped.",
        causes=(
            "the agent is made for one environment, and does not declare it by `max_envs = 1`",
            "the factory makes one environment, whatever settings.num_envs says",
            "a loop over the environments, or over their actions, ends early",
        ),
        seen=(),
        experiment="print the actions of each environment over ten steps",
        run=steps_every_environment,
    ),
    Check(
        code="cadence.takes-the-steps-asked-for",
        component=Component.EXPLORATION,
        what="Asked to train for some steps, the agent takes so many, rounded up to a rollout.",
        why="Where calls take more, budgets and learning curves over steps cannot be compared, and "
        "other checks, which look after so many steps, would say nothing.",
        causes=(
            "steps are counted in ticks, episodes, epochs or updates",
            "the agent trains in pieces that are longer than what was asked for",
        ),
        seen=(),
        experiment="count the environment's steps over one call of train",
        run=takes_the_steps_asked_for,
    ),
)
