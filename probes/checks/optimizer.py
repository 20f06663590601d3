"""The optimizer remembers: its steps follow the closed form of one optimizer over all updates."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from probes.checks.check import Check, Outcome
from probes.checks.parts import UpdateTrace, trace_updates
from probes.subject import Subject

UPDATES: Final = 20
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # of Adam in the recipe of the worlds

Vector = npt.NDArray[np.float64]


def adam(trace: UpdateTrace, *, forgets: bool) -> Vector:
    """Weights that Adam reaches from the recorded gradients, in float64.

    Args:
        trace: of updates.
        forgets: as if the optimizer were made anew at every update.

    Returns:
        [number of weights] float64.

    References:
        Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1.
    """
    weights = _flat(trace.online[0])
    mean, mean_square = np.zeros_like(weights), np.zeros_like(weights)
    for update, (tensors, rate) in enumerate(
        zip(trace.gradients, trace.learning_rates, strict=True), start=1
    ):
        gradient, age = _flat(tensors), update
        if forgets:
            mean, mean_square, age = np.zeros_like(mean), np.zeros_like(mean), 1
        mean = BETA1 * mean + (1 - BETA1) * gradient
        mean_square = BETA2 * mean_square + (1 - BETA2) * gradient**2
        step = (mean / (1 - BETA1**age)) / (np.sqrt(mean_square / (1 - BETA2**age)) + EPS)
        weights = weights - rate * step
    return weights


def moments_persist(subject: Subject, seed: int) -> Outcome:
    """Compares the weights after some updates with those of one Adam, and of one made anew."""
    trace = trace_updates(subject, seed, UPDATES)
    actual = _flat(trace.online[-1])
    remembered, forgotten = adam(trace, forgets=False), adam(trace, forgets=True)
    # Root mean squares over all weights; a quarter of the way to an optimizer that forgets.
    tolerance = _rms(remembered - forgotten) / 4
    return Outcome(
        holds=_rms(actual - remembered) <= tolerance,
        expected=f"within {tolerance:.1e} of one Adam over {UPDATES} updates",
        actual=f"{_rms(actual - remembered):.1e} from it, "
        f"{_rms(actual - forgotten):.1e} from one made anew each time",
        compared=actual.size,
    )


def _flat(tensors: list[Tensor]) -> Vector:
    return np.concatenate([tensor.numpy().ravel().astype(np.float64) for tensor in tensors])


def _rms(values: Vector) -> float:
    return float(np.sqrt(np.mean(values**2)))


CHECKS: Final = (
    Check(
        code="optimizer.moments-persist",
        component="optimizer",
        hint="an optimizer made anew at every update, or over other parameters",
        run=moments_persist,
    ),
)
