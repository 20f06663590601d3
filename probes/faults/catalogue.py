"""All planted faults, and those of the catalogue that the bundled core has no place for."""

from __future__ import annotations

from typing import Final

from dqn_core.names import unknown
from probes.faults import (
    cadence,
    checkpoints,
    evaluation,
    exploration,
    frames,
    lives,
    optimizer,
    pipeline,
    records,
    replay,
    seeding,
    stacks,
    target_network,
    td_target,
    termination,
    worlds,
)
from probes.faults.fault import Fault

FAULTS: Final[tuple[Fault, ...]] = (
    *td_target.FAULTS,
    *worlds.FAULTS,
    *target_network.FAULTS,
    *optimizer.FAULTS,
    *termination.FAULTS,
    *pipeline.FAULTS,
    *replay.FAULTS,
    *exploration.FAULTS,
    *cadence.FAULTS,
    *seeding.FAULTS,
    *checkpoints.FAULTS,
    *evaluation.FAULTS,
    *records.FAULTS,
    *frames.FAULTS,
    *stacks.FAULTS,
    *lives.FAULTS,
)

# Faults of the catalogue that the bundled core has no place for, and why.
ABSENT: Final[dict[str, str]] = {
    "FRM-06": "Emulator defaults are a choice of protocol: the recipe names each, none is assumed.",
    "FRM-07": "Sticky actions belong to ALE's own emulator, which the probes' stand-in replaces.",
}


class UnknownFaultError(ValueError):
    """No fault of that name."""


def fault_named(name: str) -> Fault:
    """The fault of that name.

    Raises:
        UnknownFaultError: naming the nearest ones.
    """
    by_name = {fault.name: fault for fault in FAULTS}
    if name not in by_name:
        expected = f"one of {len(by_name)} faults"
        raise UnknownFaultError(unknown("fault", name, by_name, expected=expected))
    return by_name[name]
