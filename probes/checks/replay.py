"""Replay swept with stamped transitions: every index, fill level and wrap position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from dqn_core.replay import Replay
from dqn_core.streams import Stream
from probes.checks.check import Check, Outcome
from probes.subject import Subject

# (rows of the ring, frames in a stack, episode lengths repeated for ever).
RINGS: Final = tuple(
    product((7, 16), (1, 2, 4), ((1,), (2, 3), (5,), (50,)))  # shorter, equal to, longer than it
)
STEPS: Final = 40  # each ring wraps at least twice
EVERYWHERE: Final = "so at every fill level and wrap position"


@dataclass(frozen=True)
class Stamp:
    """Where a frame comes from: its episode, and how many steps into it."""

    episode: int
    age: int

    def frame(self) -> npt.NDArray[np.uint8]:
        """A frame of 1 x 2 pixels that carries the stamp."""
        return np.array([[self.episode, self.age]], np.uint8)


@dataclass(frozen=True)
class Moment:
    """A ring after some steps, and the stamps of all observations so far.

    Attributes:
        ring: the memory under test.
        stamps: of the observation of each step.
        rows_since: rows written from the first row of each step's stack on.
        where: the moment in words.
    """

    ring: Replay
    stamps: list[Stamp]
    rows_since: list[int]
    where: str


def sweep(replay: type[Replay]) -> Iterator[Moment]:
    """Fills rings of many shapes, and stops after every step."""
    for rows, stack, lengths in RINGS:
        ring = replay(rows, 1, (1, 2), np.uint8, stack, torch.device("cpu"))
        stamps: list[Stamp] = []
        needed: list[int] = []  # number of the first row of each step's stack
        episode = age = written = 0
        for step in range(STEPS):
            if age == 0:
                ring.start(np.zeros(1, np.int64), Stamp(episode, 0).frame()[None])
                written += 1
            over = age + 1 == lengths[episode % len(lengths)]
            terminated = np.array([over and episode % 2 == 0])
            stamps.append(Stamp(episode, age))
            needed.append(written - 1 - min(age, stack - 1))
            following = Stamp(episode, age + 1).frame()[None]
            action, reward = np.array([[step % 4]]), np.array([[step]])
            ring.append(action, reward, terminated[None], over & ~terminated[None], following[None])
            written += 1
            episode, age = (episode + 1, 0) if over else (episode, age + 1)
            where = f"{rows} rows, stack {stack}, step {step}"
            yield Moment(ring, stamps, [written - row for row in needed], where)


def transitions_are_whole(subject: Subject, seed: int) -> Outcome:
    """Each transition has its own frames, action and end, and no one else's."""
    del seed
    compared = 0
    for moment in sweep(subject.replay):
        batch = moment.ring.gather(*moment.ring.transitions())
        for index, step in enumerate(batch.reward.long().tolist()):  # rewards carry the step
            stamp = moment.stamps[step]
            frames = _frames(stamp, batch.window.shape[1])
            ended = step + 1 < len(moment.stamps) and moment.stamps[step + 1].age == 0
            due = (frames, step % 4, ended and stamp.episode % 2 == 0)
            actual = (
                batch.window[index].reshape(-1, 2).tolist(),
                int(batch.action[index]),
                # The end of the newest transition is not known to the stamps.
                bool(batch.terminated[index]) if step + 1 < len(moment.stamps) else due[2],
            )
            compared += len(frames) + 2
            if actual != due:
                return Outcome(
                    holds=False,
                    expected=f"(episode, age) of frames, action, end: {due}",
                    actual=f"{actual}; {moment.where}, transition {step}",
                    compared=compared,
                )
    expected = "frames of one episode in order, then its next; own action and end"
    return Outcome(True, expected, EVERYWHERE, compared)  # noqa: FBT003  # holds


def exactly_the_whole_ones_are_sampled(subject: Subject, seed: int) -> Outcome:
    """What can be sampled is what is still whole: the newest at once, the torn ones never."""
    compared = 0
    stream = Stream(seed, "replay")
    for moment in sweep(subject.replay):
        ring = moment.ring
        whole = [step for step, rows in enumerate(moment.rows_since) if rows <= ring.rows]
        # So many draws miss one of sixteen equally likely transitions once in 10^14 times.
        drawn = sorted(set(ring.sample(stream, 500).reward.long().tolist()))
        compared += len(whole)
        if drawn != whole:
            return Outcome(
                holds=False,
                expected=f"steps {whole} are sampled",
                actual=f"steps {drawn}; {moment.where}",
                compared=compared,
            )
    expected = "the newest transition at once, the torn ones never"
    return Outcome(True, expected, EVERYWHERE, compared)  # noqa: FBT003  # holds


def _frames(stamp: Stamp, length: int) -> list[list[int]]:
    """Stamps of a stack and the frame after it; the first frame of an episode is repeated."""
    ages = range(stamp.age + 2 - length, stamp.age + 2)
    return [[stamp.episode, max(age, 0)] for age in ages]


CHECKS: Final = (
    Check(
        code="replay.transitions-are-whole",
        component="replay",
        hint="stacks across an episode's start or the write head, shifted columns",
        run=transitions_are_whole,
    ),
    Check(
        code="replay.exactly-the-whole-ones",
        component="replay",
        hint="a range that leaves out the newest, or keeps what is half overwritten",
        run=exactly_the_whole_ones_are_sampled,
    ),
)
