"""The updates of a recording: who was trained on which rows, and where next values came from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.recordings.recording import Call, Integers, OptimizerStep, Recording, Vector

LATER_SHARE: Final = 1 / 3  # of a batch, at least, that goes on after the present step


@dataclass(frozen=True)
class Update:
    """One step of the optimizer, and the calls that led to it.

    Attributes:
        step: of the optimizer.
        trained: the call whose gradient it followed.
        following: calls of about as many rows since the update before, by any network.
        differentiated_too: whether a gradient also flowed through another of these calls.
    """

    step: OptimizerStep
    trained: Call
    following: tuple[Call, ...]
    differentiated_too: bool


@dataclass(frozen=True)
class Roles:
    """Which network is which.

    Attributes:
        online: the one that the optimizer holds.
        target: the other one that next values came from most; None if they came from itself.
    """

    online: int
    target: int | None


def updates_of(recording: Recording) -> list[Update]:
    """Every update of more than one row whose calls were seen, in order."""
    found: list[Update] = []
    calls, since = recording.calls, 0
    position = 0
    for step in recording.meta.optimizer_steps:
        between: list[Call] = []
        while position < len(calls) and calls[position].moment < step.moment:
            if calls[position].moment > since:
                between.append(calls[position])
            position += 1
        since = step.moment
        trained = [
            call
            for call in between
            if call.gradient is not None and call.network in step.holds and len(call.tags) > 1
        ]
        if not trained:
            continue
        # Where the next value is differentiated too, the call with the earlier rows is trained.
        chosen = min(trained, key=lambda call: float(call.tags.mean()))
        rows = len(chosen.tags)
        following = tuple(
            call
            for call in between
            if call is not chosen and rows * LATER_SHARE < len(call.tags) <= rows
        )
        found.append(Update(step, chosen, following, len(trained) > 1))
    return found


def roles_of(updates: list[Update]) -> Roles:
    """The networks of some updates, of which there is at least one."""
    online = Counter(update.trained.network for update in updates).most_common(1)[0][0]
    asked = Counter(call.network for update in updates for call in update.following)
    others = [network for network, _ in asked.most_common() if network != online]
    return Roles(online, others[0] if others else None)


@dataclass(frozen=True)
class ReplayedRows:
    """Rows of all updates, one after the other, [N] each.

    Attributes:
        update: number of the update.
        tag: of the observation.
        next_tag: of the next observation; UNKNOWN where none was asked for.
        action: at whose value a gradient came back.
        predicted: that value.
        gradient: that came back to it.
        next_values: [N, A], of the target network, or the online one where it is asked; zero where
            none was asked for.
        chosen: next action that the online network would choose, where it was asked too; else -1.
        online_values: [N, A], of the online network there; else zero.
        batch: rows of the update.
    """

    update: Integers
    tag: Integers
    next_tag: Integers
    action: Integers
    predicted: Vector
    gradient: Vector
    next_values: Vector
    chosen: Integers
    online_values: Vector
    batch: Integers


def replayed_rows(recording: Recording, updates: list[Update], roles: Roles) -> ReplayedRows:
    """What was trained on, row by row."""
    ends = {int(step[2]): int(step[7]) for step in recording.steps}
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    for number, update in enumerate(updates):
        call = update.trained
        others = [c for c in update.following if c.network != roles.online] or update.following
        if not others or call.gradient is None:
            continue
        asked = others[-1]
        same = [c for c in update.following if c.network == roles.online and c is not asked]
        placed = _places(call, asked, ends)
        if placed is None:
            continue
        rows = np.arange(len(call.tags))
        action = np.abs(call.gradient).argmax(axis=1)
        next_tag = np.full(len(rows), -1, np.int64)
        next_values = np.zeros_like(call.values)
        chosen = np.full(len(rows), -1, np.int64)
        online_values = np.zeros_like(call.values)
        next_tag[placed], next_values[placed] = asked.tags, asked.values
        if same and len(same[-1].tags) == len(asked.tags):
            chosen[placed] = same[-1].values.argmax(axis=1)
            online_values[placed] = same[-1].values
        columns.append(
            (
                np.full(len(rows), number), call.tags, next_tag, action,
                call.values[rows, action], call.gradient[rows, action], next_values, chosen,
                online_values, np.full(len(rows), len(rows)),
            )
        )  # fmt: skip
    if not columns:
        empty, none = np.zeros(0, np.int64), np.zeros(0)
        table = np.zeros((0, 1))
        return ReplayedRows(empty, empty, empty, empty, none, none, table, empty, table, empty)
    joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
    return ReplayedRows(*joined)


def _places(call: Call, asked: Call, ends: dict[int, int]) -> npt.NDArray[np.int64] | None:
    """In which rows of the batch the next values stand: in all, or in those that go on."""
    if len(asked.tags) == len(call.tags):
        return np.arange(len(call.tags))
    for going_on in ((0,), (0, 2), (0, 3), (0, 2, 3)):
        places = np.flatnonzero([ends.get(int(tag), 1) in going_on for tag in call.tags])
        if len(places) == len(asked.tags):
            return places
    return None
