"""All checks, cheapest explanation first."""

from __future__ import annotations

from typing import Final

from dqn_core.names import unknown
from probes.checks import (
    cadence,
    checkpoints,
    evaluation,
    exploration,
    frames,
    lives,
    loss,
    loss_shape,
    network,
    optimizer,
    overestimation,
    pixels,
    priorities,
    protocol,
    records,
    replay,
    resuming,
    sampling,
    seeding,
    stacks,
    target_network,
    td_target,
    termination,
    update_records,
    worlds,
)
from probes.checks.check import Check
from probes.checks.selection import matcher

CHECKS: Final[tuple[Check, ...]] = (
    *worlds.CHECKS,
    *overestimation.CHECKS,
    *td_target.CHECKS,
    *loss_shape.CHECKS,
    *loss.CHECKS,
    *target_network.CHECKS,
    *network.CHECKS,
    *optimizer.CHECKS,
    *protocol.CHECKS,
    *termination.CHECKS,
    *replay.CHECKS,
    *sampling.CHECKS,
    *priorities.CHECKS,
    *exploration.CHECKS,
    *cadence.CHECKS,
    *seeding.CHECKS,
    *checkpoints.CHECKS,
    *resuming.CHECKS,
    *evaluation.CHECKS,
    *records.CHECKS,
    *update_records.CHECKS,
    *frames.CHECKS,
    *stacks.CHECKS,
    *pixels.CHECKS,
    *lives.CHECKS,
)


class UnknownCheckError(ValueError):
    """No check of that code."""


def check_named(code: str) -> Check:
    """The check of that code.

    Raises:
        UnknownCheckError: naming the nearest ones.
    """
    by_code = {check.code: check for check in CHECKS}
    if code not in by_code:
        expected = f"one of {len(by_code)} checks"
        raise UnknownCheckError(unknown("check", code, by_code, expected=expected))
    return by_code[code]


def select(expression: str) -> tuple[Check, ...]:
    """The checks that an expression means; all for "".

    Args:
        expression: patterns of codes, joined by and, or and not; see `matcher`.

    Raises:
        SelectionError: if it cannot be read.
        UnknownCheckError: if it means none.
    """
    if not expression:
        return CHECKS
    means = matcher(expression)
    chosen = tuple(check for check in CHECKS if means(check.code))
    if not chosen:
        check_named(expression)  # names the nearest
    return chosen
