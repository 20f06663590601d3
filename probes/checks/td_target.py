"""The TD target: which network's value it is, of which action, and of which row."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed, Trial
from probes.checks.support.variants import require_plain, unless_never_asked
from probes.checks.support.white_box import (
    Vector,
    draw,
    generator,
    kept,
    randomise,
    rows_of,
    target_table,
    td_targets,
    white_box_trial,
)
from probes.outcome import Outcome
from probes.subject import Array, Misbehaviour, Transitions

Form = Literal["plain", "double", "swapped"]

ROWS: Final = 64
GAMMA: Final = 0.9
# Targets here are of the order of ten. Float32 in another order of summation errs by 1e-5 then, and
# what is wrong in a target by about ten, or by a tenth of that for a wrong gamma.
TOLERANCE: Final = 1e-3


def masks_ends(testbed: Testbed) -> Outcome:
    """Compares targets with their closed form, where rows end and where they go on."""
    require_plain(testbed, "reward_clip", "reward_sign", "reward_scale", "noisy")
    trial = white_box_trial(testbed, gamma=GAMMA)
    transitions = draw(generator(testbed.seed), ROWS)
    targets = td_targets(trial.subject, transitions)
    next_value = target_table(trial.subject, transitions.next_obs).max(axis=1)
    discount = GAMMA**testbed.traits.n_step
    expected = transitions.reward + discount * np.where(transitions.terminated, 0.0, next_value)
    wrong = np.abs(targets - expected) > TOLERANCE
    ended = transitions.terminated
    shown = np.flatnonzero(wrong)[0] if wrong.any() else 0
    return Outcome(
        holds=not wrong.any(),
        expected="the reward where the task ended, "
        f"reward + {discount:.4g} * next value where it did not: here {expected[shown]:.3f}",
        actual=f"{targets[shown]:.3f}; wrong in {wrong[ended].sum()} of {ended.sum()} rows that "
        f"ended and {wrong[~ended].sum()} of {(~ended).sum()} that did not",
        compared=ROWS,
    )


def bootstraps_from_target(testbed: Testbed) -> Outcome:
    """Overwrites one network after the other, and watches which one the targets follow."""
    trial = white_box_trial(testbed, gamma=GAMMA, double=False)
    subject, rng = trial.subject, generator(testbed.seed)
    transitions = draw(rng, ROWS)
    transitions.terminated[:] = False
    before = td_targets(subject, transitions)
    moved = []
    for network in (subject.online_net, subject.target_net):
        with kept(network):
            randomise(network, rng, scale=2.0)
            moved.append(int((np.abs(td_targets(subject, transitions) - before) > TOLERANCE).sum()))
    of_online, of_target = moved
    outcome = Outcome(
        # A row may be hit by chance; a target that follows the network moves in nearly all.
        holds=of_online == 0 and of_target > ROWS * 3 // 4,
        expected=f"targets that follow target_net in {ROWS} rows and online_net in none",
        actual=f"they follow target_net in {of_target} and online_net in {of_online}",
        compared=2 * ROWS,
    )
    is_double = of_online > 0 and bool(_alike(testbed, trial, transitions, rng)[0]["double"].all())
    return unless_never_asked(outcome, trial, fits_other=is_double)


def double_is_double(testbed: Testbed) -> Outcome:
    """Compares the targets of two unlike networks with those of double, plain and swapped roles."""
    require_plain(testbed, "reward_clip", "reward_sign", "reward_scale", "noisy")
    trial = white_box_trial(testbed, gamma=GAMMA, double=True)
    rng = generator(testbed.seed)
    transitions = draw(rng, ROWS)
    transitions.terminated[:] = False
    alike, differ = _alike(testbed, trial, transitions, rng)
    counts = {name: int(mask[differ].sum()) for name, mask in alike.items()}
    outcome = Outcome(
        holds=bool(alike["double"].all()),
        expected=f"the target network's value of the online network's choice in {ROWS} rows",
        actual=f"in {alike['double'].sum()}; where the forms differ, {counts['double']} rows are "
        f"double, {counts['plain']} plain, {counts['swapped']} with the networks' roles swapped",
        compared=ROWS,
    )
    return unless_never_asked(outcome, trial, fits_other=bool(alike["plain"].all()))


def _alike(
    testbed: Testbed, trial: Trial, transitions: Transitions, rng: np.random.Generator
) -> tuple[dict[Form, npt.NDArray[np.bool_]], npt.NDArray[np.bool_]]:
    """Rows whose targets are of each form, and rows in which the forms differ, as masks [B].

    Args:
        testbed: of the subject.
        trial: whose networks are given other weights.
        transitions: none of which ends.
        rng: of these weights.
    """
    values = unlike_values(trial, transitions.next_obs, rng)
    targets = td_targets(trial.subject, transitions)
    bootstrap = (targets - transitions.reward) / GAMMA**testbed.traits.n_step
    alike = {name: np.abs(bootstrap - value) <= TOLERANCE for name, value in values.items()}
    return alike, _forms_differ(values)


def rows_are_independent(testbed: Testbed) -> Outcome:
    """Computes targets of all rows together, in another order, in halves and one by one."""
    trial = white_box_trial(testbed, gamma=GAMMA)
    rng = generator(testbed.seed)
    transitions = draw(rng, ROWS)
    together = td_targets(trial.subject, transitions)
    order = rng.permutation(ROWS)
    groupings = {
        "in another order": [order],
        "in halves": np.split(order, 2),
        "one by one": np.split(np.arange(ROWS), ROWS),
    }
    changed = {}
    for name, groups in groupings.items():
        apart = np.empty(ROWS)
        for group in groups:
            apart[group] = td_targets(trial.subject, rows_of(transitions, group))
        changed[name] = int((np.abs(apart - together) > TOLERANCE).sum())
    return Outcome(
        holds=not any(changed.values()),
        expected=f"{ROWS} targets, each the same whatever the other rows are",
        actual="changed: " + ", ".join(f"{count} {name}" for name, count in changed.items()),
        compared=ROWS * len(groupings),
    )


def unlike_values(trial: Trial, next_obs: Array, rng: np.random.Generator) -> dict[Form, Vector]:
    """Gives both networks weights with which the forms of a target differ in many rows.

    Returns:
        For each form its values [B] of the next observations.

    Raises:
        Misbehaviour: if they cannot be made to differ.
    """
    rows = np.arange(len(next_obs))
    for _ in range(100):
        randomise(trial.subject.online_net, rng)
        randomise(trial.subject.target_net, rng)
        online, target = trial.q_table(next_obs), target_table(trial.subject, next_obs)
        values: dict[Form, Vector] = {
            "plain": target.max(axis=1),
            "double": target[rows, online.argmax(axis=1)],
            "swapped": online[rows, target.argmax(axis=1)],
        }
        if _forms_differ(values).sum() >= len(rows) // 4:
            return values
    raise Misbehaviour(
        "two networks that can be given weights of their own",
        "whatever their weights, they value and choose alike",
    )


def _forms_differ(values: dict[Form, Vector]) -> npt.NDArray[np.bool_]:
    """Rows, as a mask, in which no other form is near double's."""
    plain, swapped = (np.abs(values[name] - values["double"]) for name in ("plain", "swapped"))
    mask: npt.NDArray[np.bool_] = np.minimum(plain, swapped) > 100 * TOLERANCE
    return mask


