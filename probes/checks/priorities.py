"""Prioritised replay: what is drawn more often, and what makes up for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.priorities import drawn_by_error
from probes.checks.support.replay_audit import CAPACITY, sampled_stamps, stamped_trial
from probes.checks.support.settling import settle
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import NOT_DECLARED, require_plain
from probes.outcome import Outcome
from probes.properties.draws import (
    follow_errors,
    mean_under_priorities,
    new_rows_are_drawn,
    weights_make_up_for_shares,
)
from probes.subject import Unsupported
from probes.worlds.env import WorldEnv, observations
from probes.worlds.tables import CONSTANT_REWARD

PERIOD: Final = 32  # steps from update to update
STEPS: Final = 7 * PERIOD + PERIOD // 2  # half a period after the last one
DRAWS: Final = 100 * CAPACITY
# One step in five pays; such rows have the larger error, and the mean is theirs alone.
REWARDS: Final = (1.0, 0.0, 0.0, 0.0, 0.0)
FIRST, MOST = 800, 6_400  # steps until values may stand still, and at most
LEAST_TOLERANCE: Final = 0.01


class Dealt(WorldEnv):
    """One step with one of some rewards, dealt like cards: each comes once in as many episodes."""

    def __init__(self, rewards: Sequence[float]) -> None:
        super().__init__(CONSTANT_REWARD, "vector")
        self._rewards = list(rewards)
        self._pack: list[float] = []

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, _, terminated, truncated, info = super().step(action)
        if not self._pack:
            self._pack = [self._rewards[i] for i in self.np_random.permutation(len(self._rewards))]
        return obs, self._pack.pop(), terminated, truncated, info


def _alpha(testbed: Testbed) -> float:
    """The exponent of priorities that is declared.

    Raises:
        Unsupported: if none is.
    """
    if not testbed.traits.priority_exponent:
        raise Unsupported(NOT_DECLARED)
    return testbed.traits.priority_exponent


def follows_priorities(testbed: Testbed) -> Outcome:
    """Counts draws of rows whose errors have several sizes, and either sign."""
    alpha = _alpha(testbed)
    require_plain(testbed, "reward_clip", "reward_sign", "noisy")
    seen = drawn_by_error(testbed)
    return follow_errors(seen.errors, seen.drawn, seen.held, alpha)


def draws_new_rows(testbed: Testbed) -> Outcome:
    """Counts draws of the rows that were stored since the last update, and of all others."""
    _alpha(testbed)
    trial, ledger = stamped_trial(
        testbed, reward=lambda _: 0.0, train_period_steps=PERIOD, total_steps=STEPS
    )
    trial.train(STEPS)
    stamps, counts = np.unique(
        list(sampled_stamps(trial, DRAWS)), axis=0, return_counts=True
    )  # fmt: skip
    times = {tuple(stamp): int(count) for stamp, count in zip(stamps.tolist(), counts, strict=True)}
    newest = list(ledger.taken)[STEPS - PERIOD // 2 : STEPS - testbed.traits.n_step]
    drawn = np.array([times.get(tuple(stamp), 0) for stamp in newest])
    return new_rows_are_drawn(drawn, np.array([*times.values(), *drawn[drawn == 0]]))


def weighs_by_share(testbed: Testbed) -> Outcome:
    """Compares the weights of rows that are drawn more and less often."""
    _alpha(testbed)
    if not testbed.traits.importance_exponent:
        raise Unsupported("says nothing of agents with traits importance_exponent")
    seen = drawn_by_error(testbed, weighted=True)
    return weights_make_up_for_shares(seen.weights, seen.rates)


def learns_the_mean(testbed: Testbed) -> Outcome:
    """Learns the value of a step that pays one time in five."""
    alpha, beta = _alpha(testbed), testbed.traits.importance_exponent
    require_plain(testbed, "reward_clip", "reward_sign", "reward_scale", "batch_norm", "noisy")
    rewards, chances = np.array(REWARDS), np.full(len(REWARDS), 1 / len(REWARDS))
    due, unweighted = (
        mean_under_priorities(rewards, chances, alpha, exponent) for exponent in (beta, 0.0)
    )
    tolerance = abs(due - unweighted) / 4
    if tolerance < LEAST_TOLERANCE:
        raise Unsupported("these exponents change no mean by enough to be seen")
    trial = testbed.trial(
        lambda _: Dealt(REWARDS),
        learning_rate=2.5e-4,
        batch_size=128,
        warmup_steps=160,
        # Where weights grow to their last exponent in the course of the run, they have it by then.
        total_steps=FIRST,
    )
    shown, solved = observations(CONSTANT_REWARD, "vector"), np.array([[due]])
    settled = settle(trial, shown, solved, tolerance=tolerance, first=FIRST, most=MOST)
    value = float(settled.values[0, 0])
    like_unweighted = settled.still and abs(value - unweighted) <= tolerance
    return Outcome(
        holds=settled.holds(solved, tolerance),
        expected=f"a value of {due:.3f} ± {tolerance:.3f}",
        actual=f"{value:.3f}{', as if rows did not weigh' * like_unweighted} after "
        f"{settled.steps:,} steps",
        compared=1,
    )


CHECKS: Final = (
    Check(
        code="replay.follows-priorities",
        component=Component.REPLAY,
        needs=("sample",),
        what="Prioritised replay draws rows in proportion to a power of their TD error's size.",
        why="Without it the memory is a uniform one at the price of a prioritised one, or worse: "
        "nothing in returns tells which.",
        causes=(
            "priorities are not updated after an update, or those of other rows are",
            "priorities are of signed errors, not of their size",
            "the exponent is not applied, or applied twice",
        ),
        seen=(),
        experiment="print priorities beside the TD errors of the last batch",
        run=follows_priorities,
    ),
    Check(
        code="replay.draws-new-rows",
        component=Component.REPLAY,
        needs=("sample",),
        what="Prioritised replay draws a row that no update has seen no less often than others.",
        why="A row with the least priority is hardly ever drawn, so that its error is never known: "
        "what is new is not learned.",
        causes=(
            "new rows get a priority of zero, or of a constant below those of others",
            "the largest priority is not kept up to date",
        ),
        seen=(),
        experiment="print the priority of the newest row beside the largest",
        run=draws_new_rows,
    ),
    Check(
        code="replay.weighs-by-share",
        component=Component.REPLAY,
        needs=("weighted_sample",),
        what="Rows of prioritised replay weigh less the more often they are drawn, at most one.",
        why="Weights that are not divided by the largest scale the whole loss, and with it the "
        "learning rate; weights that rise with priority double the bias that they should undo.",
        causes=(
            "weights are not divided by the largest",
            "the exponent has the wrong sign",
            "weights are of other rows, or of probabilities before they are normalised",
        ),
        seen=(),
        experiment="print weight, probability and priority of one batch, sorted",
        run=weighs_by_share,
    ),
    Check(
        code="replay.weights-enter-the-loss",
        component=Component.REPLAY,
        what="Prioritised replay with importance weights learns what its exponents come to: at one "
        "the mean.",
        why="Rare rows with large errors are drawn too often; without their weights in the loss, "
        "values are biased towards them.",
        causes=(
            "the weights are computed, and the loss is averaged before they are multiplied",
            "weights [B] are broadcast against errors [B, 1]",
            "beta stays at its first value",
        ),
        seen=(),
        experiment="print the loss of a batch with weights, and without",
        run=learns_the_mean,
    ),
)
