"""Faults in what the agent is shown: frames and pixels."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import gymnasium
import numpy as np

from dqn_core.envs.atari import AtariEnvs
from dqn_core.recipes.schema import AtariEnv
from dqn_core.streams import Stream
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array, Env
from probes.subjects.core import CoreSubject, Parts
from probes.subjects.core_atari import EmulatorVector


class AsksOtherwise(AtariEnvs):
    """Asks the emulators for something else than the recipe says."""

    instead: ClassVar[dict[str, Any]]

    def __init__(self, section: AtariEnv, num_envs: int, stream: Stream, emulators: Any) -> None:
        def otherwise(game: str, number: int, **options: Any) -> Any:
            return emulators(game, number, **(options | self.instead))

        super().__init__(section, num_envs, stream, otherwise)


class SkipsTwice(AsksOtherwise):
    """Emulator and wrapper both skip: a step lasts sixteen raw frames."""

    instead: ClassVar = {"frameskip": 16}


class NoMaximum(AsksOtherwise):
    """A step shows its last raw frame alone."""

    instead: ClassVar = {"maxpool": False}


class GreenUnseen(EmulatorVector):
    """The coefficient of green is lost: green objects are black."""

    grey = np.array([0.299, 0.0, 0.114])


class DarkPixelsWrap(AtariEnvs):
    """A background level is subtracted from bytes, and darker pixels wrap around."""

    def _view(self, frames: Array) -> Array:
        view: Array = super()._view(frames) - np.uint8(87)
        return view


class OneBuffer(CoreSubject):
    """Every observation is handed out in the same buffer."""

    def preprocess(self, emulator: Env) -> Env:
        env = super().preprocess(emulator)
        space = env.observation_space
        buffer = np.zeros(space.shape or (), space.dtype)

        def write(obs: Array) -> Array:
            buffer[:] = obs
            return buffer

        return gymnasium.wrappers.TransformObservation(env, write, space)


class ScaledBeyondItsSpace(CoreSubject):
    """Frames are scaled to [0, 1], while the space still says bytes."""

    def preprocess(self, emulator: Env) -> Env:
        env = super().preprocess(emulator)
        space = env.observation_space
        return gymnasium.wrappers.TransformObservation(env, lambda obs: obs / 255, space)


FAULTS: Final = (
    Fault(
        name="frame-skip-twice",
        seen=("https://github.com/higgsfield/RL-Adventure/issues/12",),
        component=Component.FRAMES,
        what="Emulator and wrapper both skip: a step lasts sixteen raw frames.",
        parts=Parts(atari=SkipsTwice),
        caught_by=("frames.skip",),
    ),
    Fault(
        name="no-frame-maximum",
        seen=("https://github.com/andnp/rl-control-template/pull/20",),
        component=Component.FRAMES,
        what="A step shows its last raw frame alone: what flickers disappears.",
        parts=Parts(atari=NoMaximum),
        caught_by=("frames.two-frame-maximum",),
    ),
    Fault(
        name="green-unseen",
        seen=("https://openai.com/index/openai-baselines-dqn/",),
        component=Component.FRAMES,
        what="The coefficient of green is lost: green objects are black.",
        parts=Parts(emulators=GreenUnseen),
        caught_by=("frames.luminance",),
    ),
    Fault(
        name="dark-pixels-wrap",
        seen=(),
        component=Component.FRAMES,
        what="A background level is subtracted from bytes, and darker pixels wrap around.",
        parts=Parts(atari=DarkPixelsWrap),
        caught_by=("frames.order-of-grey-levels",),
    ),
    Fault(
        name="observations-in-one-buffer",
        seen=("https://github.com/thu-ml/tianshou/issues/1272",),
        component=Component.FRAMES,
        what="Every observation is handed out in the same buffer.",
        parts=Parts(subject=OneBuffer),
        caught_by=("frames.shared-memory",),
    ),
    Fault(
        name="scaled-beyond-its-space",
        seen=("https://github.com/thu-ml/tianshou/issues/440",),
        component=Component.FRAMES,
        what="Frames are scaled to [0, 1], while the space still says bytes.",
        parts=Parts(subject=ScaledBeyondItsSpace),
        caught_by=("frames.observations-in-their-space",),
    ),
)
