"""Where a subject is put to the test: watched environments, and a subject that trains in them."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, cast

import gymnasium
import numpy as np
import numpy.typing as npt

from probes.subject import (
    Array,
    BrokenProtocol,
    Env,
    Factory,
    Settings,
    Unsupported,
    WhiteBox,
    q_table,
)
from probes.traits import Traits

# A subject may train on whole rollouts; more than this beyond what was asked is no rounding.
ROUNDING_STEPS: Final = 256
FRAMES: Final = "frames"  # what a subject that is made for vectors alone declines
FRAME_AXES: Final = 3
FIELDS: Final = frozenset(field.name for field in fields(Settings))
PLAIN: Final = Traits()


class NotedSettings(Settings):
    """Settings that note which of them a subject reads; it may copy, replace and pickle them."""

    __slots__ = ("read",)

    @classmethod
    def of(cls, settings: Settings) -> NotedSettings:
        """The same settings, of which none has been read."""
        noted = cls.__new__(cls)
        object.__setattr__(noted, "read", set())
        vars(noted).update(vars(settings))
        return noted

    def __getattribute__(self, name: str) -> Any:
        if name in FIELDS:
            with contextlib.suppress(AttributeError):  # a copy with other values notes nothing
                object.__getattribute__(self, "read").add(name)
        return super().__getattribute__(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(Settings, **vars(self)), ()


@dataclass
class EnvLog:
    """What a subject did to one environment, in order.

    Attributes:
        seeds: of every reset; None where none was given.
        actions: of every step.
        starts: number of steps before each reset.
    """

    seeds: list[int | None] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)


class Watched(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that notes what is done to it, and refuses what no subject may do.

    Args:
        env: whose observations, rewards and ends are passed on untouched.
        before_step: called before each step; a check may ask the subject something there.
    """

    def __init__(self, env: Env, before_step: Callable[[], None]) -> None:
        super().__init__(env)
        self.log = EnvLog()
        self._before_step = before_step
        self._shown: Array | None = None
        self._bytes = b""
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        self.log.seeds.append(seed)
        self.log.starts.append(len(self.log.actions))
        obs, info = super().reset(seed=seed, options=options)
        self._running = True
        return self._show(obs), info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Takes a step, and holds the subject to the protocol.

        Raises:
            BrokenProtocol: for an action outside the space, a step after the end of an episode,
                or an observation that was changed in place.
        """
        self._before_step()
        if not self._running:
            raise BrokenProtocol("ends", "reset() after the end of an episode", "step() was called")
        if self._shown is not None and self._shown.tobytes() != self._bytes:
            raise BrokenProtocol(
                "observations", "observations left as they are", "one was changed in place"
            )
        space = cast("gymnasium.spaces.Discrete", self.action_space)
        if np.ndim(action) != 0 or not 0 <= int(action) < int(space.n):
            raise BrokenProtocol(
                "actions", f"actions from 0 to {int(space.n) - 1}", f"it took {action!r}"
            )
        self.log.actions.append(int(action))
        obs, reward, terminated, truncated, info = super().step(int(action))
        self._running = not (terminated or truncated)
        return self._show(obs), reward, terminated, truncated, info

    def _show(self, obs: Array) -> Array:
        self._shown, self._bytes = obs, obs.tobytes()
        return obs


class Trial:
    """A subject, and the environments that it asked for.

    What an agent does with one environment says nothing of several. So one that plays fewer than
    it was asked to, or declares that it would, is skipped and not blamed: whether all are played
    is a check of its own, `cadence.steps-every-environment`, which is red unless that is declared.
    One that trains in long pieces is skipped too, except by `cadence.takes-the-steps-asked-for`.

    Args:
        factory: of the subject.
        make_env: called for each environment, with its number.
        settings: for the subject.
        declined: what it does not do, and why; of `FRAMES` it is shown none.

    Raises:
        Unsupported: if the subject declares by `max_envs` that it plays fewer environments.

    Attributes:
        subject: the implementation; members beyond the protocol only where a check needs them.
        watched: all environments made, in order; some serve only to ask for shapes.
        read: names of the settings that the subject has read so far.
        before_step: may be set to what is to be called before each step of any environment.
    """

    def __init__(
        self,
        factory: Factory,
        make_env: Callable[[int], Env],
        settings: Settings,
        declined: Mapping[str, str],
    ) -> None:
        self.settings = settings
        self.watched: list[Watched] = []
        self.before_step: Callable[[], None] = lambda: None
        self._most_steps = math.inf

        def notice() -> None:
            if self.steps >= self._most_steps:
                raise Unsupported(f"agent takes over {ROUNDING_STEPS} steps more than asked for")
            self.before_step()

        def make() -> Env:
            env = Watched(make_env(len(self.watched)), notice)
            if FRAMES in declined and len(env.observation_space.shape or ()) == FRAME_AXES:
                raise Unsupported(f"declined: {FRAMES}")
            self.watched.append(env)
            return env

        noted = NotedSettings.of(settings)
        self.read: set[str] = noted.read
        self.subject = cast("WhiteBox", factory(make, noted))
        self._require_envs(getattr(self.subject, "max_envs", settings.num_envs))

    @property
    def played(self) -> list[Watched]:
        """The environments in which steps were taken."""
        return [env for env in self.watched if env.log.actions]

    @property
    def steps(self) -> int:
        """Agent steps taken so far, over all environments."""
        return sum(len(env.log.actions) for env in self.watched)

    def train(self, steps: int) -> None:
        """Lets the subject train.

        Raises:
            BrokenProtocol: if it took fewer steps than asked for.
            Unsupported: once it takes many more, or if it played fewer environments than asked for.
        """
        before = self.steps
        self._most_steps = before + steps + ROUNDING_STEPS
        self.subject.train(steps)
        self._most_steps = math.inf
        taken = self.steps - before
        if taken < steps:
            raise BrokenProtocol(
                "steps", f"train({steps}) to take {steps} steps", f"it took {taken}"
            )
        if self.steps >= self.settings.num_envs:
            self._require_envs(len(self.played))

    def q_table(self, observations: Array) -> npt.NDArray[np.float64]:
        """Q-values [B, A] of the subject, held to the protocol."""
        return q_table(self.subject, observations)

    def _require_envs(self, number: int) -> None:
        if number < self.settings.num_envs:
            played = "one environment" if number == 1 else f"{number} environments"
            raise Unsupported(f"agent plays {played}; settings.num_envs = {self.settings.num_envs}")


@dataclass(frozen=True)
class Testbed:
    """What a check is run on.

    Attributes:
        factory: of the subject.
        seed: of everything the check draws, and of the subject.
        declined: what the subject does not do, and why.
        traits: of the subject, as it declares them.
    """

    __test__ = False  # pytest collects what is named Test

    factory: Factory
    seed: int
    declined: Mapping[str, str] = field(default_factory=dict)
    traits: Traits = PLAIN

    def trial(self, make_env: Callable[[int], Env], **settings: Any) -> Trial:
        """Sets a subject up in environments.

        Args:
            make_env: from the number of an environment to the environment.
            settings: fields of `Settings`; the seed is the testbed's, if not given.

        Raises:
            Unsupported: if the subject is always double DQN, or always plain, and is asked for the
                other.
        """
        asked = Settings(**({"seed": self.seed} | settings))
        always = self.traits.double
        if None not in {always, asked.double} and always != asked.double:
            raise Unsupported(f"agent with traits double {always} is asked for the other form")
        return Trial(self.factory, make_env, asked, self.declined)
