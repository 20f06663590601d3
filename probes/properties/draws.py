"""Properties of random draws: what runs of other seeds must not share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.outcome import Outcome

Counts = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]

# Rows whose errors are of one size, but of either sign, are drawn equally often; one sign alone is
# what signed errors leave.
ONE_SIGN: Final = 2.0
# New rows are drawn at least so many times as often as a row is on average.
AS_NEW: Final = 0.5
# Rounding of weights that are divided by the largest.
ROUNDING: Final = 1e-4


def indices_differ(one: Sequence[Hashable], other: Sequence[Hashable]) -> Outcome:
    """Two runs of different seeds draw different rows from memories that hold the same.

    Args:
        one: [N], what was drawn in one run, in order; enough that chance does not repeat it.
        other: [N], the same of the other run.
    """
    same = sum(a == b for a, b in zip(one, other, strict=True))
    return Outcome(
        holds=same < len(one),
        expected=f"{len(one)} draws that are not the same in two runs of different seeds",
        actual=f"{same} are the same",
        compared=len(one),
    )


def seeds_are_disjoint(seeds: Mapping[int, Sequence[int | None]]) -> Outcome:
    """No environment of a run is given a seed of one of a neighbouring run.

    Args:
        seeds: given to environments, by the seed of their run; None where none was given.
    """
    given = {run: {seed for seed in of_run if seed is not None} for run, of_run in seeds.items()}
    shared = {
        (one, other): sorted(given[one] & given[other]) for one, other in combinations(given, 2)
    }
    common = {runs: both for runs, both in shared.items() if both}
    words = [
        f"runs {a} and {b} share {', '.join(map(str, both[:3]))}" for (a, b), both in common.items()
    ]
    return Outcome(
        holds=not common,
        expected="environments of neighbouring runs with no seed in common",
        actual="; ".join(words) or "none in common",
        compared=sum(map(len, given.values())),
    )


def exponent_of_shares(errors: Vector, rates: Vector) -> float:
    """The power of a row's TD error that it is drawn in proportion to.

    Args:
        errors: [K], sizes of TD errors, positive.
        rates: [K], draws for each row with such an error.
    """
    return float(np.polyfit(np.log(errors), np.log(np.maximum(rates, 1e-9)), 1)[0])


def follow_errors(errors: Vector, drawn: Counts, held: Counts, exponent: float) -> Outcome:
    """Rows are drawn in proportion to a power of the size of their TD error.

    Args:
        errors: [K], sizes of TD errors, rising.
        drawn: [K, 2], draws of rows with such an error, below and above their target.
        held: [K, 2], how many of these rows the memory holds.
        exponent: alpha.

    References:
        Schaul et al. 2016, equation 1 and section 3.3, proportional prioritisation.
    """
    rates = drawn / np.maximum(held, 1)
    found = exponent_of_shares(errors, drawn.sum(axis=1) / np.maximum(held.sum(axis=1), 1))
    lower, higher = rates.T
    ratio = float(np.median(np.maximum(lower, 1e-9) / np.maximum(higher, 1e-9)))
    one_sided = not 1 / ONE_SIGN < ratio < ONE_SIGN
    return Outcome(
        holds=abs(found - exponent) <= exponent / 2 and not one_sided,
        expected=f"draws in proportion to TD errors to the power of {exponent:g}, of either sign",
        actual=f"to the power of {found:.2f}; values that are too low are drawn {ratio:.2g} times "
        "as often as ones that are too high",
        compared=int(drawn.sum()),
    )


def new_rows_are_drawn(new: Counts, all_rows: Counts) -> Outcome:
    """Rows that no update has seen yet are drawn no less often than others.

    Args:
        new: [N], draws of each row that was stored after the last update.
        all_rows: [R], draws of each row of the memory.

    References:
        Schaul et al. 2016, section 3.3: new transitions get the highest priority.
    """
    mean, usual = float(new.mean()), float(all_rows.mean())
    return Outcome(
        holds=mean >= AS_NEW * usual,
        expected=f"rows that no update has seen drawn at least {AS_NEW * usual:.0f} times each",
        actual=f"{mean:.1f} times on average, all rows {usual:.1f} times",
        compared=len(new),
    )


def weights_make_up_for_shares(weights: Vector, rates: Vector) -> Outcome:
    """A row weighs less the more often it is drawn, and none weighs more than one.

    Args:
        weights: [K], mean weight of rows that are drawn equally often.
        rates: [K], how often each of those rows is drawn.

    References:
        Schaul et al. 2016, section 3.4: (1 / (N * P)) ** beta, divided by the largest.
    """
    power = float(np.polyfit(np.log(rates), np.log(np.maximum(weights, 1e-9)), 1)[0])
    in_range = bool((weights > 0).all() and weights.max() <= 1 + ROUNDING)
    return Outcome(
        holds=in_range and -1.25 <= power <= -0.05,
        expected="weights of at most 1 that fall as rows are drawn more often",
        actual=f"from {weights.min():.3g} to {weights.max():.3g}, in proportion to draws to the "
        f"power of {power:.2f}",
        compared=len(weights),
    )


def mean_under_priorities(
    rewards: Vector, chances: Vector, priority_exponent: float, importance_exponent: float
) -> float:
    """What a value settles at, if rows are drawn by priority and weigh by their importance.

    The gradient of a square, drawn in proportion to the error to the power of alpha and weighed
    in inverse proportion to that to the power of beta, is zero there; beta 1 gives the mean.

    Args:
        rewards: [K], of a single step.
        chances: [K], of each.
        priority_exponent: alpha.
        importance_exponent: beta; 0 where rows do not weigh at all.
    """
    from scipy.optimize import brentq  # noqa: PLC0415  # every process would wait for it

    power = 1 + priority_exponent * (1 - importance_exponent)

    def pull(value: float) -> float:
        error = rewards - value
        return float((chances * np.sign(error) * np.abs(error) ** power).sum())

    return float(brentq(pull, rewards.min(), rewards.max()))
