"""All planted faults, and those seen elsewhere that the bundled core has no place for."""

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
    network,
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
from probes.faults.fault import AbsentFault, Fault

FAULTS: Final[tuple[Fault, ...]] = (
    *td_target.FAULTS,
    *worlds.FAULTS,
    *target_network.FAULTS,
    *network.FAULTS,
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

ABSENT: Final[tuple[AbsentFault, ...]] = (
    AbsentFault(
        name="emulator-defaults-assumed",
        what="Frame skip and sticky actions are left to the defaults of the emulator's version.",
        reason="They are a choice of protocol: the recipe names each, none is assumed.",
        seen=(
            "https://github.com/Farama-Foundation/Arcade-Learning-Environment/issues/443",
            "https://github.com/sail-sg/envpool/issues/49",
            "https://github.com/google/dopamine/issues/187",
        ),
    ),
    AbsentFault(
        name="sticky-actions-set-too-early",
        what="The chance of a sticky action is set before the game is loaded, and so ignored.",
        reason="Sticky actions belong to ALE's own emulator, which the probes' stand-in replaces.",
        seen=("https://github.com/openai/gym/issues/349",),
    ),
)


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
