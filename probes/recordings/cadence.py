"""When a script acts, learns and syncs, read off the order of what was recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from probes.recordings.recording import Integers, Recording, Vector
from probes.recordings.updates import ReplayedRows, Roles, Update

# A move of the target network is a share of its way to the online network if all entries agree so
# far on that share.
SHARE_SPREAD: Final = 0.02
MOVED: Final = 1e-5
LOOKED_BACK: Final = 200  # earlier weights of the online network that may have been copied


@dataclass(frozen=True)
class Cadence:
    """Counts of steps and updates.

    Attributes:
        warmup_steps: taken before the first update.
        steps_between_updates: how often each distance was seen.
        updates: in all.
        batch_sizes: how often each was seen.
    """

    warmup_steps: int
    steps_between_updates: Counter[int]
    updates: int
    batch_sizes: Counter[int]


@dataclass(frozen=True)
class Syncs:
    """Moves of the target network.

    Attributes:
        tau: share of the way to the online network that each move went; NaN where it went
            elsewhere.
        updates_between: how often each number of updates between two moves was seen.
        steps_between: how often each number of steps was seen.
    """

    tau: Vector
    updates_between: Counter[int]
    steps_between: Counter[int]


def cadence_of(recording: Recording, updates: list[Update]) -> Cadence:
    """How often it learns."""
    taken = taken_at(recording, updates).tolist()
    return Cadence(
        warmup_steps=taken[0],
        steps_between_updates=Counter(after - before for before, after in pairwise(taken)),
        updates=len(updates),
        batch_sizes=Counter(len(update.trained.tags) for update in updates),
    )


def syncs_of(recording: Recording, updates: list[Update], roles: Roles) -> Syncs | None:
    """How the target network follows the online one; None if there is none."""
    if roles.target is None:
        return None
    moments, entries = recording.weights(roles.target)
    online_at, online = recording.weights(roles.online)
    when, shares = [], []
    for place in range(1, len(moments)):
        before, after = entries[place - 1], entries[place]
        when.append(int(moments[place]))
        shares.append(_share(before, after, online_at, online, int(moments[place])))
    learned = np.array([update.step.moment for update in updates])
    counted = [int((learned < moment).sum()) for moment in when]
    taken = [_steps_before(recording, moment) for moment in when]
    return Syncs(
        tau=np.array(shares, np.float64),
        updates_between=Counter(after - before for before, after in pairwise(counted)),
        steps_between=Counter(after - before for before, after in pairwise(taken)),
    )


def _share(
    before: Vector, after: Vector, online_at: Integers, online: Vector, moment: int
) -> float:
    """Which share of its way to the online network, of then or some updates ago, a move went."""
    # The newest that was seen before; it may have learned on before the move was noticed.
    last = int(np.searchsorted(online_at, moment))
    first = max(0, last - LOOKED_BACK)
    for weights in (*online[first:last][::-1], *online[last : last + 1]):
        way = weights - before
        moved = np.abs(way) > MOVED
        if moved.any():
            share = (after - before)[moved] / way[moved]
            if np.std(share) < SHARE_SPREAD:
                return float(np.median(share))
    return float("nan")


def taken_at(recording: Recording, updates: list[Update]) -> Integers:
    """Steps that had been taken at each update."""
    return np.array([_steps_before(recording, one.step.moment) for one in updates], np.int64)


def ages_of(recording: Recording, updates: list[Update], rows: ReplayedRows) -> Integers:
    """[N], how many steps ago each replayed row was taken, when it was replayed."""
    order = {int(tag): number for number, tag in enumerate(recording.steps[:, 2])}
    taken = taken_at(recording, updates)
    known = np.array([int(tag) in order for tag in rows.tag], np.bool_)
    numbers = np.array([order[int(tag)] for tag in rows.tag[known]], np.int64)
    ages: Integers = taken[rows.update[known]] - numbers
    return ages


def greedy_of(recording: Recording, roles: Roles) -> tuple[Integers, Integers]:
    """Steps before which the online network was asked, and whether they took its largest value."""
    moments = recording.steps[:, 0]
    asked: dict[int, bool] = {}
    for call in recording.calls:
        step = int(np.searchsorted(moments, call.moment))
        single = len(call.tags) == 1 and call.gradient is None and call.network == roles.online
        if single and step < len(moments) and int(recording.steps[step, 2]) == int(call.tags[0]):
            asked[step] = int(call.values[0].argmax()) == int(recording.steps[step, 5])
    steps = np.array(sorted(asked), np.int64)
    return steps, np.array([asked[int(step)] for step in steps], np.int64)


def _steps_before(recording: Recording, moment: int) -> int:
    return int(np.searchsorted(recording.steps[:, 0], moment))
