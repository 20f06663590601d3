"""The world that stands in for a script's own: a table, and observations that name their moment.

Every observation carries a *tag*, the number of observations shown before it, so that whatever a
script replays names the step that it was. Vectors hold it as a multiple of 2 ** -14, small beside
the state and exact in float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

TAG = 2.0**-14
GOES_ON, TERMINATED, TRUNCATED, LIFE_LOST = 0, 1, 2, 3
SEED = 20_260_101


class Move(NamedTuple):
    """What a step leads to: the next state, the reward, and whether and how the episode ends."""

    state: int
    reward: float
    end: int


class World:
    """A table of S states and C columns of actions; the action `a` is that of column `a % C`.

    Args:
        table: "next_state", "reward", "noise", "terminated" and "truncated", all [S][C]; "starts",
            states in which episodes begin; "lengths", steps of successive episodes whose ends are
            by turns of the task and of a time limit, or none where the table says when they end.
    """

    def __init__(self, table: dict[str, Any]) -> None:
        self.num_states = len(table["next_state"])
        self._columns = len(table["next_state"][0])
        self._table = table
        self._lengths: list[int] = table["lengths"]
        self._owed: dict[Any, float] = {}

    def start(self, generator: np.random.Generator) -> int:
        """A state in which an episode begins."""
        starts = self._table["starts"]
        return int(starts[int(generator.integers(len(starts)))])

    def move(
        self, state: int, action: int, age: int, episode: int, generator: np.random.Generator
    ) -> Move:
        """A step.

        Args:
            state: it is taken in.
            action: any non-negative number.
            age: steps of the episode, with this one.
            episode: how many came before.
            generator: of noise; what is paid too much once is paid too little the next time.
        """
        here = state, action % self._columns
        noise = self._table["noise"][here[0]][here[1]]
        if noise:
            noise = self._owed.pop(here, None) or noise * (1 if generator.random() < 0.5 else -1)
            if here not in self._owed:
                self._owed[here] = -noise
        return Move(
            self._table["next_state"][here[0]][here[1]],
            self._table["reward"][here[0]][here[1]] + noise,
            self._end(here, age, episode),
        )

    def _end(self, here: Any, age: int, episode: int) -> int:
        if self._lengths:
            length = self._lengths[episode % len(self._lengths)]
            if age < length:
                return GOES_ON
            # Whoever plays on after a time limit meets the end of the task some time later.
            return TRUNCATED if episode % 2 and age < 2 * length else TERMINATED
        if self._table["terminated"][here[0]][here[1]]:
            return TERMINATED
        return TRUNCATED if self._table["truncated"][here[0]][here[1]] else GOES_ON


def tagged_vector(state: int, tag: int, num_states: int, size: int) -> np.ndarray:
    """The observation [size] float32 of a state; without a tag if that is -1.

    One-hot where there is room, with the tag in the place after the one; else the state's bits as
    -1 and 1, with the tag added to the last of them.
    """
    obs = np.zeros(size, np.float32)
    if size >= max(num_states, 2):
        obs[state] = 1.0
        obs[(state + 1) % size] = TAG * (tag + 1)
        return obs
    for bit in range(size):
        obs[bit] = 1.0 if state >> bit & 1 else -1.0
    obs[-1] += TAG * (tag + 1)
    return obs


def read_state(obs: np.ndarray, num_states: int) -> int | None:
    """The state of an observation [size] without a tag, scaled by any factor or not."""
    largest = float(np.abs(obs).max()) if len(obs) else 0.0
    if not largest or not np.isfinite(largest):
        return None
    if len(obs) >= max(num_states, 2):
        state = int(np.abs(obs).argmax())
    else:
        state = sum(1 << bit for bit, number in enumerate(obs) if number > 0)
    return state if state < num_states else None


def read_tag(obs: np.ndarray, num_states: int) -> int | None:
    """The tag of an observation [size], scaled by any factor or not; None if it is none."""
    size = len(obs)
    largest = float(np.abs(obs).max()) if size else 0.0
    if not largest or not np.isfinite(largest):
        return None
    if size < max(num_states, 2):
        offset = float(obs[-1]) - (1.0 if obs[-1] > 0 else -1.0)
        return _number(offset / TAG)
    state = int(np.abs(obs).argmax())
    return _number(float(obs[(state + 1) % size]) / float(obs[state]) / TAG)


def _number(found: float) -> int | None:
    number = round(found)
    return int(number) - 1 if number >= 1 and abs(found - number) < 0.1 else None
