"""Atari games through the Arcade Learning Environment's native vector environment.

ALE does the emulation, the no-op starts, FIRE at the start of a game, sticky actions, the frame
skip with a maximum over the last two frames, grey levels and resizing. Done here, because ALE does
it differently from what DQN needs: episodes (a lost life or a rally ends one without resetting the
game; limits truncate), resets (at once, so that no step is wasted on one), cropping and pooling.
Frames are single; stacks are made where they are needed. Rewards are never clipped here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from dqn_core.envs.envs import MAX_ENV_SEED, Envs, Tick
from dqn_core.names import unknown
from dqn_core.recipes.schema import AtariEnv
from dqn_core.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from ale_py.vector_env import AtariVectorEnv

Array = npt.NDArray[Any]

FIRE: Final = "FIRE"
NO_LIMIT: Final = 2**31 - 1


class AtariUnavailableError(RuntimeError):
    """The optional extra `atari` is not installed."""


class UnknownGameError(ValueError):
    """No game of that name; the message names the nearest ones."""


def resolve_game(name: str) -> str:
    """The ROM name of a game, from any of the usual spellings.

    Args:
        name: "pong", "Pong", "ALE/Pong-v5", "PongNoFrameskip-v4", "ms_pacman", "MsPacman", ...

    Returns:
        ALE's own name, such as "ms_pacman".

    Raises:
        UnknownGameError: naming the three nearest games.
        AtariUnavailableError: without ale-py.
    """
    known = _ale_py().roms.get_all_rom_ids()
    bare = re.sub(r"^ALE/|(NoFrameskip|Deterministic)?(-v[0-9]+)?$", "", name)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower().replace("-", "_")
    if snake in known:
        return str(snake)
    expected = f"one of {len(known)} games, spelled like pong, Pong or ALE/Pong-v5"
    raise UnknownGameError(unknown("Atari game", name, known, expected=expected, like=snake))


def _ale_py() -> Any:  # Any: ale-py is optional, and typed only in part
    try:
        import ale_py.roms  # noqa: PLC0415  # an optional extra
        import ale_py.vector_env  # noqa: PLC0415
    except ImportError:
        raise AtariUnavailableError(
            "Atari games need the package ale-py, which is not installed\n"
            "  next      pip install 'dqn-harness[atari]'"
        ) from None
    return ale_py


def ale_emulators(game: str, num_envs: int, **options: Any) -> AtariVectorEnv:
    """ALE's emulators of one game, stepped together.

    Args:
        game: in any of the usual spellings.
        num_envs: N.
        options: as ALE's.
    """
    emulators: AtariVectorEnv = _ale_py().vector_env.AtariVectorEnv(
        resolve_game(game), num_envs, **options
    )
    return emulators


class AtariEnvs(Envs):
    """N copies of one game in lockstep; see `Envs` for the methods.

    Args:
        section: of the recipe.
        num_envs: N.
        stream: the `env` or `eval` stream; one integer is drawn to seed each copy. ALE's own
            generators use the seed for no-op counts and sticky actions.
        emulators: what builds them, so that probes can bring their own.
        threads: that emulate, at most one for each copy; any number gives the same bits.

    Raises:
        UnknownGameError: for an unknown game.
        AtariUnavailableError: without ale-py.
        ValueError: if the recipe names an action that the game does not have.
    """

    def __init__(
        self,
        section: AtariEnv,
        num_envs: int,
        stream: Stream,
        emulators: Callable[..., Any] = ale_emulators,
        threads: int = 1,
    ) -> None:
        self.num_envs = num_envs
        self._section = section
        height, width = section.resize
        self._ale: AtariVectorEnv = emulators(
            section.game,
            num_envs,
            num_threads=min(threads, num_envs),
            stack_num=1,
            frameskip=section.frame_skip,
            maxpool=True,
            noop_max=section.noop_max,
            use_fire_reset=True,
            repeat_action_probability=section.sticky_probability,
            img_height=height,
            img_width=width,
            grayscale=True,
            reward_clipping=False,
            episodic_life=False,
            life_loss_info=False,
            # ALE shows a stale frame on the step of its own limit; limits are kept in here.
            max_num_frames_per_episode=NO_LIMIT,
        )
        available = [action.name for action in self._ale.ale.get_action_set()]
        self.action_names = available if section.actions == "minimal" else list(section.actions)
        unknown = [name for name in self.action_names if name not in available]
        if unknown:
            raise ValueError(
                f"env.actions: {section.game} has no {', '.join(unknown)}; "
                f"it has {', '.join(available)}"
            )
        self.num_actions = len(self.action_names)
        self._ale_action = np.array([available.index(name) for name in self.action_names])
        top, bottom = section.crop_rows
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        self.row_shape: tuple[int, ...] = (
            (bottom - top) // section.max_pool,
            width // section.max_pool,
        )
        self._seeds = stream.integers(MAX_ENV_SEED, num_envs)
        self._fire = self.action_names.index(FIRE) if FIRE in self.action_names else -1
        self._must_fire = np.zeros(num_envs, np.bool_)
        self._must_reset = np.zeros(num_envs, np.bool_)
        self._lives = np.zeros(num_envs, np.int64)
        self._steps = np.zeros(num_envs, np.int64)
        self._obs = np.zeros((num_envs, *self.row_shape), np.uint8)

    def reset(self) -> Array:
        frames, info = self._ale.reset(seed=self._seeds)
        self._obs = self._view(frames)
        self._lives = info["lives"].astype(np.int64)
        self._steps[:] = 0
        self._must_fire[:] = False
        return self._obs

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        """Takes one action in every environment.

        Raises:
            ValueError: for an action out of range, on which ALE would wait for ever.
        """
        if action.min() < 0 or action.max() >= self.num_actions:
            raise ValueError(
                f"env: expected actions in [0, {self.num_actions}), got {action.tolist()}"
            )
        frames, reward, game_over, _, info = self._ale.step(self._ale_action[action])
        self._obs = self._view(frames)
        self._steps += 1
        lives = info["lives"].astype(np.int64)
        lost_life = (lives < self._lives) & ~game_over
        self._lives = lives
        if self._section.episode == "game":
            terminated = game_over
        else:
            terminated = game_over | (lost_life if self._section.episode == "life" else reward != 0)
        truncated = (self._steps >= self._section.episode_limit_steps) & ~terminated
        self._must_reset = game_over | truncated
        # A new ball is launched by FIRE alone. Pressed for the agent, as at the start of a game.
        self._must_fire = lost_life & ~truncated
        reported = terminated | truncated
        if self._section.episode == "life":
            reported = self._must_reset
        return Tick(self._obs, reward.astype(np.float64), terminated, truncated, reported.copy())

    def begin(self, ended: npt.NDArray[np.bool_]) -> Array:
        """Starts new episodes; a game goes on where only a life or a rally ended."""
        if self._must_reset.any():
            frames, info = self._ale.reset(options={"reset_mask": self._must_reset})
            self._obs = self._view(frames)
            self._lives = info["lives"].astype(np.int64)
            self._must_reset = np.zeros(self.num_envs, np.bool_)
        self._steps[ended] = 0
        return self._obs

    def forced_action(self) -> npt.NDArray[np.int64] | None:
        """FIRE after a lost life, where the game and recipe have it."""
        return np.where(self._must_fire, self._fire, -1) if self._must_fire.any() else None

    def close(self) -> None:
        """Does nothing: the emulators are freed with the object."""
        del self._ale

    def _view(self, frames: Array) -> Array:
        """[N, 1, H, W] as emulated to [N, *row_shape] as observed; always a new array."""
        top, bottom = self._section.crop_rows
        side = self._section.max_pool
        cropped = frames[:, 0, top:bottom]
        rows = cropped[:, ::side]
        for offset in range(1, side):
            rows = np.maximum(rows, cropped[:, offset::side])
        pooled = rows[:, :, ::side]
        for offset in range(1, side):
            pooled = np.maximum(pooled, rows[:, :, offset::side])
        black = np.uint8(self._section.black_level)
        if black:  # raised first, so that nothing wraps below zero
            pooled = np.maximum(pooled, black) - black
        return np.ascontiguousarray(pooled)
