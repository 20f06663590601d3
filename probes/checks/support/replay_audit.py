"""What a replay memory gives out, held against what happened in the counter world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from probes.checks.support.testbed import PLAIN, Testbed, Trial
from probes.outcome import Outcome
from probes.subject import BrokenProtocol, Transitions
from probes.traits import Traits
from probes.worlds.env import View
from probes.worlds.stamped_env import (
    Ledger,
    Reward,
    Stamp,
    StampedEnv,
    Taken,
    distinct_reward,
    read_stamps,
)

CAPACITY: Final = 64
STEPS: Final = 240  # a memory of that capacity wraps three times
READY: Final = 32  # steps after which it is looked into, before every further one
LOOK: Final = 16  # transitions at each look: one in 64 is missed by all looks once in 1e22 runs

# Draws for each transition that a memory holds: any one is missed by them once in e^32 times.
DRAWS: Final = 32
ROUNDED: Final = 0.25  # rewards are whole numbers here, and their sums quarters apart or more
ENDED: Final = {True: "ended by the task", False: "not ended by the task"}

# What can be wrong with a transition.
Aspect = Literal["transition", "dead step", "final observation", "time limit"]


@dataclass
class AuditTally:
    """How often something was compared, and the first time that it was wrong."""

    compared: int = 0
    expected: str = ""
    actual: str = ""

    def note(self, expected: object, actual: object, where: str) -> None:
        """Compares two values; the first two that differ are reported."""
        self.compared += 1
        if expected != actual and not self.expected:
            self.expected, self.actual = f"{where}: {expected}", str(actual)

    def outcome(self, expected: str) -> Outcome:
        """Green if nothing was wrong, and then in the words `expected`."""
        holds = not self.expected
        return Outcome(
            holds=holds,
            expected=expected if holds else self.expected,
            actual="as expected, every time" if holds else self.actual,
            compared=self.compared,
        )


def stamped_trial(
    testbed: Testbed,
    view: View = "vector",
    reward: Reward = distinct_reward,
    *,
    reuses_array: bool = False,
    **settings: Any,
) -> tuple[Trial, Ledger]:
    """A subject in the counter world, acting at random, and the ledger of all its environments.

    Args:
        testbed: what the check is run on.
        view: of the observations.
        reward: of each step.
        reuses_array: whether each environment shows all observations in one array.
        settings: fields of `Settings`; by default few and gentle updates.
    """
    ledger = Ledger()
    defaults = {
        "capacity": CAPACITY,
        "total_steps": STEPS,
        "warmup_steps": CAPACITY,
        "batch_size": LOOK,
        "train_period_steps": 4,
        "learning_rate": 1e-4,
        "sync_period_updates": 4,
    }
    trial = testbed.trial(
        lambda number: StampedEnv(number, view, ledger, reward, reuses_array=reuses_array),
        **(defaults | settings),
    )
    return trial, ledger


def looked_into(trial: Trial, every: int = 1) -> Transitions:
    """Trains a subject, and looks into its replay memory at every fill level and wrap position.

    Args:
        trial: untrained.
        every: so many steps.

    Returns:
        All transitions drawn.
    """
    looks: list[Transitions] = []

    def look() -> None:
        if trial.steps >= READY and trial.steps % every == 0:
            looks.append(draw(trial, LOOK))

    trial.before_step = look
    trial.train(trial.settings.total_steps)
    look()
    return Transitions(*map(np.concatenate, zip(*looks, strict=True)))


def draw(trial: Trial, size: int) -> Transitions:
    """Transitions from the replay memory, held to the protocol.

    Raises:
        BrokenProtocol: for columns of other shapes.
    """
    drawn = Transitions(*map(np.array, trial.subject.sample(size)))  # copies: they may be reused
    obs_shape = (size, *(trial.watched[0].observation_space.shape or ()))
    for name, column in drawn._asdict().items():
        due = obs_shape if name.endswith("obs") else (size,)
        if column.shape != due:
            raise BrokenProtocol(
                "shapes", f"sample({size}).{name} of shape {due}", f"it has {column.shape}"
            )
    return drawn


def sampled_stamps(trial: Trial, size: int) -> Iterator[Stamp]:
    """Where so many transitions, drawn from the replay memory, were taken."""
    for _ in range(size // LOOK):
        yield from read_stamps(draw(trial, LOOK).obs)


def audit(
    ledger: Ledger, drawn: Transitions, traits: Traits = PLAIN, gamma: float = 1.0
) -> dict[Aspect, AuditTally]:
    """Holds transitions against what happened, each of their aspects by itself.

    What follows the end of the task is not looked at: its value is never used.

    Args:
        ledger: of what happened.
        drawn: from the replay memory.
        traits: of the subject; with n-step returns a transition spans several steps.
        gamma: discount of the rewards of these steps.
    """
    tallies: dict[Aspect, AuditTally] = {
        aspect: AuditTally()
        for aspect in ("transition", "dead step", "final observation", "time limit")
    }
    rows = zip(
        read_stamps(drawn.obs),
        drawn.action.tolist(),
        drawn.reward.astype(np.float64).tolist(),
        read_stamps(drawn.next_obs),
        drawn.terminated.astype(bool).tolist(),
        strict=True,
    )
    for here, action, reward, following, terminated in rows:
        taken = ledger.taken.get(here)
        ended = taken is None and here in ledger.shown
        stored = "one is stored" if ended else "no step is taken"
        tallies["dead step"].note("no step is taken", stored, f"at the end, {here}")
        if not ended:
            span = spanned(ledger, here, traits.n_step, gamma)
            _hold(tallies, here, span, (action, _near(reward, span, traits), following, terminated))
    return tallies


class Span(NamedTuple):
    """Some steps in a row as one transition.

    Attributes:
        taken: the first action, the discounted sum of the rewards, and how the last step ended.
        following: where it leads.
    """

    taken: Taken
    following: Stamp


def spanned(ledger: Ledger, here: Stamp, n_step: int, gamma: float) -> Span | None:
    """The steps that were taken from an observation on, up to so many or the end of the episode.

    Returns:
        None if there was no step.
    """
    if here not in ledger.taken:
        return None
    action, total = ledger.taken[here].action, 0.0
    terminated = truncated = False
    for number in range(n_step):
        step = ledger.taken.get(here)
        if step is None:  # not yet taken: the sum would be incomplete
            break
        total += gamma**number * step.reward
        here, terminated, truncated = here.following, step.terminated, step.truncated
        if terminated or truncated:
            break
    return Span(Taken(action, total, terminated, truncated), here)


def _near(reward: float, span: Span | None, traits: Traits) -> float:
    """A stored reward; the given one, if it is that one but for rounding, clipping or scaling."""
    if span is None:
        return reward
    given = span.taken.reward
    meant = (given, float(traits.learned(np.array(given))))
    return given if any(abs(reward - one) < ROUNDED for one in meant) else reward


def _hold(
    tallies: dict[Aspect, AuditTally],
    here: Stamp,
    span: Span | None,
    stored: tuple[int, float, Stamp, bool],
) -> None:
    """Holds one stored transition against the steps taken there."""
    action, reward, following, terminated = stored
    whole = tallies["transition"]
    if span is None:
        whole.note("observations that were shown", f"one of {here}", "in memory")
        return
    taken = span.taken
    whole.note(taken.action, action, f"action of {here}")
    whole.note(taken.reward, reward, f"reward of {here}")
    if taken.truncated:
        tallies["final observation"].note(span.following, following, "at a time limit, next_obs")
        tallies["time limit"].note(ENDED[False], ENDED[terminated], str(here))
        return
    whole.note(ENDED[taken.terminated], ENDED[terminated], str(here))
    if not taken.terminated:
        whole.note(span.following, following, "next_obs")
