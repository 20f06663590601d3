"""The target network moves at syncs, and only then."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from probes.checks.check import Check, Outcome
from probes.checks.parts import UpdateTrace, trace_updates
from probes.subject import Subject

UPDATES: Final = 35
PERIOD: Final = 10  # updates between syncs, as in the recipe of the worlds


def shares_no_storage(trace: UpdateTrace) -> bool:
    """Whether online and target parameters are different tensors in different memory."""
    online = {tensor.untyped_storage().data_ptr() for tensor in trace.online_parameters}
    target = {tensor.untyped_storage().data_ptr() for tensor in trace.target_parameters}
    return online.isdisjoint(target)


def moves_on_sync_only(subject: Subject, seed: int) -> Outcome:
    """Follows both networks, bit by bit, over three sync periods and a half."""
    trace = trace_updates(subject, seed, UPDATES)
    due = [update for update in range(1, UPDATES + 1) if update % PERIOD == 0]
    moved = [
        update
        for update, (before, after) in enumerate(pairwise(trace.target), start=1)
        if not _equal(before, after)
    ]
    copied = [update for update in due if _equal(trace.target[update], trace.online[update])]
    shared = "separate" if shares_no_storage(trace) else "shared"
    return Outcome(
        holds=moved == due and copied == due and shared == "separate",
        expected=f"separate memory; moves at updates {due}, to the online weights",
        actual=f"{shared} memory; moves at {_short(moved)}, equals online at {_short(copied)}",
        compared=UPDATES * len(trace.target_parameters),
    )


def _equal(one: Iterable[Tensor], other: Iterable[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _short(updates: list[int]) -> str:
    return f"{updates}" if len(updates) <= 4 else f"{len(updates)} of {UPDATES} updates"


CHECKS: Final = (
    Check(
        code="target.moves-on-sync-only",
        component="target network",
        hint="shared storage, a sync that copies nothing, a period in another unit",
        run=moves_on_sync_only,
    ),
)