CHECKS: Final = (
    Check(
        code="td.terminal-masks-and-time-limits-bootstrap",
        component=Component.TD_TARGET,
        needs=("td_targets", "target_values"),
        what="The target is the reward where the task ended, and reward + gamma * next value in "
        "every other row, cut by a time limit or not.",
        why="Without the mask values grow up to 1 / (1 - gamma) times too large, and returns may "
        "still look fine; with a wrong gamma every value is off by a factor.",
        causes=(
            "terminated is not used, or stored as something else",
            "gamma is missing, or applied twice",
            "rewards are scaled or clipped on their way",
        ),
        seen=(
            "https://github.com/navneet-nmk/pytorch-rl/issues/2",
            "https://github.com/cyoon1729/deep-Q-networks/pull/5",
        ),
        experiment="print reward, terminated, next value and target of one batch side by side",
        run=masks_ends,
    ),
    Check(
        code="td.bootstraps-from-target",
        component=Component.TD_TARGET,
        needs=("td_targets", "online_net", "target_net"),
        what="Targets follow the target network, and in plain DQN nothing else.",
        why="Bootstrapped from the online network, targets move with every update: values are "
        "overestimated, and learning turns unstable.",
        causes=(
            "the online network is called where the target network should be",
            "both names are of one module",
        ),
        seen=(
            "https://github.com/facebookresearch/ReAgent/issues/88",
            "https://github.com/higgsfield/RL-Adventure/issues/32",
        ),
        experiment="overwrite online_net with noise, and see whether any target changes",
        run=bootstraps_from_target,
    ),
    Check(
        code="td.double-closed-form",
        component=Component.TD_TARGET,
        needs=("td_targets", "target_values", "online_net", "target_net"),
        what="In double DQN the online network chooses the next action, and the target network "
        "values it.",
        why="With the roles swapped, or without a choice of its own, the overestimation that "
        "double DQN is meant to avoid is back.",
        causes=(
            "the networks' roles are swapped",
            "both choice and value are the target network's: plain DQN",
            "the setting `double` is not passed on",
        ),
        seen=(
            "https://github.com/AgileRL/AgileRL/issues/290",
            "https://github.com/higgsfield/RL-Adventure/pull/5",
            "https://github.com/MaximeVandegar/Papers-in-100-Lines-of-Code/issues/21",
        ),
        experiment="give both networks fixed unlike outputs, and work one row out by hand",
        run=double_is_double,
    ),
    Check(
        code="td.rows-are-independent",
        component=Component.TD_TARGET,
        needs=("td_targets",),
        what="A row's target does not depend on the other rows of its batch.",
        why="A maximum or a mean over the whole batch gives all rows one bootstrap, and values "
        "drift to a common one.",
        causes=(
            "a maximum over the whole [B, A] tensor instead of over actions",
            "[B, 1] broadcast against [B]",
        ),
        seen=(
            "https://github.com/google/dopamine/commit/7315342",
            "https://github.com/MoMe36/BranchingDQN/issues/2",
        ),
        experiment="assert that every operand of the target has shape [B]",
        run=rows_are_independent,
    ),
)
