"""The bundled core's way of playing Atari games, around a mock emulator.

The core leaves skipping, the maximum over two frames, grey levels, resizing and no-ops to ALE's
vector environment. A stand-in of it does here what the core asks for; all else is the core's.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Final, cast

import gymnasium
import numpy as np
import numpy.typing as npt

from dqn_core.acting import FrameStack
from dqn_core.envs.atari import AtariEnvs
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import AtariEnv
from dqn_core.streams import Stream
from probes.subject import Array, Env
from probes.worlds.mock_emulator import FIRE, NOOP, SCREEN_SIZE, Emulator

# What the core always asks ALE for, and the stand-in knows nothing else of.
FIXED: Final = {
    "stack_num": 1,
    "grayscale": True,
    "episodic_life": False,
    "life_loss_info": False,
    "repeat_action_probability": 0.0,
}
FULL_ACTIONS: Final = 18  # of every game in ALE, where asked for


class EmulatorVector:
    """What `ale_py.vector_env.AtariVectorEnv` does, around one mock emulator.

    Args:
        emulator: of the only environment.
        game: not used; there is one game.
        num_envs: 1.
        options: as ALE's.

    Raises:
        ValueError: for an option or a number of environments that it cannot serve.
    """

    grey = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, of red, green and blue

    def __init__(self, emulator: Env, game: str, num_envs: int, **options: Any) -> None:
        del game
        unserved = {name: options.get(name, value) for name, value in FIXED.items()}
        if num_envs != 1 or unserved != FIXED:
            raise ValueError(f"expected one environment and {FIXED}, got {num_envs}, {unserved}")
        self._emulator = emulator
        self._game = cast("Emulator", emulator.unwrapped)
        self._game.limit_frames = options["max_num_frames_per_episode"]
        self._options = options
        self._rows = area(SCREEN_SIZE[0], options["img_height"])
        self._columns = area(SCREEN_SIZE[1], options["img_width"])
        self._shown: Array = np.zeros((1, 1, *SCREEN_SIZE), np.uint8)

    @property
    def ale(self) -> EmulatorVector:
        """What is asked for the actions."""
        return self

    def get_action_set(self) -> list[Any]:
        """Actions, each with a name."""
        names = self._game.get_action_meanings()
        if self._options.get("full_action_space"):
            names += [f"OTHER{index}" for index in range(len(names), FULL_ACTIONS)]
        return [SimpleNamespace(name=name) for name in names]

    def reset(
        self, *, seed: npt.NDArray[np.int64] | None = None, options: Any = None
    ) -> tuple[Array, dict[str, Array]]:
        """A game begins with some no-ops and one FIRE; a negative seed is none."""
        if options is None or options["reset_mask"][0]:
            given = -1 if seed is None else int(seed[0])
            screen, _ = self._emulator.reset(seed=given if given >= 0 else None)
            noops = int(self._game.np_random.random() * self._options["noop_max"])
            fires = [FIRE] if self._options["use_fire_reset"] else []
            for action in [NOOP] * noops + fires:
                screen, *_ = self._emulator.step(action)
            self._shown = self._view([screen])
        return self._shown, self._info()

    def step(
        self, action: npt.NDArray[np.int64]
    ) -> tuple[Array, Array, npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Array]]:
        """Holds an action for the frames to be skipped, up to the end of the game."""
        screens, rewards = [], []
        # What the full set has beyond the game's own does nothing in this game.
        chosen = int(action[0]) if action[0] < len(self._game.get_action_meanings()) else NOOP
        terminated = False
        for _ in range(self._options["frameskip"]):
            screen, reward, terminated, _, _ = self._emulator.step(chosen)
            screens.append(screen)
            rewards.append(float(reward))
            if terminated:
                break
        self._shown = self._view(screens[-2:] if self._options["maxpool"] else screens[-1:])
        total = np.array([self.total(rewards)])
        return self._shown, total, np.array([terminated]), np.zeros(1, np.bool_), self._info()

    def total(self, rewards: list[float]) -> float:
        """Reward of a step, from those of its frames."""
        total = sum(rewards)
        return float(np.sign(total)) if self._options["reward_clipping"] else total

    def _view(self, screens: list[Array]) -> Array:
        grey = np.max([screen @ self.grey for screen in screens], axis=0)
        small = np.rint(self._rows @ grey @ self._columns.T)
        frames: Array = small.astype(np.uint8)[None, None]
        return frames

    def _info(self) -> dict[str, Array]:
        return {"lives": np.array([self._game.lives()])}


class CoreAtari(gymnasium.Env[Array, int]):
    """A mock emulator as the core's agent is shown it, by the recipe `breakout`.

    Args:
        emulator: the game; may be wrapped.
        envs: class of what owns episodes.
        emulators: class of ALE's stand-in.
        stack: class of what stacks frames.
        seed: of the first game, where `reset` gives none.
    """

    def __init__(
        self,
        emulator: Env,
        envs: type[AtariEnvs],
        emulators: type[EmulatorVector],
        stack: type[FrameStack],
        seed: int,
    ) -> None:
        recipe = load_recipe("breakout")
        section = cast("AtariEnv", recipe.env)
        # The core turns ALE's own limit off, and keeps limits itself.
        limit_frames = cast("Emulator", emulator.unwrapped).limit_frames
        limit_steps = min(section.episode_limit_steps, limit_frames // section.frame_skip)
        section = section.model_copy(update={"episode_limit_steps": limit_steps})
        self._section = section
        self._classes = envs, partial(emulators, emulator)
        self._envs = self._make_envs(seed)
        self._stack = stack(self._envs, recipe.frame_stack)
        self._begun = False
        shape = self._stack.obs.shape[1:]
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(self._envs.num_actions)  # type: ignore[assignment]  # np.int64 against int

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begins the next episode; a seed makes all anew, as a run does."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._envs = self._make_envs(seed)
        goes_on = self._begun and seed is None
        row = self._envs.begin(np.ones(1, np.bool_)) if goes_on else self._envs.reset()
        self._begun = True
        self._stack.start(np.arange(1), row)
        return self._stack.obs[0].copy(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Takes an action, or the one that is forced."""
        chosen = np.array([action])
        forced = self._envs.forced_action()
        if forced is not None and forced[0] >= 0:
            chosen = forced
        tick = self._envs.step(chosen)
        self._stack.push(tick.next_obs)
        ended, limit = bool(tick.terminated[0]), bool(tick.truncated[0])
        return self._stack.obs[0].copy(), float(tick.reward[0]), ended, limit, {}

    def _make_envs(self, seed: int) -> AtariEnvs:
        envs, emulators = self._classes
        return envs(self._section, 1, Stream(seed, "env"), emulators)


def area(source: int, target: int) -> npt.NDArray[np.float64]:
    """The matrix [target, source] that shrinks a line of pixels by averaging over areas."""
    edges = np.arange(target + 1)[:, None] * source / target
    pixels = np.arange(source)
    shared = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    weights: npt.NDArray[np.float64] = np.clip(shared, 0, None) * target / source
    return weights
