"""What a run has recorded of its updates, held against those that were made."""

from __future__ import annotations

from typing import Final

import numpy as np

from probes.outcome import Outcome
from probes.records.facts import SAME, Facts, Range, Series, Vector, column, known, within
from probes.subject import Records, Unsupported

# Q-values may lie outside of what a world can pay by this share of its width: networks start near
# zero, and a maximum over noisy estimates is too high for a while.
SLACK: Final = 0.5


def one_loss_per_update(records: Records, facts: Facts) -> Outcome:
    """There are as many losses as updates."""
    losses = column(records, "loss")
    least, most = known(facts, "updates")
    return Outcome(
        holds=least <= len(losses) <= most,
        expected=f"a loss for each of {_span(least, most)} updates, none where none was made",
        actual=f"{len(losses)}",
        compared=most,
    )


def counts_are_those_taken(records: Records, facts: Facts) -> Outcome:
    """Steps and updates are those that were made."""
    if records.steps is None and records.updates is None:
        raise Unsupported("not recorded: steps, updates")
    least, most = known(facts, "updates")
    steps = facts.steps if records.steps is None else records.steps
    updates = most if records.updates is None else records.updates
    return Outcome(
        holds=steps == facts.steps and least <= updates <= most,
        expected=f"{facts.steps} agent steps, {_span(least, most)} updates",
        actual=f"{steps} and {updates}",
        compared=(records.steps is not None) + (records.updates is not None),
    )


def losses_are_of_their_updates(records: Records, facts: Facts) -> Outcome:
    """Each loss is the usual function of the TD error just before its update."""
    losses, predicted = _alike(column(records, "loss"), known(facts, "predicted"))
    error = np.abs(known(facts, "target") - predicted)
    usual = {
        "Huber's loss": np.where(error < 1.0, 0.5 * error**2, error - 0.5),
        "half the squared error": 0.5 * error**2,
        "the squared error": error**2,
    }
    off = {name: float(np.abs(losses - loss).max(initial=0.0)) for name, loss in usual.items()}
    nearest = min(off, key=lambda name: off[name])
    worst = int(np.abs(losses - usual[nearest]).argmax()) if len(losses) else 0
    holds = all(abs(losses - usual[nearest]) <= SAME * (1.0 + usual[nearest]))
    return Outcome(
        holds=holds,
        expected=f"{len(losses)} means of {' or '.join(usual)} over a batch of equal rows"
        + ("" if holds else f"; {nearest} is {usual[nearest][worst]:.4f} in update {worst + 1}"),
        actual=nearest if holds else f"{losses[worst]:.4f}",
        compared=len(losses),
    )


def values_are_of_their_updates(records: Records, facts: Facts) -> Outcome:
    """Each Q-value is that of the actions in its batch, just before the update."""
    values, predicted = _alike(column(records, "q_mean"), known(facts, "predicted"))
    off = np.abs(values - predicted)
    worst = int(off.argmax()) if len(off) else 0
    holds = bool((off <= SAME * (1.0 + np.abs(predicted))).all())
    return Outcome(
        holds=holds,
        expected=f"{len(values)} Q-values, each that of the network before its update"
        + ("" if holds else f"; {predicted[worst]:.4f} in update {worst + 1}"),
        actual="all as expected" if holds else f"{values[worst]:.4f}",
        compared=len(values),
    )


def losses_are_within_bounds(records: Records, facts: Facts) -> Outcome:
    """No loss is larger than that of the largest TD error, which bounded values allow."""
    low, high = loosened(known(facts, "value_range"))
    # Of an absolute or a squared error, whichever is larger; no usual loss exceeds both.
    return within(records, facts, "loss", (0.0, max(high - low, (high - low) ** 2)))


def values_are_within_bounds(records: Records, facts: Facts) -> Outcome:
    """Q-values do not leave what the environment can pay, but for some slack."""
    return within(records, facts, "q_mean", loosened(known(facts, "value_range")))


def numbers_are_finite(records: Records, facts: Facts) -> Outcome:
    """Returns, losses and Q-values are numbers, and no loss is below zero."""
    names: tuple[Series, ...] = ("episode_return", "loss", "q_mean")
    there = [name for name in names if getattr(records, name) is not None]
    if not there:
        raise Unsupported(f"not recorded: {', '.join(names)}")
    compared, problems = 0, []
    for name in there:
        values = column(records, name)
        compared += len(values)
        bad = np.flatnonzero(~np.isfinite(values) | ((name == "loss") & (values < 0)))
        if len(bad):
            first = int(bad[0])
            problems.append(
                f"{name} is {values[first]:.3g} in {facts.place(name, first)}, the first of "
                f"{len(bad)} of {len(values)}"
            )
    return Outcome(
        holds=not problems,
        expected="finite returns, losses and Q-values, and no loss below zero",
        actual="; ".join(problems) or "all as expected",
        compared=compared,
    )


def epsilon_follows_schedule(records: Records, facts: Facts) -> Outcome:
    """The recorded probability of a random action is that of its step."""
    chances, steps = column(records, "epsilon"), records.epsilon_step
    if steps is None:
        raise Unsupported("not recorded: epsilon_step")
    low, high = known(facts, "epsilon")(steps)
    wrong = np.flatnonzero(~((low - SAME <= chances) & (chances <= high + SAME)))
    expected, actual = "epsilon as scheduled", "as scheduled"
    if len(wrong):
        first = int(wrong[0])
        expected += f": {low[first]:.3f} to {high[first]:.3f} at step {steps[first]:,.0f}"
        actual = f"{chances[first]:.3f}, the first of {len(wrong)} of {len(chances)}"
    return Outcome(holds=not len(wrong), expected=expected, actual=actual, compared=len(chances))


def loosened(bounds: Range) -> Range:
    """Bounds of true Q-values, widened by what a network may err."""
    low, high = bounds
    return low - SLACK * (high - low), high + SLACK * (high - low)


def _alike(recorded: Vector, predicted: Vector) -> tuple[Vector, Vector]:
    """Entries of equal updates: all, or the first where it is not known which belong together."""
    common = len(recorded) if len(recorded) == len(predicted) else min(1, len(recorded))
    return recorded[:common], predicted[:common]


def _span(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} to {most}"
