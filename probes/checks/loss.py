"""The loss: which gradient a batch gives, and that following it fits the targets."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import (
    observed_batch_norm,
    require_plain,
    unless_never_asked,
)
from probes.checks.support.white_box import (
    ACTIONS,
    Vector,
    draw,
    generator,
    gradient,
    off,
    rows_of,
    value_gradients,
    white_box_trial,
    with_errors,
)
from probes.checks.td_target import GAMMA, Form, unlike_values
from probes.outcome import Outcome
from probes.properties.gradients import of_actions_taken_alone
from probes.subject import Unsupported

ROWS: Final = 32
# TD errors this small are in the quadratic part of any robust loss, and their gradients shorter
# than what implementations clip.
SMALL: Final = 0.1
SINGLE_ROWS: Final = 6
FAR_AWAY: Final = 1e12  # values of about as much are still finite

FIT_ERROR: Final = 3.0  # outside [-1, 1], so that outputs which are squashed cannot follow
FIT_UPDATES: Final = 150  # at a time
FIT_TRIES: Final = 40
FIT_PROGRESS: Final = 0.999  # what is left of the errors, at most, while they get smaller
FIT_LEARNING_RATE: Final = 5e-3


def averages_over_rows(testbed: Testbed) -> Outcome:
    """Compares the gradient of a batch with that of the batch and its copy together."""
    require_plain(testbed, "batch_norm", "noisy")
    trial = white_box_trial(testbed, batch_size=ROWS)
    transitions = with_errors(trial, draw(generator(testbed.seed), ROWS), SMALL)
    once = gradient(trial.subject, transitions)
    twice = gradient(trial.subject, rows_of(transitions, np.tile(np.arange(ROWS), 2)))
    # A sum is off by its whole length; we allow a quarter of that.
    distance = off(twice, once)
    ratio = np.linalg.norm(twice) / max(np.linalg.norm(once), np.finfo(np.float64).tiny)
    return Outcome(
        holds=distance <= 0.25,
        expected="the same gradient when every row is there twice",
        actual=f"{ratio:.2f} times as long, off by {distance:.0%}",
        compared=once.size,
    )


def rows_do_not_mix(testbed: Testbed) -> Outcome:
    """Turns the TD errors of half the rows around, next to one and next to another other half."""
    require_plain(testbed, "batch_norm", "noisy")
    trial = white_box_trial(testbed, batch_size=ROWS)
    transitions = draw(generator(testbed.seed), ROWS)
    turned = np.arange(ROWS) % 2 == 0

    def effect(other_action: int) -> Vector:
        action = np.where(turned, transitions.action, other_action)
        up, down = (
            gradient(trial.subject, with_errors(trial, transitions._replace(action=action), error))
            for error in (SMALL, np.where(turned, -SMALL, SMALL))
        )
        return down - up

    first, second = effect(0), effect(1)
    # Zero however the loss is shaped or averaged. Where targets meet other rows' predictions, the
    # other half has half of the effect, in the weights of one action and then of the other.
    distance = off(second, first)
    return Outcome(
        holds=distance <= 0.1,
        expected="new targets to change the gradient alike, whatever the other rows are",
        actual=f"the changes differ by {distance:.0%}",
        compared=first.size,
    )


def aims_at_target(form: Form, testbed: Testbed) -> Outcome:
    """Compares the gradient of bootstrapped rows with that of the same targets as rewards."""
    require_plain(testbed, "noisy", "batch_norm", "reward_clip", "reward_sign", "reward_scale")
    trial = white_box_trial(testbed, batch_size=ROWS, gamma=GAMMA, double=form == "double")
    subject, rng = trial.subject, generator(testbed.seed)
    transitions = draw(rng, ROWS)
    values = unlike_values(trial, transitions.next_obs, rng)
    discount = GAMMA**testbed.traits.n_step
    fixed = with_errors(trial, transitions, SMALL)

    def off_by(value: Vector) -> float:
        """How far the gradient is off where next values are these, as fixed targets have it."""
        bootstrap = discount * np.where(transitions.terminated, 0.0, value)
        bootstrapped = transitions._replace(reward=(fixed.reward - bootstrap).astype(np.float32))
        return off(gradient(subject, bootstrapped), gradient(subject, fixed))

    lagged = list(subject.target_net.parameters())
    for parameter in lagged:
        if parameter.grad is not None:
            parameter.grad.zero_()
    distance = off_by(values[form])
    reached = [p for p in lagged if p.grad is not None and bool(p.grad.any())]
    outcome = Outcome(
        # Next values are many times the TD errors here: another target is off by about the whole
        # length or more, and so is the derivative of the target; rounding, by a thousandth.
        holds=distance <= 0.1 and not reached,
        expected="the gradient that the same targets give as mere numbers, none for target_net",
        actual=f"off by {distance:.0%}; {len(reached)} of {len(lagged)} parameters of target_net "
        "have a gradient",
        compared=ROWS,
    )
    other: Form = "plain" if form == "double" else "double"
    fits_other = not outcome.holds and not reached and off_by(values[other]) <= 0.1
    return unless_never_asked(outcome, trial, fits_other=fits_other)


def fits_fixed_targets(testbed: Testbed) -> Outcome:
    """Makes updates on one batch with targets of its own for each action."""
    trial = white_box_trial(testbed, batch_size=ROWS, learning_rate=FIT_LEARNING_RATE)
    transitions = draw(generator(testbed.seed), ROWS)
    # Each observation with both actions: one up, one down.
    obs = np.repeat(transitions.obs[: ROWS // ACTIONS], ACTIONS, axis=0)
    transitions = transitions._replace(obs=obs, action=np.arange(ROWS) % ACTIONS)
    error = np.where(transitions.action == 0, FIT_ERROR, -FIT_ERROR)
    transitions = with_errors(trial, transitions, error)
    # What is left of the errors: nothing where it is right, all where nothing moves or the wrong
    # value does. We allow a quarter, and as many updates as it takes while errors get smaller.
    left, updates, moving = [FIT_ERROR, FIT_ERROR], 0, True
    while max(left) > FIT_ERROR / 4 and moving and updates < FIT_TRIES * FIT_UPDATES:
        before = max(left)
        for _ in range(FIT_UPDATES):
            trial.subject.update(transitions)
        updates += FIT_UPDATES
        predicted = trial.q_table(transitions.obs)[np.arange(ROWS), transitions.action]
        error = np.abs(transitions.reward - predicted)
        left = [float(error[transitions.action == action].mean()) for action in (0, 1)]
        moving = max(left) < FIT_PROGRESS * before
    return Outcome(
        holds=max(left) <= FIT_ERROR / 4 or (None if moving else False),
        expected=f"TD errors that fall from {FIT_ERROR} below {FIT_ERROR / 4} "
        "with updates on one batch",
        actual=f"{left[0]:.2f} are left where the value had to rise, {left[1]:.2f} where to fall, "
        f"after {updates} updates",
        compared=ROWS,
    )


def reaches_actions_taken_alone(testbed: Testbed) -> Outcome:
    """Works out from the gradient of single rows what the gradient at their values was."""
    require_plain(testbed, "noisy", "batch_norm")
    if observed_batch_norm(testbed):
        raise Unsupported("a single row cannot be normalised by its batch")
    trial = white_box_trial(testbed, batch_size=ROWS)
    transitions = draw(generator(testbed.seed), SINGLE_ROWS)
    shown = with_errors(trial, transitions, SMALL)
    found = []
    for row in range(SINGLE_ROWS):
        single = rows_of(shown, np.array([row]))
        directions = value_gradients(trial, single.obs)
        found.append(np.linalg.lstsq(directions.T, gradient(trial.subject, single))[0])
    return of_actions_taken_alone(np.stack(found), transitions.action)


def ignores_values_after_an_end(far: float, testbed: Testbed) -> Outcome:
    """Gives ended rows next observations that are very far away, or infinitely far."""
    require_plain(testbed, "noisy", "batch_norm")
    trial = white_box_trial(testbed, batch_size=ROWS)
    transitions = with_errors(trial, draw(generator(testbed.seed), ROWS), SMALL)
    plain = gradient(trial.subject, transitions)
    endless = transitions._replace(next_obs=np.full_like(transitions.next_obs, far))
    found = gradient(trial.subject, endless)
    unreal = int((~np.isfinite(found)).sum())
    distance = off(found, plain) if not unreal else np.inf
    return Outcome(
        holds=distance <= 0.01,
        expected="the same gradient, whatever follows the end of an episode",
        actual=f"{unreal} of {len(found)} numbers of the gradient are not finite"
        if unreal
        else f"off by {distance:.0%}",
        compared=len(found),
    )


_AIMS: Final[dict[str, Any]] = {
    "component": Component.TD_TARGET,
    "needs": ("update", "target_values", "online_net", "target_net"),
    "what": "An update aims at reward + gamma * the target network's value, as at a fixed number.",
    "why": "A wrong bootstrap biases every value but the last of an episode. A target that is "
    "differentiated pulls next values down, or costs memory at best.",
    "experiment": "print the targets inside the update, and assert that none requires a gradient",
}

CHECKS: Final = (
    Check(
        code="loss.reaches-actions-taken-alone",
        component=Component.TD_TARGET,
        needs=("update", "online_net"),
        what="The loss has a gradient at the value of the action that was taken, and at no other.",
        why="Where the values of other actions are pulled along, to their own estimates or to "
        "zero, the agent forgets what it has not tried lately.",
        causes=(
            "targets for all actions, of which only some are the network's own values",
            "a one-hot mask on predictions, and none on targets",
            "the gather uses another index than the action taken",
        ),
        seen=("https://github.com/MoMe36/BranchingDQN/issues/2",),
        experiment="print the gradient at the output of the network, [B, A], beside the actions",
        variants=("batch_norm", "noisy"),
        run=reaches_actions_taken_alone,
    ),
    Check(
        code="loss.ignores-values-after-an-end",
        component=Component.TERMINATION,
        needs=("update", "online_net"),
        what="However large the value of the observation after an end is, nothing comes of it.",
        why="What follows an end is not part of the task, and its value is learned by nobody. Even "
        "a small share of it biases the last value of every episode.",
        causes=(
            "the end of the episode is not used in the target, or not in all rows",
            "the mask is not exactly 0 and 1",
        ),
        seen=("https://github.com/navneet-nmk/pytorch-rl/issues/2",),
        experiment="print the target of an ended row for next observations of any size",
        variants=("batch_norm", "noisy"),
        run=partial(ignores_values_after_an_end, FAR_AWAY),
    ),
    Check(
        code="loss.ignores-infinite-values-after-an-end",
        component=Component.TERMINATION,
        needs=("update", "online_net"),
        what="Not even an infinite value after an end changes anything.",
        why="Infinity times zero is not a number: once a network overflows for observations that "
        "nobody ever acts on, one such row in a batch spoils all weights.",
        causes=("the mask multiplies the next value, where it could choose between it and zero",),
        seen=(),
        experiment="use torch.where(terminated, 0, next_value)",
        variants=("batch_norm", "noisy"),
        run=partial(ignores_values_after_an_end, np.inf),
        advises=True,
    ),
    Check(
        code="loss.fits-fixed-targets",
        component=Component.TD_TARGET,
        needs=("update",),
        what="Updates on one batch bring each action's value to its target, up or down.",
        why="It is the smallest thing that loss, gradient and optimizer can do together; while it "
        "fails nothing is learned anywhere.",
        causes=(
            "the value of another action than the one taken is trained",
            "the output is squashed by an activation after the last layer",
            "the sign of the loss, or gradients that never reach the optimizer",
        ),
        seen=(
            "https://github.com/thu-ml/tianshou/issues/725",
            "https://github.com/MoMe36/BranchingDQN/issues/2",
        ),
        experiment="update on a single row, and print its value after each update",
        variants=("batch_norm", "noisy"),
        run=fits_fixed_targets,
    ),
    Check(
        code="loss.rows-are-independent",
        component=Component.TD_TARGET,
        needs=("update", "online_net"),
        what="What a row adds to the gradient of its batch does not depend on the other rows.",
        why="A prediction [B, 1] against targets [B] broadcasts to all pairs: every row is then "
        "pulled to the mean target of its batch, without any error message.",
        causes=(
            "[B, 1] broadcast against [B] in the loss",
            "gradients of the last update are not cleared",
        ),
        seen=(
            "https://github.com/MoMe36/BranchingDQN/issues/2",
            "https://github.com/BY571/QR-DQN/issues/1",
            "https://github.com/pytorch/pytorch/issues/19699",
        ),
        experiment="print the shapes of prediction and target right before the loss",
        variants=("batch_norm", "noisy"),
        run=rows_do_not_mix,
    ),
    Check(
        code="loss.averages-over-rows",
        component=Component.TD_TARGET,
        needs=("update", "online_net"),
        what="Repeating every row of a batch leaves its gradient as it is.",
        why="A sum over the batch makes the gradient grow with the batch size: epsilon of the "
        "optimizer, a clipped norm and, without Adam, the learning rate mean something else.",
        causes=("the loss is summed instead of averaged",),
        seen=(),
        experiment="print the loss of a batch, and of the same batch twice over",
        variants=("batch_norm", "noisy"),
        run=averages_over_rows,
    ),
    Check(
        code="loss.aims-at-target",
        causes=(
            "next values of the online network, of another row or of ended episodes",
            "the target is not detached: the loss is differentiated through it",
            "gamma is missing, or applied twice",
        ),
        seen=(
            "https://github.com/facebookresearch/ReAgent/issues/88",
            "https://github.com/philtabor/Deep-Q-Learning-Paper-To-Code/issues/16",
        ),
        variants=("batch_norm", "noisy", "n_step"),
        run=partial(aims_at_target, "plain"),
        **_AIMS,
    ),
    Check(
        code="loss.aims-at-double-target",
        causes=(
            "the networks' roles are swapped, or there is no choice of the online network's own",
            "the setting `double` is not passed on",
            "the choice is not detached from the loss",
        ),
        seen=(
            "https://github.com/AgileRL/AgileRL/issues/290",
            "https://github.com/MaximeVandegar/Papers-in-100-Lines-of-Code/issues/21",
        ),
        variants=("batch_norm", "noisy", "n_step"),
        run=partial(aims_at_target, "double"),
        **_AIMS,
    ),
)
