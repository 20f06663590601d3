"""Exploration as a function of the agent step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dqn_core.recipes.schema import ExplorationSection


def epsilon(
    step: npt.NDArray[np.int64], exploration: ExplorationSection, warmup_steps: int
) -> npt.NDArray[np.float64]:
    """Probability of a uniformly random action: one while warming up, then linear, then constant.

    Args:
        step: [N] int64, agent steps taken before the ones asked about.
        exploration: `initial` and `final` probability, and the `decay_steps` between them.
        warmup_steps: agent steps with uniformly random actions; the decay starts after them.

    Returns:
        [N] float64 in [0, 1].

    References:
        Mnih et al. 2015, Extended Data Table 1 (initial and final exploration, its final frame,
        replay start size).
    """
    progress = np.clip((step - warmup_steps) / exploration.decay_steps, 0.0, 1.0)
    decayed = exploration.initial + (exploration.final - exploration.initial) * progress
    return np.where(step < warmup_steps, 1.0, decayed)
