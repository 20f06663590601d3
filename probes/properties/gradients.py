"""Properties of the gradient of a loss: how it grows with the error, and whom it reaches."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from probes.outcome import Outcome

Vector = npt.NDArray[np.float64]

# A square pulls in proportion to the error, an absolute value or a root not at all: the tolerance
# is a quarter of the way between them, in logarithms.
SLOPE_TOLERANCE: Final = 0.25
# Of the largest gradient: what rounding may leave where there should be none.
ROUNDING: Final = 1e-5
# Of what a clipped gradient should be: libraries add a millionth to the norm that they divide by.
CLIPPED_TO: Final = 1e-3
# By how much the pull of an error may differ from that of the loss that is declared.
OF_THE_PULL: Final = 0.1


def grows_with_small_errors(errors: Vector, pulls: Vector) -> Outcome:
    """A small error pulls in proportion to its size: the loss is a square there.

    Args:
        errors: [E], rising, all small enough to be in the quadratic part of a robust loss.
        pulls: [E], lengths of the gradients of batches with that error in each row.

    References:
        Mnih et al. 2015, equation of the loss; Huber 1964 for errors beyond its knee.
    """
    if not (pulls > 0).all():
        return Outcome(
            holds=False,
            expected="a gradient for every error",
            actual=f"none for an error of {errors[pulls <= 0][0]:g}",
            compared=len(errors),
        )
    slope = float(np.polyfit(np.log(errors), np.log(pulls), 1)[0])
    return Outcome(
        holds=abs(slope - 1.0) <= SLOPE_TOLERANCE,
        expected=f"gradients that grow {errors[-1] / errors[0]:.0f} times from an error of "
        f"{errors[0]:g} to one of {errors[-1]:g}",
        actual=f"{pulls[-1] / pulls[0]:.3g} times",
        compared=len(errors),
    )


def of_actions_taken_alone(gradient: Vector, action: npt.NDArray[np.int64]) -> Outcome:
    """The loss has no gradient at the values of actions that were not taken.

    Args:
        gradient: [B, A], of the loss at the output of the network.
        action: [B], taken.
    """
    taken = np.zeros(gradient.shape, np.bool_)
    taken[np.arange(len(action)), action] = True
    size = np.abs(gradient)
    reached = (size > ROUNDING * size.max()) & ~taken
    missed = int((size[taken] <= ROUNDING * size.max()).sum()) if size.any() else len(action)
    return Outcome(
        holds=not reached.any() and missed < len(action),
        expected=f"a gradient at the {len(action)} values of the actions taken, and nowhere else",
        actual=f"at {len(action) - missed} of them, and at {int(reached.sum())} of "
        f"{int((~taken).sum())} others",
        compared=gradient.size,
    )


def bends_at(errors: Vector, pulls: Vector, knee: float) -> Outcome:
    """An error pulls in proportion to its size up to the knee of the loss, and no harder beyond.

    Args:
        errors: [E], rising, on both sides of the knee if there is one.
        pulls: [E], lengths of the gradients of batches with that error in each row.
        knee: infinity for a square.

    References:
        Huber 1964; Mnih et al. 2015, Methods, "Training algorithm", with a knee of 1.
    """
    due = np.minimum(errors, knee) / min(errors[0], knee)
    found = pulls / max(pulls[0], np.finfo(np.float64).tiny)
    return Outcome(
        holds=bool((np.abs(found / due - 1) <= OF_THE_PULL).all()),
        expected=f"errors of {_numbers(errors)} to pull {_numbers(due)} times as hard as the first",
        actual=f"{_numbers(found)} times",
        compared=len(errors),
    )


def clipped_as_declared(
    before: list[Vector], after: list[Vector], norm: float, value: float
) -> Outcome:
    """A gradient is what the optimizer is given, shortened or cut off where it is too large.

    Args:
        before: [U] of [P], as the loss gives them.
        after: [U] of [P], as the optimizer is given them.
        norm: that the whole of it measures at most; 0 for any.
        value: that each number of it measures at most; 0 for any.
    """
    most = value or np.inf
    apart, reached = [], 0
    for given, taken in zip(before, after, strict=True):
        due = given.clip(-most, most)
        length = float(np.linalg.norm(due))
        due = due * min(1.0, norm / length) if norm and length else due
        reached += bool(np.any(due != given))
        apart.append(float(np.linalg.norm(taken - due)) / max(float(np.linalg.norm(due)), 1e-30))
    limits = [f"a norm of {norm:g}" if norm else "", f"values of {value:g}" if value else ""]
    longest = max(float(np.linalg.norm(given)) for given in after)
    largest = max(float(np.abs(given).max()) for given in after)
    return Outcome(
        holds=max(apart) <= CLIPPED_TO if reached else None,
        expected=f"gradients clipped to {' and '.join(filter(None, limits))}",
        actual=f"a norm of up to {longest:.3g}, values of up to {largest:.3g}, off by up to "
        f"{max(apart):.1%}; {reached} of {len(before)} were too large",
        compared=len(before),
    )


def _numbers(values: Vector) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
