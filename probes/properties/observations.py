"""Properties of observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from probes.outcome import Outcome


def lie_in_space(shown: Sequence[Any], space: gymnasium.Space[Any]) -> Outcome:
    """Observations lie in the space that is declared for them, type included.

    Args:
        shown: observations.
        space: declared.
    """
    outside = [np.asarray(obs) for obs in shown if not _lies_in(np.asarray(obs), space)]
    found = [f"{obs.dtype} {list(obs.shape)} from {obs.min()} to {obs.max()}" for obs in outside]
    return Outcome(
        holds=not outside,
        expected=f"observations in {space}",
        actual=f"{len(outside)} of {len(shown)} outside, such as {found[0]}"
        if outside
        else f"all {len(shown)} in it",
        compared=len(shown),
    )


def _lies_in(obs: np.ndarray[Any, Any], space: gymnasium.Space[Any]) -> bool:
    # A space takes what can be cast to its type; an array of another type is another observation.
    return space.contains(obs) and obs.dtype == space.dtype
