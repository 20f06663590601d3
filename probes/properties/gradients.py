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
