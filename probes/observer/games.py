"""A game of raw frames, with the interface that wrappers of Atari games expect."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .recorder import Recorder
from .screens import Screen
from .worlds import GOES_ON, LIFE_LOST, SEED, TERMINATED, TRUNCATED

MEANINGS = (
    "NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT",
    "UPFIRE", "RIGHTFIRE", "LEFTFIRE", "DOWNFIRE", "UPRIGHTFIRE", "UPLEFTFIRE", "DOWNRIGHTFIRE",
    "DOWNLEFTFIRE",
)  # fmt: skip
USUAL_MEANINGS = ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
# Names by which games are asked for where they cannot be built.
GAMES = re.compile(r"^ALE/|NoFrameskip-v|Deterministic-v|^(Pong|Breakout|SpaceInvaders)-v")
SMALLEST = 40  # pixels to a side, below which no frame can show its number


class Game(NamedTuple):
    """What is known of a game that is asked for.

    Attributes:
        meanings: of its actions.
        frameskip: raw frames of a step, or the fewest and one more than the most.
        sticky: the chance that an action is that of the frame before.
        height: of its pictures.
        width: of them.
        grey: whether they come without colours.
    """

    meanings: tuple[str, ...]
    frameskip: Any
    sticky: float
    height: int
    width: int
    grey: bool


def game_of(built: Any) -> Game | None:
    """What an environment is as a game; None if it shows no pictures."""
    shape = built.observation_space.shape
    pictures = len(shape) in (2, 3) and min(shape[:2]) >= SMALLEST
    if not pictures or np.dtype(built.observation_space.dtype) != np.uint8:
        return None
    inner = built.unwrapped
    spec = getattr(built, "spec", None) or getattr(inner, "spec", None)
    settings = dict(getattr(spec, "kwargs", None) or {})
    count = int(built.action_space.n)
    told = getattr(inner, "get_action_meanings", None)
    return Game(
        tuple(told()) if told else MEANINGS[:count],
        getattr(inner, "_frameskip", 1),
        float(settings.get("repeat_action_probability", 0.0)),
        shape[0],
        shape[1],
        len(shape) == 2,
    )


def game_called(name: str) -> Game | None:
    """What a game is taken for that cannot be built here; None if it is none."""
    if not GAMES.search(name):
        return None
    inside = 1 if "NoFrameskip" in name else 4
    sticky = 0.25 if name.startswith("ALE/") else 0.0
    return Game(USUAL_MEANINGS, inside, sticky, 210, 160, grey=False)


class Emulator:
    """Plays raw frames, and notes each.

    Args:
        number: of the environment.
        game: that is played.
        recorder: where everything is noted; its plan says what frames pay and how long lives are.
    """

    def __init__(self, number: int, game: Game, recorder: Recorder) -> None:
        self._number = number
        self._recorder = recorder
        self._plan: dict[str, Any] = recorder.plan["screens"]
        self._screen = Screen(game.height, game.width)
        self._grey = game.grey
        self._episode, self._age, self._tag, self._lost = -1, 0, -1, 0
        self._left = 0
        self.lives = 0

    def begin(self, seed: Any) -> None:
        """Begins a game."""
        self._episode += 1
        self.lives = self._plan["lives"]
        self._age = 0
        self._left = self._length()
        self._show()
        self._recorder.note_reset(self._number, self._tag, seed)

    def play(self, action: int) -> tuple[float, int]:
        """One raw frame: what it pays, and how it ends the game or a life, if it does."""
        before = self._tag
        self._age += 1
        self._left -= 1
        rewards = self._plan["rewards"]
        self._show()
        reward = float(rewards[self._tag % len(rewards)])
        end = self._end()
        step = (self._number, before, self._tag, 0, action, reward, end)
        self._recorder.steps.append((self._recorder.moment(), *step))
        return reward, end

    def picture(self) -> Any:
        """The frame that is shown."""
        drawn = self._screen.picture(self._tag)
        return drawn.max(axis=2) if self._grey else drawn

    def _end(self) -> int:
        # Every other game is cut by a limit; whoever plays on meets its proper end.
        if self._episode % 2 and self._age == self._plan["limit"]:
            return TRUNCATED
        if self._left:
            return GOES_ON
        self.lives -= 1
        self._lost += 1
        self._left = self._length()
        return LIFE_LOST if self.lives > 0 else TERMINATED

    def _length(self) -> int:
        lengths: list[int] = self._plan["lengths"]
        return lengths[self._lost % len(lengths)]

    def _show(self) -> None:
        self._tag = len(self._recorder.shown)
        self._recorder.shown.append((self._number, 0))


class Console:
    """What wrappers ask an emulator for."""

    def __init__(self, emulator: Emulator, actions: int) -> None:
        self._emulator = emulator
        self._actions = actions

    def lives(self) -> int:
        """How many are left."""
        return self._emulator.lives

    def game_over(self) -> bool:
        """Whether none is left."""
        return self._emulator.lives == 0

    def getScreenRGB(self, output: Any = None) -> Any:  # noqa: N802  # as it is called
        """The frame that is shown, in colours."""
        return _into(output, self._emulator.picture())

    def getScreenGrayscale(self, output: Any = None) -> Any:  # noqa: N802
        """The frame that is shown, by its luminance."""
        weights = np.array([0.299, 0.587, 0.114])
        return _into(output, (self._emulator.picture() @ weights).round().astype(np.uint8))

    def getMinimalActionSet(self) -> list[int]:  # noqa: N802
        """The actions of the game."""
        return list(range(self._actions))

    getLegalActionSet = getMinimalActionSet  # noqa: N815


def _into(output: Any, drawn: Any) -> Any:
    if output is None:
        return drawn
    output[...] = drawn.reshape(output.shape)
    return output


class Played:
    """What an environment does with a game, in whichever form a package wants it.

    Args:
        game: that is played.
        recorder: where everything is noted.
    """

    def __init__(self, game: Game, recorder: Recorder) -> None:
        self.game = game
        number = len(recorder.environments)
        self.emulator = Emulator(number, game, recorder)
        self.console = Console(self.emulator, len(game.meanings))
        self._skips = np.random.Generator(np.random.PCG64(SEED + number))
        self._recorder = recorder

    def step(self, action: Any) -> tuple[float, int]:
        """Plays the frames of a step with one action: what they pay, and how they end."""
        chosen = int(np.asarray(action).reshape(-1)[0])
        total, end = 0.0, GOES_ON
        frames = self._frames()
        self._recorder.count_step(frames / self._recorder.plan["screens"]["frames_of_a_step"])
        for _ in range(frames):
            reward, came = self.emulator.play(chosen)
            total += reward
            end = came or end
            if end in (TERMINATED, TRUNCATED):
                break
        return total, end

    def info(self) -> dict[str, Any]:
        """The lives that are left, as old and new packages call them."""
        return {"lives": self.console.lives(), "ale.lives": self.console.lives()}

    def _frames(self) -> int:
        if isinstance(self.game.frameskip, int):
            return self.game.frameskip
        fewest, beyond = self.game.frameskip
        return int(self._skips.integers(fewest, beyond))


def game_class(module: ModuleType, recorder: Recorder, *, four_values: bool) -> Any:
    """The class of games as environments of that package."""
    spaces: Any = module.spaces

    class GameEnvironment(module.Env):  # type: ignore[name-defined, misc]
        """A game, in the form of the package."""

        metadata: ClassVar[Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 60}
        reward_range = (-float("inf"), float("inf"))

        def __init__(self, game: Game, render_mode: Any) -> None:
            self.render_mode = render_mode
            self._played = Played(game, recorder)
            self._frameskip = game.frameskip
            self.ale = self._played.console
            shape = (game.height, game.width) + (() if game.grey else (3,))
            self.observation_space = spaces.Box(0, 255, shape, np.uint8)
            self.action_space = spaces.Discrete(len(game.meanings))

        def get_action_meanings(self) -> list[str]:
            """What each action presses."""
            return list(self._played.game.meanings)

        def seed(self, seed: Any = None) -> list[Any]:
            """As gym before 0.26 seeds."""
            return [seed]

        def reset(self, seed: Any = None, options: Any = None, **_: Any) -> Any:
            """Begins a game."""
            del options
            if not four_values:
                super().reset(seed=seed)
            self._played.emulator.begin(seed)
            return self.render() if four_values else (self.render(), self._played.info())

        def step(self, action: Any) -> Any:
            """Plays the frames of a step."""
            total, end = self._played.step(action)
            obs, info = self.render(), self._played.info()
            terminated, truncated = end == TERMINATED, end == TRUNCATED
            if not four_values:
                return obs, total, terminated, truncated, info
            limit = {"TimeLimit.truncated": True} if truncated else {}
            return obs, total, terminated or truncated, {**info, **limit}

        def render(self, *_: Any, **__: Any) -> Any:
            """The frame that is shown."""
            return self._played.emulator.picture()

        def close(self) -> None:
            """Nothing is open."""

    return GameEnvironment


def facts_of(game: Game) -> dict[str, Any]:
    """What the recording says of a game."""
    return {
        "meanings": list(game.meanings),
        "frameskip": game.frameskip,
        "sticky": game.sticky,
        "pixels": [game.height, game.width],
    }
