"""What an agent owes its environment: legal actions, a reset after each end, hands off its arrays.

Wherever else one of these rules is broken, the property at hand cannot be judged; here it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from probes.checks.check import Check, Component
from probes.checks.support.replay_audit import stamped_trial
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.subject import BrokenProtocol, Rule

# Episodes of the counter world end after a few steps, by the task and by a time limit.
STEPS: Final = 160
SETTINGS: Final[dict[str, Any]] = {
    "total_steps": STEPS,
    "epsilon_initial": 0.5,
    "epsilon_final": 0.5,
}


def keeps(rule: Rule, words: str, testbed: Testbed) -> Outcome:
    """Trains in a world of short episodes, at random and greedily, and asks for values meanwhile.

    Args:
        rule: that is looked for; any other one that is broken is an error.
        words: for the property, when it holds.
        testbed: what the check is run on.
    """
    trial, ledger = stamped_trial(testbed, **SETTINGS)
    try:
        trial.train(STEPS)
        trial.q_table(next(iter(ledger.shown.values()))[None])
    except BrokenProtocol as broken:
        if broken.rule != rule:
            raise
        return Outcome(False, words, f"{broken.actual} after {trial.steps} steps", trial.steps)  # noqa: FBT003
    return Outcome(True, words, "as expected, every time", trial.steps)  # noqa: FBT003


CHECKS: Final = (
    Check(
        code="termination.resets-after-every-end",
        component=Component.TERMINATION,
        what="After the end of an episode, by the task or by a time limit, comes a reset.",
        why="An episode that is played on beyond its limit never ends: rewards go on, or the "
        "environment does whatever it likes, and no return is ever recorded.",
        causes=(
            "the loop ends an episode at terminated alone, and not at truncated",
            "the flags are read from the wrong place of what step returns",
        ),
        seen=("https://github.com/seungeunrho/RLfrombasics/issues/13",),
        experiment="print terminated and truncated where the loop decides on a reset",
        run=partial(keeps, "ends", "reset() after the end of each episode"),
    ),
    Check(
        code="exploration.actions-in-the-space",
        component=Component.EXPLORATION,
        what="Every action is one of the environment's.",
        why="An environment may refuse an action that it does not know, or take it for another "
        "one.",
        causes=(
            "an upper bound of the random action is off by one",
            "the index of the best action runs over the wrong axis",
            "an array is given where one action is meant",
        ),
        seen=(),
        experiment="assert env.action_space.contains(action) before each step",
        run=partial(keeps, "actions", "actions of the environment's space"),
    ),
    Check(
        code="replay.observations-left-alone",
        component=Component.REPLAY,
        what="An observation that the agent was given is not changed in place.",
        why="The environment, a wrapper or the replay memory may still hold the same array: what "
        "is scaled in place is scaled for them as well, or once more the next time.",
        causes=(
            "observations are normalised by an operator such as /= or -=",
            "a tensor that shares memory with an observation is changed by an operation with _",
        ),
        seen=("https://github.com/DLR-RM/stable-baselines3/issues/1435",),
        experiment="make the observations read-only (obs.setflags(write=False)) and run",
        run=partial(keeps, "observations", "observations left as they are"),
    ),
)
