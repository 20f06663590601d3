"""The steps that a script took in a game, put together from the raw frames that were played."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.observer.worlds import LIFE_LOST, TERMINATED, TRUNCATED

Integers = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]

NOOP: Final = 0
SEVERITY: Final = {0: 0, LIFE_LOST: 1, TRUNCATED: 2, TERMINATED: 3}
# What a script may make of the rewards of a step's frames.
SUM: Final = "the sum of their frames"
REWARDS: Final[dict[str, Callable[[Vector], float]]] = {
    SUM: lambda paid: float(paid.sum()),
    "the sum of their frames, each clipped": lambda paid: float(np.clip(paid, -1, 1).sum()),
    "the sum of the signs of their frames": lambda paid: float(np.sign(paid).sum()),
    "that of their last frame": lambda paid: float(paid[-1]),
    "that of their first frame": lambda paid: float(paid[0]),
    "the mean of their frames": lambda paid: float(paid.mean()),
    "the largest of their frames": lambda paid: float(paid.max()),
}


@dataclass(frozen=True)
class PlayedGames:
    """Agent steps of all games.

    Attributes:
        steps: [T, 8] in order, as those of a vector world: moment of the last frame, environment,
            frame before and after, 0, action, reward summed over the frames, end.
        rewards: [T] for each of `REWARDS`.
        frames: [T], raw frames of each step.
        held: [T], whether one action was pressed in all of them.
        skip: the usual number of raw frames of a step.
        idle: for each game, how many no-ops came before anything else.
        first_seen: frames in which the agent stood first in a game, or after a lost life.
        places: of each frame the number of its game, and which of that game's frames it is; frames
            of games that are played at once have numbers by turns.
        ended_by_lives: games that were reset at a lost life although another was left.
        games: that were begun.
    """

    steps: Vector
    rewards: dict[str, Vector]
    frames: Integers
    held: npt.NDArray[np.bool_]
    skip: int
    idle: list[int]
    first_seen: set[int]
    places: dict[int, tuple[int, int]]
    ended_by_lives: int
    games: int


def played_games(
    raw: Vector, resets: Vector, *, known: set[int], stood: set[int], lives: int
) -> PlayedGames:
    """Puts raw frames together to steps of the agent; what wrappers play by themselves is none.

    Args:
        raw: [F, 8], each raw frame, see `probes.observer.recorder.Recorder.steps`.
        resets: [K, 4].
        known: frames that were the newest in what a network was shown.
        stood: those of them in which the agent is known to have taken a step.
        lives: of a game.
    """
    segments = _segments(raw, resets)
    shown = [[place for place, tag in enumerate(tags) if tag in known] for tags, _ in segments]
    newest = {int(rows[0, 1]): number for number, (_, rows) in enumerate(segments)}
    distances = Counter(b - a for places in shown for a, b in pairwise(places))
    skip = distances.most_common(1)[0][0] if distances else 1
    steps, frames, held = [], [], []
    rewards: dict[str, list[float]] = {name: [] for name in REWARDS}
    idle, early = [], 0
    first_seen = {tags[at[0]] for (tags, _), at in zip(segments, shown, strict=True) if at}
    for number, ((tags, rows), places) in enumerate(zip(segments, shown, strict=True)):
        others = np.flatnonzero(rows[:, 5] != NOOP)
        idle.append(int(others[0]) if len(others) else len(rows))
        last_of_all = newest[int(rows[0, 1])] == number
        early += not last_of_all and _ended_by_a_life(rows, skip, lives)
        waiting, last_lost = False, -1  # for the agent's next step, after a lost life
        for first, last in pairwise(_observed(places, len(tags), skip)):
            part = rows[first:last]
            begun_anew, waiting = waiting, waiting and tags[first] not in stood
            if waiting:
                if last_lost != tags[first] and tags[first] in known:
                    first_seen.add(tags[first])  # it was shown, and no step from it was replayed
                continue
            if begun_anew:
                first_seen.add(tags[first])
            waiting, last_lost = LIFE_LOST in part[:, 7], tags[last]
            end = max((int(one) for one in part[:, 7]), key=lambda one: SEVERITY[one])
            steps.append(
                [part[-1, 0], part[0, 1], tags[first], tags[last], 0, part[0, 5],
                 part[:, 6].sum(), end]
            )  # fmt: skip
            frames.append(last - first)
            held.append(len(set(part[:, 5].tolist())) == 1)
            for name, made in REWARDS.items():
                rewards[name].append(made(part[:, 6]))
    table = np.array(steps, np.float64).reshape(-1, 8)
    order = np.argsort(table[:, 0], kind="stable")
    return PlayedGames(
        table[order],
        {name: np.array(found, np.float64)[order] for name, found in rewards.items()},
        np.array(frames, np.int64)[order],
        np.array(held, np.bool_)[order],
        skip, idle, first_seen,
        {tag: (number, place) for number, (tags, _) in enumerate(segments)
         for place, tag in enumerate(tags)},
        early, len(segments),
    )  # fmt: skip


def _ended_by_a_life(rows: Vector, skip: int, lives: int) -> bool:
    """Whether a game [F, 8] that was left for the next had just lost a life, and had another."""
    lost = int(np.isin(rows[:, 7], (LIFE_LOST, TERMINATED)).sum())
    ended = int(rows[-1, 7]) in (TERMINATED, TRUNCATED)
    return not ended and LIFE_LOST in rows[-skip:, 7] and lost < lives


def _segments(raw: Vector, resets: Vector) -> list[tuple[list[int], Vector]]:
    """For each game the frames that it showed, the first by its reset, and what led to each."""
    begun: dict[int, tuple[list[int], list[Vector]]] = {}
    found: list[tuple[list[int], list[Vector]]] = []
    events = sorted(
        [(row[0], int(row[1]), int(row[2]), None) for row in resets]
        + [(row[0], int(row[1]), int(row[3]), row) for row in raw],
        key=lambda event: event[0],
    )
    for _, env, tag, row in events:
        if row is None:
            begun[env] = [tag], []
            found.append(begun[env])
        elif env in begun:
            begun[env][0].append(tag)
            begun[env][1].append(row)
    return [(tags, np.array(rows, np.float64).reshape(-1, 8)) for tags, rows in found if rows]


def _observed(places: list[int], shown: int, skip: int) -> list[int]:
    """The places of a game's frames at which the agent stood: known ones, and those between."""
    if not places:
        return []
    found: list[int] = []
    for first, last in pairwise([*places, shown - 1]):
        found += [first, *range(first + skip, last, skip)]
    if found[-1] != shown - 1:
        found.append(shown - 1)
    return found
