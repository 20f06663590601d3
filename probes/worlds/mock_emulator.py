"""A mock Atari game, unwrapped: what it shows and is given reveals all that preprocessing may lose.

The screen is made of upright stripes as high as itself, so that neither resizing nor cropping rows
makes them unreadable. Each raw frame lights one stripe, for that frame alone: it is the frame's
number, and an object that flickers. Only LEFT, the last action, makes anything happen, so nothing
depends on how many no-ops a game starts with.
"""

from __future__ import annotations

from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt

from probes.subject import Array, BrokenProtocol

Plane = npt.NDArray[np.float64]

MEANINGS: Final = ("NOOP", "FIRE", "RIGHT", "LEFT")
NOOP, FIRE, RIGHT, LEFT = range(len(MEANINGS))
SCREEN_SIZE: Final = (210, 160)  # pixels, height and width
STRIPES: Final = 32  # of 5 pixels: the middle of each is pure at a width of 84, too
# So many frames of one game in a row differ; no multiple of 4, so that a skip of 16 shows.
PERIOD: Final = 15
LIT: Final = 64  # grey levels; a frame is dimmed where two are averaged, which is allowed
NEVER: Final = 2**31 - 1


class Emulator(gymnasium.Env[npt.NDArray[np.uint8], int]):
    """The game.

    Args:
        pays: rewards of the raw frames with LEFT held, in turn.
        lives: of a game.
        life_frames: a life is lost with every so many-th raw frame of LEFT.
        waits_for_fire: LEFT does nothing until FIRE was pressed, in each life.
        limit_frames: raw frames after which a game is truncated.
        card: [n, 3] colours of equal stripes, shown all the time; None for the frame's own stripe.

    Attributes:
        games: started so far.
        frame: number within the game; 0 after a reset.
        seeds: of every reset; None where none was given.
        pressed: actions of all raw frames.
        paid: rewards of all raw frames.
        losses: lives lost, over all games.
    """

    # Gymnasium's own wrapper wants to see that the emulator does not skip by itself.
    _frameskip = 1

    def __init__(
        self,
        *,
        pays: tuple[float, ...] = (0.0,),
        lives: int = 1,
        life_frames: int = NEVER,
        waits_for_fire: bool = False,
        limit_frames: int = NEVER,
        card: Array | None = None,
    ) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (*SCREEN_SIZE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(MEANINGS))  # type: ignore[assignment]  # np.int64 against int
        self.limit_frames = limit_frames
        self.games = 0
        self.frame = 0
        self.seeds: list[int | None] = []
        self.pressed: list[int] = []
        self.paid: list[float] = []
        self.losses = 0
        self._pays = pays
        self._life_frames = life_frames
        self._all_lives = lives
        self._lives = lives
        self._waits_for_fire = waits_for_fire
        self._card = card
        self._waits = False
        self._played = 0  # raw frames with LEFT held
        self._running = False

    @property
    def ale(self) -> Emulator:
        """What wrappers ask for lives and screens."""
        return self

    def get_action_meanings(self) -> list[str]:
        """Names of the actions, as ALE's environment gives them."""
        return list(MEANINGS)

    def lives(self) -> int:
        """Lives left."""
        return self._lives

    def getScreenRGB(self, screen: npt.NDArray[np.uint8]) -> None:  # noqa: N802  # ALE's name
        """Writes the screen, [210, 160, 3], into an array."""
        screen[:] = self._screen()

    def getScreenGrayscale(self, screen: npt.NDArray[np.uint8]) -> None:  # noqa: N802  # ALE's name
        """Writes the luminance of the screen, [210, 160], into an array."""
        screen[:] = np.rint(self._screen() @ np.array([0.299, 0.587, 0.114]))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Starts the next game."""
        super().reset(seed=seed, options=options)
        self.seeds.append(seed)
        self.games += 1
        self.frame = 0
        self._lives = self._all_lives
        self._waits = self._waits_for_fire
        self._running = True
        return self._screen(), self._info()

    def step(self, action: int) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Emulates one raw frame.

        Raises:
            BrokenProtocol: after the end of a game.
        """
        if not self._running:
            raise BrokenProtocol("ends", "reset() after the end of a game", "step() was called")
        self.frame += 1
        self.pressed.append(int(action))
        self._waits &= action != FIRE
        reward = 0.0
        if action == LEFT and not self._waits:
            reward = self._pays[self._played % len(self._pays)]
            self._played += 1
            if self._played % self._life_frames == 0:
                self._lives -= 1
                self.losses += 1
                self._waits = self._waits_for_fire
        self.paid.append(reward)
        terminated, truncated = self._lives == 0, self.frame >= self.limit_frames
        self._running = not (terminated or truncated)
        return self._screen(), reward, terminated, truncated, self._info()

    def age(self, stripe: int) -> int:
        """How many raw frames ago a stripe was lit, in this game; `NEVER` for another game's."""
        parity, number = divmod(stripe, PERIOD)
        return (self.frame - number) % PERIOD if parity == self.games % 2 else NEVER

    def _screen(self) -> npt.NDArray[np.uint8]:
        if self._card is not None:
            return draw(self._card)
        # Games take turns with the two halves of the screen: an old one is recognised at once.
        colours = np.zeros((STRIPES, 3), np.uint8)
        colours[self.games % 2 * PERIOD + self.frame % PERIOD] = 255
        return draw(colours)

    def _info(self) -> dict[str, Any]:
        return {"lives": self._lives}


def draw(colours: Array) -> npt.NDArray[np.uint8]:
    """A screen, [210, 160, 3], of equal stripes of the colours [n, 3]."""
    height, width = SCREEN_SIZE
    line = np.repeat(colours.astype(np.uint8), width // len(colours), axis=0)
    return np.repeat(line[None], height, axis=0)


def planes(obs: Any) -> Plane:
    """The frames [k, height, width] of an observation, in levels from 0 to 255.

    Args:
        obs: one frame or a stack, channels first or last; bytes, or floats from 0 to 1.

    Raises:
        BrokenProtocol: if it is neither.
    """
    given = np.asarray(obs)
    frames = given.squeeze()
    if frames.ndim == 2:
        frames = frames[None]
    if frames.ndim != 3:
        raise BrokenProtocol(
            "shapes",
            "observations of one frame or a stack, such as [4, 84, 84]",
            f"shape {given.shape}",
        )
    frames = np.moveaxis(frames, int(np.argmin(frames.shape)), 0).astype(np.float64)
    of_one = given.dtype.kind == "f" and frames.max() <= 1
    return frames * 255 if of_one else frames


def levels(plane: Plane, count: int) -> Plane:
    """Grey levels [count] in the middle of each of so many equal stripes of a frame."""
    height, width = plane.shape
    columns = ((np.arange(count) + 0.5) * width / count).astype(int)
    middle: Plane = plane[height // 2, columns]
    return middle


def lit(plane: Plane) -> list[int]:
    """The stripes lit in a frame [height, width]: which raw frames it shows."""
    return [int(stripe) for stripe in np.flatnonzero(levels(plane, STRIPES) >= LIT)]
