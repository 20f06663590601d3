"""How a replay memory draws rows whose TD errors have sizes of our choice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from probes.checks.support.replay_audit import draw
from probes.checks.support.testbed import Testbed, Trial
from probes.subject import Array, Transitions
from probes.worlds.env import WorldEnv
from probes.worlds.tables import ERROR_SIZES

Counts = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]

CAPACITY: Final = 256
STEPS: Final = 800  # a memory of that capacity wraps three times
DRAWS: Final = 64 * CAPACITY
LOOK: Final = 64  # transitions at each look


class NotedSigns(WorldEnv):
    """The world of errors of several sizes; notes the state and the sign of each reward."""

    def __init__(self) -> None:
        super().__init__(ERROR_SIZES, "vector")
        self.taken: list[tuple[int, int]] = []

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        state = self._passed[-1]
        obs, reward, terminated, truncated, info = super().step(action)
        self.taken.append((state, int(reward > 0)))
        return obs, reward, terminated, truncated, info


@dataclass(frozen=True)
class Draws:
    """How often rows were drawn, by the size and the sign of their TD error.

    Attributes:
        errors: [K], sizes, rising.
        drawn: [K, 2], draws of rows below and above their target.
        held: [K, 2], rows of the memory.
        weights: [K], mean weight of the rows drawn, where they have one; else ones.
    """

    errors: Vector
    drawn: Counts
    held: Counts
    weights: Vector

    @property
    def rates(self) -> Vector:
        """[K], draws for each row."""
        rates: Vector = self.drawn.sum(axis=1) / np.maximum(self.held.sum(axis=1), 1)
        return rates


def drawn_by_error(testbed: Testbed, *, weighted: bool = False) -> Draws:
    """Trains in a world of three states whose values are zero and whose rewards are noise.

    Args:
        testbed: of a subject that offers `sample`.
        weighted: whether rows are drawn by `weighted_sample`, which it must offer then.
    """
    envs: list[NotedSigns] = []

    def make_env(_: int) -> NotedSigns:
        envs.append(NotedSigns())
        return envs[-1]

    trial = testbed.trial(make_env, capacity=CAPACITY, total_steps=STEPS, learning_rate=1e-4)
    trial.train(STEPS)
    sizes = ERROR_SIZES.noise[:, 0]
    drawn = np.zeros((len(sizes), 2), np.int64)
    total = np.zeros(len(sizes))
    for _ in range(DRAWS // LOOK):
        rows, weights = weighted_draw(trial) if weighted else (draw(trial, LOOK), np.ones(LOOK))
        state = rows.obs.argmax(axis=1)
        np.add.at(drawn, (state, (rows.reward > 0).astype(int)), 1)
        np.add.at(total, state, weights)
    played = max(envs, key=lambda env: len(env.taken))
    kept = Counter(played.taken[-CAPACITY:])
    held = np.array([[kept[state, sign] for sign in (0, 1)] for state in range(len(sizes))])
    return Draws(sizes, drawn, held, total / np.maximum(drawn.sum(axis=1), 1))


def weighted_draw(trial: Trial) -> tuple[Transitions, Vector]:
    """Rows of the replay memory with their weights [B]."""
    rows, weights = trial.subject.weighted_sample(LOOK)
    column: Vector = np.asarray(weights, np.float64).reshape(LOOK)
    return Transitions(*map(np.array, rows)), column
