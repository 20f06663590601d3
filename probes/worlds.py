"""Probe worlds: tiny decision processes given as tables, with Q-values solved, not typed in.

A world can be *seen* in two ways: as a vector (the state, one-hot) for a perceptron, or as a frame
of 84 x 84 grey pixels (a bright square whose place is the state) for a convolutional network. The
same table can be solved under the semantics that a fault would give it; the distance between right
and faulty values is what a probe must be able to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]
View = Literal["vector", "frame"]

FRAME_SIDE: Final = 84
SQUARE_SIDE: Final = 28  # pixels; nine states fit
VECTOR_SIZE: Final = 4  # most states of any world here

Semantics = Literal[
    "right",
    "terminal ignored",  # the final observation is bootstrapped from
    "discount missing",  # gamma is 1
    "discount twice",  # gamma is squared
    "observation ignored",  # all states look alike
    "action ignored",  # all actions look alike
    "reward lost",  # rewards are zero
    "bootstrap lost",  # next values are zero
]


@dataclass(frozen=True)
class World:
    """A deterministic decision process of S states and A actions.

    Attributes:
        name: stable, used in codes of checks.
        isolates: the component that a wrong value points to.
        next_state: [S, A] int64; where the transition terminates, the state shown last.
        reward: [S, A] float64.
        terminated: [S, A] bool.
        starts: states in which an episode begins, equally likely.
        separates: the faulty semantics that this world must tell from the right ones.
    """

    name: str
    isolates: str
    next_state: npt.NDArray[np.int64]
    reward: Table
    terminated: npt.NDArray[np.bool_]
    starts: tuple[int, ...]
    separates: tuple[Semantics, ...]

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
        for here in frontier:  # grows while it is walked: breadth first
            for action in range(self.num_actions):
                following = int(self.next_state[here, action])
                if not self.terminated[here, action] and following not in paths:
                    paths[following] = [*paths[here], following]
                    frontier.append(following)
        return paths[state]

    def solve(self, gamma: float, semantics: Semantics = "right") -> Table:
        """Optimal Q-values by value iteration, exact to float64.

        Args:
            gamma: discount per step, below 1.
            semantics: "right", or what a fault makes of the table.

        Returns:
            [S, A] float64.

        References:
            Sutton & Barto 2018, section 4.4 (value iteration), equation 3.20 (optimality).
        """
        reward = np.zeros_like(self.reward) if semantics == "reward lost" else self.reward
        discount = {
            "discount missing": 1.0,
            "discount twice": gamma**2,
            "bootstrap lost": 0.0,
        }.get(semantics, gamma)
        goes_on = np.ones_like(reward) if semantics == "terminal ignored" else ~self.terminated
        q = np.zeros_like(reward)
        for _ in range(10_000):
            value = q.max(axis=1)
            updated = reward + discount * goes_on * value[self.next_state]
            if semantics == "observation ignored":
                updated = np.broadcast_to(updated.mean(axis=0), q.shape)
            if semantics == "action ignored":
                updated = np.broadcast_to(updated.mean(axis=1, keepdims=True), q.shape)
            if np.abs(updated - q).max() == 0.0:
                break
            q = updated.copy()
        return q

    def tolerance(self, gamma: float) -> float:
        """A quarter of the distance from the right values to the nearest faulty ones.

        The distance is the largest difference over the table: a probe is red as soon as a single
        value is off by more than the tolerance, so no fault can hide behind the average.
        """
        right = self.solve(gamma)
        distances = [np.abs(self.solve(gamma, faulty) - right).max() for faulty in self.separates]
        return float(min(distances)) / 4


def _world(
    name: str,
    isolates: str,
    rows: list[list[tuple[float, int | None]]],
    starts: tuple[int, ...],
    separates: tuple[Semantics, ...],
) -> World:
    """A world from rows of (reward, next state), None for the end of the episode."""
    # On its end an episode shows the state it started from: a fault that bootstraps from the final
    # observation then finds a value there.
    shown = [[starts[0] if state is None else state for _, state in row] for row in rows]
    return World(
        name=name,
        isolates=isolates,
        next_state=np.array(shown, np.int64),
        reward=np.array([[reward for reward, _ in row] for row in rows]),
        terminated=np.array([[state is None for _, state in row] for row in rows]),
        starts=starts,
        separates=separates,
    )


CONSTANT_REWARD = _world(
    "constant-reward",
    "loss, optimizer or terminal mask",
    [[(2.0, None)]],
    starts=(0,),
    separates=("terminal ignored", "reward lost"),
)
REWARD_BY_OBS = _world(
    "reward-by-observation",
    "observation path or per-row independence",
    [[(-2.0, None)], [(2.0, None)]],
    starts=(0, 1),
    separates=("observation ignored", "reward lost"),
)
TWO_STEP = _world(
    "two-step-discounting",
    "TD target: discount, bootstrap or target network",
    [[(0.0, 1)], [(4.0, None)]],
    starts=(0,),
    separates=("discount missing", "discount twice", "bootstrap lost", "terminal ignored"),
)
REWARD_BY_ACTION = _world(
    "reward-by-action",
    "action path: which Q-value is trained",
    [[(-2.0, None), (2.0, None)]],
    starts=(0,),
    separates=("action ignored", "reward lost"),
)
REWARD_BY_OBS_AND_ACTION = _world(
    "reward-by-observation-and-action",
    "pairing of observation, action and reward",
    [[(2.0, None), (-2.0, None)], [(-2.0, None), (2.0, None)]],
    starts=(0, 1),
    separates=("observation ignored", "action ignored", "reward lost"),
)

# Cheapest explanation first: a later world means little while an earlier one is red.
WORLDS: Final = (
    CONSTANT_REWARD,
    REWARD_BY_OBS,
    TWO_STEP,
    REWARD_BY_ACTION,
    REWARD_BY_OBS_AND_ACTION,
)


def observe(state: int, view: View) -> npt.NDArray[Any]:
    """What a state looks like.

    Args:
        state: index below 4.
        view: "vector" or "frame".

    Returns:
        [4] float32, one-hot; or [84, 84] uint8, black but for a white square.
    """
    if view == "vector":
        vector = np.zeros(VECTOR_SIZE, np.float32)
        vector[state] = 1.0
        return vector
    frame = np.zeros((FRAME_SIDE, FRAME_SIDE), np.uint8)
    row, column = divmod(state, FRAME_SIDE // SQUARE_SIDE)
    top, left = row * SQUARE_SIDE, column * SQUARE_SIDE
    frame[top : top + SQUARE_SIDE, left : left + SQUARE_SIDE] = 255
    return frame


class WorldEnv(gymnasium.Env[npt.NDArray[Any], int]):
    """A world as a Gymnasium environment.

    Args:
        world: the table.
        view: how its states look.
    """

    def __init__(self, world: World, view: View) -> None:
        self.world = world
        self.view = view
        shape, high, dtype = observe(0, view).shape, 255 if view == "frame" else 1, np.float32
        self.observation_space = gymnasium.spaces.Box(
            0, high, shape, np.uint8 if view == "frame" else dtype
        )
        self.action_space = gymnasium.spaces.Discrete(world.num_actions)  # type: ignore[assignment]  # np.int64 against int
        self._state = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Starts an episode in one of the world's start states."""
        super().reset(seed=seed, options=options)
        starts = self.world.starts
        self._state = starts[int(self.np_random.random() * len(starts))]
        return observe(self._state, self.view), {}

    def step(self, action: int) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Takes an action; never truncates."""
        world, here = self.world, (self._state, action)
        self._state = int(world.next_state[here])
        obs = observe(self._state, self.view)
        return obs, float(world.reward[here]), bool(world.terminated[here]), False, {}
