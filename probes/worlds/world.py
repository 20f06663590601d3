"""Probe worlds: tiny decision processes given as tables, with Q-values solved, not typed in.

The same table can be solved under the semantics that a fault would give it. The distance between
right and faulty values is what a probe must be able to see, hence its tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]

STACK: Final = 4  # frames in an observation
SAME: Final = 1e-9  # values are solved to about as much
BLANK: Final = -1  # a picture with nothing in it

Semantics = Literal[
    "right",
    "terminal ignored",  # the final observation is bootstrapped from
    "time limit terminates",  # a truncated episode is taken for one that the task ended
    "final observation lost",  # at a time limit the next episode's first observation stands in
    "discount missing",  # gamma is 1
    "discount twice",  # gamma is squared
    "bootstrap lost",  # next values are zero
    "n rewards, one discount",  # after n rewards it bootstraps with gamma, not gamma**n
    "two steps at most",  # rewards reach one step back, and no further
    "behaviour's value",  # the mean over the next actions, which is what SARSA learns at random
    "minimum",  # the least of the next actions
    "first action",  # always the next action 0
    "same action",  # the next value is that of the action just taken
    "maximum over the batch",  # all rows share the largest next value
    "observation ignored",  # all states look alike
    "action ignored",  # all actions look alike
    "reward lost",  # rewards are zero
    "reward clipped",  # rewards are cut to [-1, 1]
    "reward truncated",  # the fraction of a reward is dropped
    "highest reward",  # noise pulls up and never down
    "values squashed",  # no value leaves [0, 1]
    "frames reversed",  # stacks are learned newest first, and asked for newest last
    "newest frame only",  # the older frames of a stack are not seen
]


@dataclass(frozen=True)
class World:
    """A decision process of S states and A actions.

    Attributes:
        name: stable, used in codes of checks.
        isolates: the component that a wrong value points to.
        next_state: [S, A] int64; where the episode ends, the state shown last.
        reward: [S, A] float64, on average.
        noise: [S, A] float64; a reward is so much higher or lower, each equally often.
        terminated: [S, A] bool, ended by the task.
        truncated: [S, A] bool, cut by a time limit.
        starts: states in which an episode begins, equally likely.
        pictures: what each state's newest frame shows: a place, or `BLANK`.
        separates: the faulty semantics that this world must distinguish from the right ones.
        n_step: rewards that a learner sums before it bootstraps, acting at random meanwhile. It
            changes nothing in the world, but what it teaches.
    """

    name: str
    isolates: str
    next_state: npt.NDArray[np.int64]
    reward: Table
    noise: Table
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    starts: tuple[int, ...]
    pictures: tuple[int, ...]
    separates: tuple[Semantics, ...]
    n_step: int = 1

    @property
    def num_states(self) -> int:
        """S."""
        return int(self.reward.shape[0])

    @property
    def num_actions(self) -> int:
        """A."""
        return int(self.reward.shape[1])

    def path(self, state: int) -> list[int]:
        """States of the shortest way to `state` from a start, both included."""
        paths = {start: [start] for start in self.starts}
        frontier = list(self.starts)
        ended = self.terminated | self.truncated
        for here in frontier:  # grows while it is walked: breadth first
            for action in range(self.num_actions):
                following = int(self.next_state[here, action])
                if not ended[here, action] and following not in paths:
                    paths[following] = [*paths[here], following]
                    frontier.append(following)
        return paths[state]

    def stack(self, passed: list[int]) -> list[int]:
        """The pictures in a stack of frames, newest last.

        Args:
            passed: states since the episode began, the present one last; where they are fewer than
                a stack holds, the first one is repeated.
        """
        padded = [passed[0]] * STACK + passed
        return [self.pictures[state] for state in padded[-STACK:]]

    def solve(self, gamma: float, semantics: Semantics = "right") -> Table:
        """Q-values by value iteration, exact to float64: the optimal ones, where `n_step` is 1.

        Args:
            gamma: discount per step, below 1.
            semantics: "right", or what a fault makes of the table.

        Returns:
            [S, A] float64.

        References:
            Sutton & Barto 2018, section 4.4 (value iteration), equation 3.20 (optimality);
            equation 7.1 (n-step returns).
        """
        q = np.zeros_like(self.reward)
        for _ in range(10_000):
            updated = BACKUPS[semantics](self, q, gamma)
            if np.array_equal(updated, q):
                break
            q = updated
        return q

    def tolerance(self, gamma: float) -> float:
        """A quarter of the distance from the right values to the nearest faulty ones.

        The distance is the largest difference over the table: a probe is red as soon as a single
        value is off by more than the tolerance, so no fault can hide behind the average. Where
        several rewards are summed, some semantics come to the right values, and 0.0 is returned
        where all do.
        """
        right = self.solve(gamma)
        distances = [np.abs(self.solve(gamma, faulty) - right).max() for faulty in self.separates]
        apart = [float(distance) for distance in distances if distance > SAME]
        return min(apart, default=0.0) / 4

    def resembling(self, values: Table, gamma: float) -> list[Semantics]:
        """The separated semantics nearest to values [S, A], if they are within the tolerance."""
        distances = {
            faulty: float(np.abs(values - self.solve(gamma, faulty)).max())
            for faulty in self.separates
        }
        nearest = min(distances.values())
        if nearest > self.tolerance(gamma):
            return []
        # Several may have the same values, up to rounding.
        return [faulty for faulty, distance in distances.items() if distance <= nearest + 1e-9]


def backup(
    world: World,
    q: Table,
    gamma: float,
    *,
    reward: Table | None = None,
    ended: npt.NDArray[np.bool_] | None = None,
    next_value: Table | None = None,
    discounts: Sequence[float] = (),
) -> Table:
    """One sweep of value iteration; what is given replaces the world's own.

    Args:
        world: the table.
        q: [S, A], values before the sweep.
        gamma: discount per step.
        reward: [S, A].
        ended: [S, A], where nothing is bootstrapped.
        next_value: [S, A], value of what each transition leads to.
        discounts: of the bootstrapped value after 1, 2, ... rewards; powers of gamma, if not given.

    Returns:
        [S, A], values after it.
    """
    reward = world.reward if reward is None else reward
    ended = world.terminated if ended is None else ended
    next_value = q.max(axis=1)[world.next_state] if next_value is None else next_value
    discounts = discounts or [gamma**k for k in range(1, world.n_step + 1)]
    # From the last reward of a sum to the first one; a time limit ends the sum before.
    summed = gamma ** (world.n_step - 1) * reward
    summed = summed + np.where(ended, 0.0, discounts[-1] * next_value)
    for k in range(world.n_step - 1, 0, -1):
        going_on = summed.mean(axis=1)[world.next_state]
        following = np.where(world.truncated, discounts[k - 1] * next_value, going_on)
        summed = gamma ** (k - 1) * reward + np.where(ended, 0.0, following)
    return summed


def _truncated_noisy_reward(world: World) -> Table:
    return (np.trunc(world.reward + world.noise) + np.trunc(world.reward - world.noise)) / 2


def _next_episodes(world: World, q: Table) -> Table:
    value = q.max(axis=1)
    elsewhere = value[list(world.starts)].mean()
    next_value: Table = np.where(world.truncated, elsewhere, value[world.next_state])
    return next_value


def _of_same_action(world: World, q: Table) -> Table:
    return np.take_along_axis(q, world.next_state, axis=0)


def _two_steps_back(world: World, gamma: float) -> Table:
    return backup(world, backup(world, np.zeros_like(world.reward), gamma), gamma)


def _mirrored(world: World, q: Table) -> Table:
    """Each state gets the values of the one whose stack is its own reversed, if there is one."""
    stacks = [world.stack(world.path(state)) for state in range(world.num_states)]
    backwards = [stack[::-1] for stack in stacks]
    return q[[stacks.index(b) if b in stacks else row for row, b in enumerate(backwards)]]


def _averaged_over_pictures(world: World, q: Table) -> Table:
    shown = np.array(world.pictures)
    return np.stack([q[shown == picture].mean(axis=0) for picture in world.pictures])


# One sweep under each semantics. Averages over states take them as equally often visited.
BACKUPS: Final[dict[Semantics, Callable[[World, Table, float], Table]]] = {
    "right": backup,
    "terminal ignored": lambda w, q, g: backup(w, q, g, ended=np.zeros_like(w.terminated)),
    "time limit terminates": lambda w, q, g: backup(w, q, g, ended=w.terminated | w.truncated),
    "final observation lost": lambda w, q, g: backup(w, q, g, next_value=_next_episodes(w, q)),
    "discount missing": lambda w, q, _: backup(w, q, 1.0),
    "discount twice": lambda w, q, g: backup(w, q, g**2),
    "n rewards, one discount": lambda w, q, g: backup(w, q, g, discounts=[g] * w.n_step),
    "bootstrap lost": lambda w, q, _: backup(w, q, 0.0),
    "two steps at most": lambda w, _, g: _two_steps_back(w, g),
    "behaviour's value": lambda w, q, g: backup(w, q, g, next_value=q.mean(axis=1)[w.next_state]),
    "minimum": lambda w, q, g: backup(w, q, g, next_value=q.min(axis=1)[w.next_state]),
    "first action": lambda w, q, g: backup(w, q, g, next_value=q[:, 0][w.next_state]),
    "same action": lambda w, q, g: backup(w, q, g, next_value=_of_same_action(w, q)),
    "maximum over the batch": lambda w, q, g: backup(
        w, q, g, next_value=np.full_like(q, q[w.next_state].max())
    ),
    "observation ignored": lambda w, q, g: np.tile(backup(w, q, g).mean(axis=0), (w.num_states, 1)),
    "action ignored": lambda w, q, g: np.tile(
        backup(w, q, g).mean(axis=1, keepdims=True), w.num_actions
    ),
    "reward lost": lambda w, q, g: backup(w, q, g, reward=np.zeros_like(q)),
    "reward clipped": lambda w, q, g: backup(w, q, g, reward=w.reward.clip(-1, 1)),
    "reward truncated": lambda w, q, g: backup(w, q, g, reward=_truncated_noisy_reward(w)),
    "highest reward": lambda w, q, g: backup(w, q, g, reward=w.reward + w.noise),
    "values squashed": lambda w, q, g: backup(w, q, g).clip(0, 1),
    # Learning goes on among reversed stacks; what is read off are those of the unreversed ones.
    "frames reversed": lambda w, q, g: _mirrored(w, backup(w, _mirrored(w, q), g)),
    "newest frame only": lambda w, q, g: _averaged_over_pictures(w, backup(w, q, g)),
}  # fmt: skip
