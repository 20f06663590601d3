"""A world as an environment, and what its states look like.

As a vector a state is one-hot, for a perceptron. As frames of 84 x 84 grey pixels, for a
convolutional network, it is a bright square at a place, stacked on what was seen before it.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

from dqn_core.names import unknown
from probes.worlds.tables import WORLDS
from probes.worlds.world import BLANK, World

View = Literal["vector", "frames"]

FRAME_SIDE: Final = 84
SQUARE_SIDE: Final = 21  # pixels; sixteen places fit, four in a row
VECTOR_SIZE: Final = 5  # most states of any world seen as vectors


def frame(picture: int) -> npt.NDArray[np.uint8]:
    """A frame, [84, 84] uint8: black, with a white square at the place `picture` unless blank."""
    pixels = np.zeros((FRAME_SIDE, FRAME_SIDE), np.uint8)
    if picture != BLANK:
        row, column = divmod(picture, FRAME_SIDE // SQUARE_SIDE)
        top, left = row * SQUARE_SIDE, column * SQUARE_SIDE
        pixels[top : top + SQUARE_SIDE, left : left + SQUARE_SIDE] = 255
    return pixels


def observe(world: World, passed: list[int], view: View) -> npt.NDArray[Any]:
    """What an agent sees after passing through some states of an episode.

    Args:
        world: they belong to.
        passed: states since the episode began, the present one last.
        view: "vector" or "frames".

    Returns:
        [5] float32, one-hot of the present state; or [4, 84, 84] uint8, newest last.
    """
    if view == "vector":
        one_hot = np.zeros(VECTOR_SIZE, np.float32)
        one_hot[passed[-1]] = 1.0
        return one_hot
    return np.stack([frame(picture) for picture in world.stack(passed)])


def make_world(name: str, view: View = "vector") -> WorldEnv:
    """A world by its name, as an environment.

    Raises:
        ValueError: if there is none of that name, with the nearest.
    """
    known = {world.name: world for world in WORLDS}
    if name not in known:
        raise ValueError(unknown("world", name, sorted(known)))
    return WorldEnv(known[name], view)


def observations(world: World, view: View) -> npt.NDArray[Any]:
    """What every state looks like when it is reached the shortest way, [S, *obs_shape]."""
    return np.stack([observe(world, world.path(state), view) for state in range(world.num_states)])


class WorldEnv(gymnasium.Env[npt.NDArray[Any], int]):
    """A world as a Gymnasium environment.

    Args:
        world: the table.
        view: how its states look.
        reuses_array: whether all observations are shown in one and the same array.
    """

    def __init__(self, world: World, view: View, *, reuses_array: bool = False) -> None:
        self.world = world
        self.view = view
        self._array = np.empty_like(observe(world, [0], view)) if reuses_array else None
        shown = observe(world, [0], view)
        self.observation_space = gymnasium.spaces.Box(0, 255, shown.shape, shown.dtype.type)
        self.action_space = gymnasium.spaces.Discrete(world.num_actions)  # type: ignore[assignment]  # np.int64 against int
        self._passed: list[int] = []
        self._noise_due: dict[tuple[int, int], float] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Starts an episode in one of the world's start states."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._noise_due.clear()
        starts = self.world.starts
        self._passed = [starts[int(self.np_random.random() * len(starts))]]
        return self._show(), {}

    def step(self, action: int) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Takes an action."""
        world, here = self.world, (self._passed[-1], int(action))
        self._passed.append(int(world.next_state[here]))
        reward = float(world.reward[here]) + self._noise(here)
        ended, cut = bool(world.terminated[here]), bool(world.truncated[here])
        return self._show(), reward, ended, cut, {}

    def _show(self) -> npt.NDArray[Any]:
        obs = observe(self.world, self._passed, self.view)
        if self._array is None:
            return obs
        self._array[...] = obs
        return self._array

    def _noise(self, here: tuple[int, int]) -> float:
        """Up or down at random, and the next time the other way: means are exact over pairs."""
        due = self._noise_due.pop(here, None)
        if due is None:
            up = self.np_random.random() < 0.5
            due = float(self.world.noise[here]) * (1 if up else -1)
            self._noise_due[here] = -due
        return due
