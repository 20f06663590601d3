"""What a run records of its updates is what happened."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from probes.checks.check import Component
from probes.checks.records import record_check, records_of
from probes.checks.support.replay_audit import stamped_trial
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.records.facts import Facts, Property, column
from probes.records.updates import (
    counts_are_those_taken,
    losses_are_of_their_updates,
    losses_are_within_bounds,
    numbers_are_finite,
    one_loss_per_update,
    values_are_of_their_updates,
    values_are_within_bounds,
)
from probes.subject import BrokenProtocol, Misbehaviour, Unsupported
from probes.worlds.env import WorldEnv, observations
from probes.worlds.stamped_env import Stamp
from probes.worlds.tables import CONSTANT_REWARD

WARMUP: Final = 32
UPDATES: Final = 100  # enough for a missing mask to carry values past their bound


def of_updates(prove: Property, testbed: Testbed) -> Outcome:
    """Trains where all transitions are alike, and notes the Q-value before each update."""
    shown = observations(CONSTANT_REWARD, "vector")
    seen: list[float] = []

    def look() -> None:
        value = float(trial.q_table(shown)[0, 0])
        if not seen or value != seen[-1]:
            seen.append(value)

    trial = testbed.trial(
        lambda _: WorldEnv(CONSTANT_REWARD, "vector"),
        warmup_steps=WARMUP, batch_size=16, total_steps=WARMUP + UPDATES, learning_rate=2e-3,
    )  # fmt: skip
    trial.before_step = look
    trial.train(WARMUP + UPDATES)
    look()
    solved = CONSTANT_REWARD.solve(trial.settings.gamma)
    # An update need not be seen, where it is small or one of several between two steps; one more
    # than the periods may come with the last step of the warm-up.
    changes = len(seen) - 1
    facts = Facts(
        steps=trial.steps,
        updates=(changes, max(changes, trial.steps - WARMUP + 1)),
        value_range=(min(0.0, float(solved.min())), max(0.0, float(solved.max()))),
        target=float(CONSTANT_REWARD.reward[0, 0]),
        predicted=np.array(seen[:-1]),
    )
    return prove(records_of(trial), facts)


def nan_is_shown(testbed: Testbed) -> Outcome:
    """Pays rewards of nan, and looks for a loss that is not finite."""

    def reward(stamp: Stamp) -> float:
        return float("nan") if stamp.age == 0 and stamp.episode % 3 == 0 else 1.0

    trial, _ = stamped_trial(testbed, reward=reward, total_steps=96, warmup_steps=WARMUP)
    column(records_of(trial), "loss")  # to be skipped before anything is done
    unnoticed = "the run went on, and every one of {} recorded losses is finite"
    losses = np.empty(0)
    refused = ""
    try:
        trial.train(96)
    except (BrokenProtocol, Misbehaviour, Unsupported):
        raise
    except Exception as error:  # noqa: BLE001  # to stop at such a reward is right, too
        refused = f"the run stopped: {type(error).__name__}"
    else:
        losses = column(records_of(trial), "loss")
        unnoticed = unnoticed.format(len(losses))
    unreal = int((~np.isfinite(losses)).sum())
    return Outcome(
        holds=bool(refused or unreal),
        expected="a loss that is not finite, or a run that stops, after a reward of nan",
        actual=refused
        or (f"{unreal} of {len(losses)} losses are not finite" if unreal else unnoticed),
        compared=max(1, len(losses)),
    )


def _updates(prove: Property) -> Any:
    return partial(of_updates, prove)


CHECKS: Final = (
    record_check(
        "one-loss-per-update",
        what="There is one loss for each update, and none before the first one.",
        why="Losses of zero from before the first update, or losses that are left out, bend every "
        "curve that averages them.",
        causes=(
            "the loss is recorded in every step, whether there was an update or not",
            "only the last one of several updates is recorded",
        ),
        seen=(),
        experiment="count the steps of the optimizer and the recorded losses",
        run=_updates(one_loss_per_update),
    ),
    record_check(
        "losses-are-of-their-updates",
        what="A recorded loss is the mean loss of its batch, by the network just before the "
        "update.",
        why="A loss that is summed, smoothed or of something else still falls, but says nothing "
        "about the TD error.",
        causes=(
            "the loss is summed over the batch instead of averaged",
            "a running mean is recorded as if it were the loss",
            "the loss is computed again after the update",
        ),
        seen=(),
        experiment="compute the first loss by hand, from one batch and the first network",
        run=_updates(losses_are_of_their_updates),
    ),
    record_check(
        "losses-are-within-bounds",
        component=Component.TD_TARGET,
        what="No loss is larger than the values that the environment can pay allow.",
        why="A loss beyond that is a network that diverges, or is not the mean of a batch.",
        causes=(
            "the target network is synced too often, or not there at all",
            "the loss is summed over the batch instead of averaged",
        ),
        seen=(),
        experiment="plot the loss and the mean Q-value, and find which one leaves first",
        run=_updates(losses_are_within_bounds),
    ),
    record_check(
        "values-are-of-their-updates",
        what="A recorded Q-value is the mean over the batch of the online network's values of the "
        "sampled actions, just before the update.",
        why="A curve of targets, or of maxima, hides what the network has really learned.",
        causes=(
            "the targets are averaged instead of the predictions",
            "the values are summed, or the largest ones over actions",
        ),
        seen=(),
        experiment="print the first batch's predictions, and the recorded number",
        run=_updates(values_are_of_their_updates),
    ),
    record_check(
        "values-are-within-bounds",
        component=Component.TD_TARGET,
        what="Recorded Q-values do not leave what the environment can pay, but for some slack.",
        why="Values that go beyond what can be earned are the first sign of a target that runs "
        "away, long before returns fall.",
        causes=(
            "the end of an episode is not used in the target",
            "the bootstrap value comes from a network that moves with every update",
            "the discount is missing",
        ),
        seen=("https://github.com/navneet-nmk/pytorch-rl/issues/2",),
        experiment="run the checks of the TD target",
        run=_updates(values_are_within_bounds),
    ),
    record_check(
        "numbers-are-finite",
        what="Recorded returns, losses and Q-values are numbers, and no loss is below zero.",
        why="From the first value that is not finite on, nothing more is learned.",
        causes=(
            "the learning rate is too high, or the gradient is divided by zero",
            "a reward or an observation is nan",
            "the loss is recorded with the sign of an objective",
        ),
        seen=(),
        experiment="find the first update that is not finite, and print its batch",
        run=_updates(numbers_are_finite),
    ),
    record_check(
        "nan-is-shown",
        what="After a reward of nan, losses that are not finite are recorded, or the run stops.",
        why="A mean that leaves out what is not finite draws a quiet curve of a network that is "
        "long destroyed.",
        causes=(
            "losses that are not finite are dropped or replaced before they are recorded",
            "rewards that are not finite are replaced, without a word",
        ),
        seen=(),
        experiment="print every loss of the first hundred updates",
        run=nan_is_shown,
    ),
    record_check(
        "counts-are-those-taken",
        what="Recorded steps are agent steps, and recorded updates are steps of the optimizer.",
        why="They are the axes of every curve.",
        causes=(
            "frames or ticks are counted instead of agent steps",
            "sampled rows are counted instead of updates",
        ),
        seen=(),
        experiment="count inside the environment and the optimizer",
        run=_updates(counts_are_those_taken),
    ),
)
