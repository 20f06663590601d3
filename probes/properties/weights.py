"""Properties of weights: when they may move, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.outcome import Outcome

Vector = npt.NDArray[np.float64]

# A move is a decay if it is this near to a share of the weights themselves.
OF_THE_WEIGHTS: Final = 0.01


def still_without_gradient(before: Vector, after: Vector) -> Outcome:
    """A step of the optimizer with gradients of zero, its first one, moves no weight.

    Args:
        before: [P], all weights that the optimizer holds.
        after: [P], the same after the step.
    """
    moved = after - before
    length = float(np.linalg.norm(moved))
    actual = f"{int((moved != 0).sum())} of {len(moved)} weights moved"
    if length:
        share = -float(moved @ before) / float(before @ before)
        rest = float(np.linalg.norm(moved + share * before)) / length
        decays = share > 0 and rest <= OF_THE_WEIGHTS
        actual += f", all by {share:.2g} of themselves: weight decay" if decays else ""
    return Outcome(
        holds=not length,
        expected="weights that stay where they are while gradients are zero",
        actual=actual,
        compared=len(before),
    )


def constant_rate(rates: Sequence[float], steps: Sequence[int]) -> Outcome:
    """A learning rate that was asked for as a constant is one, up to the end of the run.

    Args:
        rates: [K], of the optimizer.
        steps: [K], agent steps taken by then, rising.
    """
    other = [(rate, step) for rate, step in zip(rates, steps, strict=True) if rate != rates[0]]
    return Outcome(
        holds=not other and rates[0] > 0,
        expected=f"a learning rate of {rates[0]:.3g} in all {steps[-1]} steps",
        actual=f"{other[0][0]:.3g} after {other[0][1]} steps, {rates[-1]:.3g} in the end"
        if other
        else f"{rates[-1]:.3g} in the end",
        compared=len(rates),
    )


def modes_are_equal(before: Mapping[str, bool], after: Mapping[str, bool]) -> Outcome:
    """Modules are in training mode after something as they were before it.

    Args:
        before: whether each module is in training mode, by its name; "" is the network itself.
        after: the same, later.
    """
    moved = [name or "the network" for name in before if before[name] != after.get(name)]
    some = ", ".join(moved[:3])
    return Outcome(
        holds=not moved,
        expected="modules in the mode in which they were",
        actual=f"{len(moved)} of {len(before)} in the other mode: {some}" if moved else "as before",
        compared=len(before),
    )
