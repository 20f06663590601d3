"""The ends of episodes, from the environment to the learner."""

from __future__ import annotations

from functools import partial
from typing import Final

from probes.checks.check import Check, Component
from probes.checks.support.replay_audit import Aspect, audit, looked_into, stamped_trial
from probes.checks.support.testbed import Testbed
from probes.checks.worlds import learns_solved_values
from probes.outcome import Outcome
from probes.worlds.tables import TWO_ENDS

# Long between syncs, so that values settle in between.
THREE_ENVIRONMENTS: Final = {
    "num_envs": 3,
    "learning_rate": 2e-3,
    "sync_period_updates": 24,
}


def traced(aspect: Aspect, words: str, num_envs: int, testbed: Testbed) -> Outcome:
    """Traces one aspect of what is sampled, all through a run.

    Args:
        aspect: what is held against what happened.
        words: for the property, when it holds.
        num_envs: environments stepped together.
        testbed: what the check is run on.
    """
    trial, ledger = stamped_trial(testbed, num_envs=num_envs)
    gamma = trial.settings.gamma
    return audit(ledger, looked_into(trial), testbed.traits, gamma)[aspect].outcome(words)


CHECKS: Final = (
    Check(
        code="termination.bootstraps-from-the-final-observation",
        component=Component.TERMINATION,
        what="In three environments, what a time limit cuts off is worth what comes after it in "
        "the same episode.",
        why="The next episode begins elsewhere. With its first observation in place of the last "
        "one of the old, a value is pulled towards that of a start, and nothing crashes.",
        causes=(
            "a vector environment resets by itself, and its first new observation is stored",
            "the time limit is stored as an end of the task",
            "next observations are read from the next row of the memory",
        ),
        seen=(
            "https://github.com/openai/gym/issues/3177",
            "https://github.com/DLR-RM/stable-baselines3/issues/934",
            "https://github.com/vwxyzjn/cleanrl/issues/460",
        ),
        experiment="print obs, next_obs, terminated and truncated around one time limit",
        run=partial(learns_solved_values, TWO_ENDS, "vector", THREE_ENVIRONMENTS),
        variants=("n_step",),
    ),
    Check(
        code="termination.final-observation-kept",
        component=Component.TERMINATION,
        needs=("sample",),
        what="At a time limit the sampled next observation is the last one of that episode.",
        why="It is bootstrapped from. The first observation of the next episode has a value that "
        "has nothing to do with the one that was cut.",
        causes=(
            "a vector environment resets by itself, and its first new observation is stored",
            "next observations are read from the next row of the memory",
        ),
        seen=(
            "https://github.com/openai/gym/issues/3177",
            "https://github.com/DLR-RM/stable-baselines3/issues/934",
            "https://github.com/vwxyzjn/cleanrl/issues/460",
        ),
        experiment="print obs and next_obs around one time limit",
        run=partial(
            traced, "final observation", "the last observation of the episode that was cut", 3
        ),
    ),
    Check(
        code="termination.time-limit-is-no-end",
        component=Component.TERMINATION,
        needs=("sample",),
        what="Transitions that a time limit cuts are not sampled as ended by the task.",
        why="A limit says nothing about what comes next. Stored as an end it pulls down the value "
        "of every state in which it can strike.",
        causes=("terminated or truncated is stored in one flag",),
        seen=(
            "https://github.com/keras-rl/keras-rl/issues/298",
            "https://github.com/Curt-Park/rainbow-is-all-you-need/issues/70",
        ),
        experiment="print terminated and truncated next to the stored flag",
        run=partial(traced, "time limit", "no time limit stored as an end of the task", 1),
    ),
    Check(
        code="termination.no-dead-steps",
        component=Component.TERMINATION,
        needs=("sample",),
        what="No transition leads from the last observation of an episode to the next episode.",
        why="A vector environment may spend a step on its reset, in which the action does nothing. "
        "Stored, that step teaches that episodes go on after their end.",
        causes=(
            "the environment resets in the step after the end, and that step is stored",
            "an episode is not closed before the next one is opened",
        ),
        seen=(
            "https://github.com/Farama-Foundation/Gymnasium/issues/1103",
            "https://github.com/Farama-Foundation/Gymnasium/pull/1227",
            "https://github.com/vwxyzjn/cleanrl/issues/499",
        ),
        experiment="count stored transitions and steps taken; set the autoreset mode by hand",
        run=partial(traced, "dead step", "no step from the last observation of an episode", 3),
    ),
)
