"""Learning in worlds with solved Q-values."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from probes.checks.check import Check, Outcome
from probes.subject import GAMMA, VIEWS, Network, Subject, q_table
from probes.worlds import CONSTANT_REWARD, TWO_STEP, WORLDS, World

HINTS: Final = {
    CONSTANT_REWARD.name: "an ended episode that bootstraps, a loss or optimizer that never moves",
    TWO_STEP.name: "gamma lost or applied twice, a target network that is never synced",
}
OTHER_HINT: Final = "columns shifted against each other in replay, sums that mix rows of a batch"


def learns_solved_values(world: World, network: Network, subject: Subject, seed: int) -> Outcome:
    """Trains in a world, and compares every Q-value with the solved one."""
    solved, tolerance = world.solve(GAMMA), world.tolerance(GAMMA)
    learned = q_table(subject.train(world, network, seed), world, network)
    distance = np.abs(learned - solved)
    state, action = np.unravel_index(np.nanargmax(distance), distance.shape)
    return Outcome(
        holds=bool((distance <= tolerance).all()),  # false for nan
        expected=f"Q(s{state}, a{action}) = {solved[state, action]:.3f} ± {tolerance:.3f}",
        actual=f"{learned[state, action]:.3f}",
        compared=learned.size,
    )


CHECKS: Final = tuple(
    Check(
        code=f"world.{world.name}.{network}",
        component=world.isolates,
        hint=HINTS.get(world.name, OTHER_HINT),
        run=partial(learns_solved_values, world, network),
    )
    for network in VIEWS
    for world in WORLDS
)
