"""Which steps each replayed row stands for, by the log of the environments."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.observer.worlds import GOES_ON, LIFE_LOST, TERMINATED, TRUNCATED
from probes.recordings.games import SUM
from probes.recordings.recording import UNKNOWN, Integers, Recording, Vector
from probes.recordings.updates import ReplayedRows

WHERE: Final = {
    GOES_ON: "goes on",
    TERMINATED: "is terminated",
    TRUNCATED: "is truncated",
    LIFE_LOST: "loses a life",
}
ENDS: Final = (TERMINATED, TRUNCATED)
MOST_STEPS: Final = 12  # in a row that one transition is taken to span


@dataclass(frozen=True)
class Spans:
    """The steps that each replayed row stands for, by the log of its environment.

    Attributes:
        rewards: [N, K], of these steps, zero after the last.
        other_rewards: of games, what else their frames' rewards may be made to, each [N, K].
        length: [N], how many steps; 0 where the row is no transition of the environment.
        end: [N], how the last of them ended the episode, if it did.
        actions: [N], the first action.
    """

    rewards: Vector
    other_rewards: dict[str, Vector]
    length: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    actions: npt.NDArray[np.int64]


def spans_of(recording: Recording, rows: ReplayedRows) -> Spans:
    """Which steps each row stands for."""
    places = _places(recording, rows)
    usual = Counter(
        len(found)
        for found in places
        if found and not any(recording.steps[one, 7] == LIFE_LOST for one in found)
    )
    number, steps = len(rows.tag), recording.steps
    index = np.full((number, MOST_STEPS), -1, np.int64)
    for row, found in enumerate(places):
        # A game goes on after a lost life, and what a script makes of it may not: it is the end of
        # a transition that would be longer than others.
        lost = [i for i, one in enumerate(found) if steps[one, 7] == LIFE_LOST]
        if lost and usual and len(found) > usual.most_common(1)[0][0]:
            found = found[: lost[0] + 1]  # noqa: PLW2901
        index[row, : len(found)] = found
    length: Integers = (index >= 0).sum(axis=1)
    known = length > 0
    end, actions = np.zeros(number, np.int64), np.zeros(number, np.int64)
    end[known] = steps[index[known, length[known] - 1], 7]
    actions[known] = steps[index[known, 0], 5]

    def paid(rewards: Vector) -> Vector:
        if not len(rewards):
            return np.zeros(index.shape)
        return np.where(index >= 0, rewards[np.maximum(index, 0)], 0.0)

    games = recording.games
    others = {} if games is None else {n: paid(r) for n, r in games.rewards.items() if n != SUM}
    return Spans(paid(steps[:, 6]), others, length, end, actions)


def _places(recording: Recording, rows: ReplayedRows) -> list[list[int]]:
    """The places in the log of the steps that each row stands for; none if it is no transition."""
    by_tag = {int(step[2]): place for place, step in enumerate(recording.steps)}
    starts = {int(reset[2]) for reset in recording.resets}
    if recording.games is not None:
        starts |= recording.games.first_seen
    return [
        _span(recording.steps, by_tag, starts, int(tag), int(next_tag))
        for tag, next_tag in zip(rows.tag, rows.next_tag, strict=True)
    ]


def _span(
    steps: Vector, by_tag: dict[int, int], starts: set[int], begin: int, next_tag: int
) -> list[int]:
    """The steps from one observation to another; none if they are no such steps.

    After an end the next observation may be that of the next episode, or none at all, or, where a
    game ended within a step, what was shown before: whether it is bootstrapped from is another
    question.
    """
    found: list[int] = []
    tag = begin
    while tag in by_tag and len(found) < MOST_STEPS:
        step = steps[by_tag[tag]]
        found.append(by_tag[tag])
        before, tag = tag, int(step[3])
        if tag == next_tag:
            return found
        if step[7] in ENDS or (step[7] == LIFE_LOST and tag not in by_tag):
            begins = next_tag in starts and next_tag > begin
            return found if next_tag in (UNKNOWN, before) or begins else []
    return []
