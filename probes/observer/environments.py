"""What `make` of gymnasium, or of gym, gives in place of the environment that is asked for."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .games import Game, facts_of, game_called, game_class, game_of
from .recorder import Recorder
from .worlds import SEED, TERMINATED, TRUNCATED, Move, World, tagged_vector

# Where an environment cannot be built, scripts most often mean CartPole.
USUAL_SPACES = (4, 2)
EPISODE_STEPS = 500  # that an environment's spec promises at most


def replace_make(module: ModuleType, recorder: Recorder) -> None:
    """Puts worlds in the place of what a package makes.

    Args:
        module: gymnasium, or gym.
        recorder: of what is done to them.
    """
    version = str(getattr(module, "__version__", "0"))
    recorder.versions[module.__name__] = version
    numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
    four_values = module.__name__ == "gym" and numbers < [0, 26]
    real = module.make
    worlds = _environment_class(module, recorder, four_values=four_values)
    games = game_class(module, recorder, four_values=four_values)

    def make(id: Any, *args: Any, **kwargs: Any) -> Any:  # as it is called
        name = id if isinstance(id, str) else str(getattr(id, "id", id))
        found, built = _asked_for(real, id, args, kwargs, recorder)
        if found is None:
            recorder.note(f"{name} has other spaces than vectors and numbers: it was left alone")
            return built
        made: dict[str, Any] = {"id": name, "arguments": _plain(kwargs)}
        if isinstance(found, Game):
            environment = games(found, kwargs.get("render_mode"))
            made.update(size=0, actions=len(found.meanings), game=facts_of(found))
        else:
            size, actions = found
            environment = worlds(size, actions, kwargs.get("render_mode"), built)
            made.update(size=size, actions=actions)
        environment.spec = _spec(module, name)
        recorder.environments.append(made)
        return environment

    module.make = make  # type: ignore[attr-defined]
    for place in (".envs", ".envs.registration"):
        other = sys.modules.get(module.__name__ + place)
        if other is not None and hasattr(other, "make"):
            other.make = make  # type: ignore[attr-defined]
    if hasattr(module, "make_vec"):
        module.make_vec = _make_vec(module, make)  # type: ignore[attr-defined]
    if hasattr(module, "vector"):
        _keep_in_one_process(module, recorder)


def _keep_in_one_process(module: ModuleType, recorder: Recorder) -> None:
    """Has environments stepped in the script's own process, where they can be watched."""
    together: Any = module.vector.SyncVectorEnv
    known = inspect.signature(together.__init__).parameters

    class InOneProcess(together):  # type: ignore[misc]
        """An `AsyncVectorEnv` that takes the same steps, one environment after the other."""

        def __init__(self, env_fns: Any, *_: Any, **kwargs: Any) -> None:
            recorder.note("AsyncVectorEnv: its environments were stepped in the script's process")
            super().__init__(env_fns, **{k: v for k, v in kwargs.items() if k in known})
            self._waiting: Any = None

        def step_async(self, actions: Any) -> None:
            """Takes the step; its result waits."""
            self._waiting = self.step(actions)

        def step_wait(self, *_: Any, **__: Any) -> Any:
            """The result of the step."""
            if self._waiting is None:
                return super().step_wait()
            found, self._waiting = self._waiting, None
            return found

    # gymnasium before 1.0 steps by these two itself.
    if hasattr(together, "step_wait"):
        del InOneProcess.step_async, InOneProcess.step_wait
    module.vector.AsyncVectorEnv = InOneProcess


def _make_vec(module: ModuleType, make: Any) -> Any:
    def make_vec(id: Any, num_envs: int = 1, *_: Any, **kwargs: Any) -> Any:
        for name in ("vectorization_mode", "wrappers"):
            kwargs.pop(name, None)
        vector = kwargs.pop("vector_kwargs", None) or {}
        return module.vector.SyncVectorEnv([lambda: make(id, **kwargs)] * num_envs, **vector)

    return make_vec


def _asked_for(
    real: Any, id: Any, args: tuple[Any, ...], kwargs: dict[str, Any], recorder: Recorder
) -> tuple[Any, Any]:
    """A game, or the size of an environment's observations and the number of its actions.

    Returns:
        That, or None if it is neither; and the environment that was asked for, if it can be built.
    """
    quiet = {key: value for key, value in kwargs.items() if key != "render_mode"}
    try:
        built = real(id, *args, **quiet)
        if not hasattr(built.observation_space, "low") or not hasattr(built.action_space, "n"):
            return None, real(id, *args, **kwargs)
        spaces = int(np.prod(built.observation_space.shape)), int(built.action_space.n)
        game = game_of(built)
        built.close()
    except Exception as error:  # noqa: BLE001  # whatever the environment lacks
        name = id if isinstance(id, str) else str(getattr(id, "id", id))
        known = game_called(name)
        taken = "a game of 210 x 160 pixels" if known else "CartPole"
        recorder.note(f"{name} cannot be built here ({error}): it is taken for {taken}")
        return known or USUAL_SPACES, None
    return game or spaces, built.unwrapped


