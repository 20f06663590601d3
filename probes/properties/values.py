"""Properties of Q-values: what they may depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.outcome import Outcome

Table = npt.NDArray[np.float64]

# Batches of other sizes round otherwise, by some units in the last place of what is summed.
ROUNDING: Final = 1e-4
SMALLEST: Final = 1e-30
SHIFT_TOLERANCE: Final = 1e-3  # of a shift by one


def functions_of_one_row(alone: Table, in_company: Mapping[str, Table]) -> Outcome:
    """Q-values of an observation are the same whenever it is asked for, and with whatever else.

    Args:
        alone: [B, A], each row asked for by itself.
        in_company: the same rows [B, A] asked for in other ways, by words for them.
    """
    scale = max(float(np.abs(alone).max()), SMALLEST)
    apart = {
        way: np.abs(table - alone).max(axis=1) > ROUNDING * scale
        for way, table in in_company.items()
    }
    largest = {way: float(np.abs(table - alone).max()) for way, table in in_company.items()}
    differing = [
        f"{int(rows.sum())} of {len(rows)} rows differ {way}, by up to {largest[way]:.3g}"
        for way, rows in apart.items()
        if rows.any()
    ]
    return Outcome(
        holds=not differing,
        expected="the same values of an observation, asked for alone, in company and again",
        actual="; ".join(differing) or f"the same, up to {max(largest.values()):.1g}",
        compared=alone.size * len(in_company),
    )


def advantages_are_relative(
    values: Table, value_raised: Table, advantages_raised: Table
) -> Outcome:
    """What all advantages share is nothing, and what is added to the state's value is in each.

    Args:
        values: [B, A].
        value_raised: [B, A], with one added to the value of each state.
        advantages_raised: [B, A], with one added to the advantage of each action.

    References:
        Wang et al. 2016, equations 8 and 9: without it the two streams are not told apart.
    """
    by_value, by_advantages = value_raised - values, advantages_raised - values
    off = np.abs(by_value - 1).max(), np.abs(by_advantages).max()
    return Outcome(
        holds=max(off) <= SHIFT_TOLERANCE,
        expected="values 1 higher where the state's value is, and as they were where all "
        "advantages are",
        actual=f"{by_value.mean():.3g} higher, and {by_advantages.mean():.3g} higher",
        compared=values.size,
    )
