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