def _spec(module: ModuleType, name: str) -> Any:
    registration = importlib.import_module(module.__name__ + ".envs.registration")
    for id_ in (name, "World-v0"):
        try:
            return registration.EnvSpec(
                id_, entry_point="world:World", max_episode_steps=EPISODE_STEPS,
                reward_threshold=475.0,
            )  # fmt: skip
        except Exception:  # noqa: BLE001  # a name that a version does not take
            continue
    return None


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    kinds = (bool, int, float, str, type(None))
    return {
        key: value if isinstance(value, kinds) else type(value).__name__
        for key, value in kwargs.items()
    }


class TaggedWorld:
    """A world that notes what is done to it.

    Args:
        number: of the environment.
        size: of its observations.
        recorder: where everything is noted.
    """

    def __init__(self, number: int, size: int, recorder: Recorder) -> None:
        self._number = number
        self._size = size
        self._recorder = recorder
        self._world = World(recorder.plan["world"])
        self._generator = np.random.Generator(np.random.PCG64(SEED + number))
        self._state, self._age, self._episode, self._tag = 0, 0, -1, -1
        self._handed: Any = None
        self._copied = b""

    def begin(self, seed: Any) -> Any:
        """Begins an episode; its first observation."""
        self._state, self._age = self._world.start(self._generator), 0
        self._episode += 1
        obs = self._show()
        self._recorder.note_reset(self._number, self._tag, seed)
        return obs

    def take(self, action: Any) -> tuple[Any, Move]:
        """Takes a step; the next observation, and what it led to."""
        self._recorder.count_step()
        chosen = int(np.asarray(action).reshape(-1)[0])
        before, tag = self._state, self._tag
        self._age += 1
        move = self._world.move(before, chosen, self._age, self._episode, self._generator)
        self._state = move.state
        obs = self._show()
        step = (self._number, tag, self._tag, before, chosen, move.reward, move.end)
        self._recorder.steps.append((self._recorder.moment(), *step))
        return obs, move

    def _show(self) -> Any:
        self._recorder.look_back(self._handed, self._copied)
        self._tag = len(self._recorder.shown)
        self._recorder.shown.append((self._number, self._state))
        tag = self._tag if self._recorder.plan["tags"] else -1
        self._handed = tagged_vector(self._state, tag, self._world.num_states, self._size)
        self._copied = self._handed.tobytes()
        return self._handed


def _environment_class(module: ModuleType, recorder: Recorder, *, four_values: bool) -> Any:
    """The class of worlds as environments of that package."""
    spaces: Any = module.spaces

    class WorldEnvironment(module.Env):  # type: ignore[name-defined, misc]
        """A world, in the form of the package."""

        metadata: ClassVar[Any] = {
            "render_modes": ["rgb_array", "human", "ansi"],
            "render_fps": 30,
        }
        reward_range = (-float("inf"), float("inf"))

        def __init__(self, size: int, actions: int, render_mode: Any, built: Any) -> None:
            self._built = built
            self.render_mode = render_mode
            self._max_episode_steps = EPISODE_STEPS
            self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
            self.action_space = spaces.Discrete(actions)
            self._tagged = TaggedWorld(len(recorder.environments), size, recorder)

        def __getattr__(self, name: str) -> Any:
            # Constants of the environment that was asked for, such as CartPole's `x_threshold`.
            if name.startswith("_") or self.__dict__.get("_built") is None:
                raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
            return getattr(self._built, name)

        def seed(self, seed: Any = None) -> list[Any]:
            """As gym before 0.26 seeds."""
            return [seed]

        def reset(self, seed: Any = None, options: Any = None, **_: Any) -> Any:
            """Begins an episode."""
            del options
            if not four_values:
                super().reset(seed=seed)
            obs = self._tagged.begin(seed)
            return obs if four_values else (obs, {})

        def step(self, action: Any) -> Any:
            """Takes a step."""
            obs, move = self._tagged.take(action)
            terminated, truncated = move.end == TERMINATED, move.end == TRUNCATED
            if not four_values:
                return obs, move.reward, terminated, truncated, {}
            info = {"TimeLimit.truncated": True} if truncated else {}
            return obs, move.reward, terminated or truncated, info

        def render(self, *_: Any, **__: Any) -> Any:
            """A picture with nothing on it."""
            return np.zeros((64, 64, 3), np.uint8)

        def close(self) -> None:
            """Nothing is open."""

    return WorldEnvironment
