"""The shape of the loss: how hard errors of different sizes pull."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import NOT_DECLARED, require_plain
from probes.checks.support.white_box import (
    Vector,
    draw,
    generator,
    gradient,
    white_box_trial,
    with_errors,
)
from probes.outcome import Outcome
from probes.properties.gradients import bends_at, grows_with_small_errors
from probes.subject import Unsupported

ROWS: Final = 32
SMALL_ERRORS: Final = (0.01, 0.02, 0.04, 0.08)
ANY_ERRORS: Final = (0.1, 0.5, 2.0, 10.0)  # knees of Huber's loss
# TD errors this small are in the quadratic part of any robust loss.
SMALL: Final = 0.1


def small_errors_count_less(testbed: Testbed) -> Outcome:
    """Compares the gradients of small TD errors with each other."""
    pulls = np.linalg.norm(_gradients(testbed, SMALL_ERRORS), axis=1)
    return grows_with_small_errors(np.array(SMALL_ERRORS), pulls)


def bends_as_declared(testbed: Testbed) -> Outcome:
    """Compares the gradients of TD errors on both sides of the knee of the declared loss."""
    if not testbed.traits.loss:
        raise Unsupported(NOT_DECLARED)
    errors = np.array(ANY_ERRORS) * testbed.traits.huber_knee
    pulls = np.linalg.norm(_gradients(testbed, errors), axis=1)
    knee = testbed.traits.huber_knee if testbed.traits.loss == "huber" else np.inf
    return bends_at(errors, pulls, knee)


def big_errors_count(testbed: Testbed) -> Outcome:
    """Compares the gradients of big TD errors with that of a small one."""
    small, *big = _gradients(testbed, (SMALL, 10.0, 100.0))
    # A loss that is convex in the error never pulls less where the error is larger, clipped
    # gradient or not. One that is cut off does not pull at all; we allow a quarter of that.
    length = float(np.linalg.norm(small)) or np.inf
    pulls = [float(vector @ small) / length**2 for vector in big]
    return Outcome(
        holds=min(pulls) >= 0.75,
        expected=f"gradients of TD errors 10 and 100 at least as long as that of {SMALL}",
        actual=f"{pulls[0]:.2f} and {pulls[1]:.2f} times as long, in its direction",
        compared=len(big),
    )


def _gradients(testbed: Testbed, errors: Iterable[float]) -> Vector:
    """[E, P], the gradients of one batch with each of these errors in all of its rows."""
    require_plain(testbed, "noisy", "batch_norm")
    trial = white_box_trial(testbed, batch_size=ROWS)
    transitions = draw(generator(testbed.seed), ROWS)
    return np.stack(
        [gradient(trial.subject, with_errors(trial, transitions, error)) for error in errors]
    )


CHECKS: Final = (
    Check(
        code="loss.small-errors-count-less",
        component=Component.TD_TARGET,
        needs=("update", "online_net"),
        what="A small TD error pulls in proportion to its size.",
        why="Under a loss that pulls as hard at an error of 0.01 as at one of 0.1, values never "
        "settle, and one bad row outweighs all good ones.",
        causes=(
            "the root of the mean squared error, whose gradient has one length for all errors",
            "an absolute error in place of a square or of Huber's loss",
            "gradients are normalised to one length",
        ),
        seen=(),
        experiment="print the loss of one batch for errors of 0.01, 0.02 and 0.04",
        variants=("batch_norm", "noisy"),
        run=small_errors_count_less,
    ),
    Check(
        code="loss.bends-as-declared",
        component=Component.TD_TARGET,
        needs=("update", "online_net"),
        what="Errors pull in proportion to their size, up to the knee of the declared loss.",
        why="A square and Huber's loss differ where errors are large, just where a run decides "
        "whether it stays stable.",
        causes=(
            "another loss than the one that was meant, or another knee",
            "errors, targets or rewards are clipped besides",
            "Huber's loss where its derivative is taken for the loss itself",
        ),
        seen=(),
        experiment="print the gradient at the output of the network for errors of 0.1, 1 and 10",
        run=bends_as_declared,
    ),
    Check(
        code="loss.big-errors-count",
        component=Component.TD_TARGET,
        needs=("update", "online_net"),
        what="A big TD error pulls at least as hard as a small one.",
        why="Clipping the error instead of its derivative gives big errors a gradient of zero: "
        "just what is most wrong is never corrected.",
        causes=("the TD error is clipped inside the loss", "gradients are cut off, not clipped"),
        seen=(
            "https://github.com/devsisters/DQN-tensorflow/issues/16",
            "https://github.com/spragunr/deep_q_rl/issues/46",
            "https://github.com/carpedm20/deep-rl-tensorflow/issues/5",
        ),
        experiment="replace the loss by Huber's, and see whether learning starts",
        variants=("batch_norm", "noisy"),
        run=big_errors_count,
    ),
)
