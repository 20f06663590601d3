"""Faults in stacks of frames, and in how they reach the network."""

from __future__ import annotations

from types import MethodType
from typing import Any, ClassVar, Final

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dqn_core.acting import Actor, FrameStack
from dqn_core.agent import Agent
from dqn_core.networks import QNetwork
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.faults.frames import AsksOtherwise
from probes.subject import Array, Env
from probes.subjects.core import CoreSubject, Parts


class StackOfOneBuffer(FrameStack):
    """All frames of the stack are the newest, as where they share memory."""

    def push(self, row: Array) -> None:
        """Overwrites every frame."""
        self.obs[:] = row[:, None] if row.ndim < self.obs.ndim else row


class ActsOnOneBuffer(Actor):
    """All frames acted upon are the newest, as where they share memory."""

    make_stack = StackOfOneBuffer


class StacksTwice(CoreSubject):
    """The stacks are stacked again: sixteen frames of seven steps."""

    def preprocess(self, emulator: Env) -> Env:
        stacks = gymnasium.wrappers.FrameStackObservation(super().preprocess(emulator), 4)
        _, _, height, width = stacks.observation_space.shape or ()
        space = gymnasium.spaces.Box(0, 255, (16, height, width), np.uint8)
        return gymnasium.wrappers.TransformObservation(
            stacks, lambda obs: obs.reshape(space.shape), space
        )


class SkipsNothing(AsksOtherwise):
    """The emulators show every raw frame."""

    instead: ClassVar = {"frameskip": 1}


class StacksRawFrames(CoreSubject):
    """Every skipped frame is pushed to the stack, which then spans one step."""

    def preprocess(self, emulator: Env) -> Env:
        return _FourTimes(super().preprocess(emulator))


class _FourTimes(gymnasium.Wrapper[Any, Any, Any, Any]):
    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = super().step(action)
        total = float(reward)
        for _ in range(3):
            if not (terminated or truncated):
                obs, reward, terminated, truncated, info = super().step(action)
                total += float(reward)
        return obs, total, terminated, truncated, info


class StackNotCleared(FrameStack):
    """An episode starts with the newest frames of the last one in its stack."""

    def start(self, envs: npt.NDArray[np.int64], row: Array) -> None:
        """Replaces the newest frame alone."""
        self.obs[(envs, -1) if row.ndim < self.obs.ndim else envs] = row


class ActsOnOldFrames(Actor):
    """The stack is not cleared where an episode begins."""

    make_stack = StackNotCleared


class ZeroPaddedStack(FrameStack):
    """An episode starts with black frames, where the replay memory repeats the first one."""

    def start(self, envs: npt.NDArray[np.int64], row: Array) -> None:
        """Replaces the newest frame, and blackens the others."""
        self.obs[envs] = 0
        self.obs[(envs, -1) if row.ndim < self.obs.ndim else envs] = row


class ActsOnZeroPadding(Actor):
    """First stacks are padded with zeros where the agent acts, and not where it learns."""

    make_stack = ZeroPaddedStack


class NewestFirstStack(FrameStack):
    """The newest frame comes first."""

    def push(self, row: Array) -> None:
        """Shifts the other way."""
        if row.ndim == self.obs.ndim:
            self.obs[:] = row
        else:
            self.obs[:, 1:] = self.obs[:, :-1]
            self.obs[:, 0] = row


class ActsInReverse(Actor):
    """Stacks are newest first where the agent acts, and newest last where it learns."""

    make_stack = NewestFirstStack


class AltersPixels(Agent):
    """The first convolution is given something else than the scaled pixels, [B, 4, 84, 84]."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for net in (self.online_net, self.target_net):
            first = next((m for m in net.modules() if isinstance(m, torch.nn.Conv2d)), None)
            if first is not None:
                first.register_forward_pre_hook(lambda _, given: (self.alter(given[0]),))
                net.vjp = MethodType(QNetwork.vjp, net)  # type: ignore[method-assign]  # by autograd, through the hook

    def alter(self, pixels: Tensor) -> Tensor:
        """What it is given instead."""
        raise NotImplementedError


class ScaledTwice(AltersPixels):
    """Pixels are divided by 255 twice."""

    def alter(self, pixels: Tensor) -> Tensor:
        """Small."""
        return pixels / 255


class NeverScaled(AltersPixels):
    """Pixels reach the network as they are, up to 255."""

    def alter(self, pixels: Tensor) -> Tensor:
        """Large."""
        return pixels * 255


class LevelsRounded(AltersPixels):
    """Pixels become integers once they are scaled: there is black, and there is white."""

    def alter(self, pixels: Tensor) -> Tensor:
        """Zeros and ones."""
        return pixels.round()


class ReshapedForTransposed(AltersPixels):
    """Channels are put last, and first again, by a reshape: frames are cut up and interleaved."""

    def alter(self, pixels: Tensor) -> Tensor:
        """In another order."""
        rows, frames, height, width = pixels.shape
        return pixels.reshape(rows, height, width, frames).permute(0, 3, 1, 2)


FAULTS: Final = (
    Fault(
        name="stack-of-one-buffer",
        seen=("https://github.com/thu-ml/tianshou/issues/1272",),
        component=Component.FRAMES,
        what="All frames of the stack are the newest, as where they share memory.",
        parts=Parts(actor=ActsOnOneBuffer),
        caught_by=("frames.stack-spans-steps", "frames.acts-on-what-it-was-shown"),
    ),
    Fault(
        name="stack-of-stacks",
        seen=("https://github.com/openai/baselines/commit/b64974e",),
        component=Component.FRAMES,
        what="The stacks are stacked again: sixteen frames of seven steps.",
        parts=Parts(subject=StacksTwice),
        caught_by=("frames.stack-spans-steps",),
    ),
    Fault(
        name="stack-of-raw-frames",
        seen=("https://github.com/AndersonJo/dqn-pytorch/issues/4",),
        component=Component.FRAMES,
        what="Every skipped frame is pushed to the stack, which then spans one step.",
        parts=Parts(atari=SkipsNothing, subject=StacksRawFrames),
        caught_by=("frames.stack-spans-steps",),
    ),
    Fault(
        name="stack-not-cleared",
        seen=(
            "https://github.com/rlcode/reinforcement-learning/pull/128",
            "https://github.com/Kaixhin/Rainbow/issues/7",
        ),
        component=Component.FRAMES,
        what="The stack is not cleared where an episode begins.",
        parts=Parts(actor=ActsOnOldFrames),
        caught_by=("frames.first-stack", "frames.acts-on-what-it-was-shown"),
    ),
    Fault(
        name="stack-padded-with-zeros",
        seen=(
            "https://github.com/Farama-Foundation/Gymnasium/issues/829",
            "https://github.com/Farama-Foundation/Gymnasium/pull/830",
        ),
        component=Component.FRAMES,
        what="First stacks are padded with zeros where the agent acts, and not where it learns.",
        parts=Parts(actor=ActsOnZeroPadding),
        caught_by=("frames.acts-on-what-it-was-shown",),
    ),
    Fault(
        name="acts-on-reversed-stack",
        seen=(),
        component=Component.FRAMES,
        what="Stacks are newest first where the agent acts, and newest last where it learns.",
        parts=Parts(actor=ActsInReverse),
        caught_by=("frames.acts-on-what-it-was-shown",),
    ),
    Fault(
        name="pixels-scaled-twice",
        seen=(
            "https://github.com/openai/baselines/issues/431",
            "https://github.com/openai/baselines/issues/632",
            "https://github.com/openai/baselines/commit/4121d9c",
            "https://github.com/yandexdataschool/Practical_RL/issues/304",
        ),
        component=Component.FRAMES,
        what="Pixels are divided by 255 twice.",
        parts=Parts(agent=ScaledTwice),
        caught_by=("frames.scaled-once",),
    ),
    Fault(
        name="pixels-never-scaled",
        seen=("https://github.com/thu-ml/tianshou/issues/440",),
        component=Component.FRAMES,
        what="Pixels reach the network as they are, up to 255.",
        parts=Parts(agent=NeverScaled),
        caught_by=("frames.scaled-once",),
    ),
    Fault(
        name="levels-rounded",
        seen=(),
        component=Component.FRAMES,
        what="Pixels become integers once they are scaled: black and white.",
        parts=Parts(agent=LevelsRounded),
        caught_by=("frames.every-level-counts",),
    ),
    Fault(
        name="reshaped-for-transposed",
        seen=(),
        component=Component.FRAMES,
        what="Channels are moved by a reshape: frames are cut up and interleaved.",
        parts=Parts(agent=ReshapedForTransposed),
        caught_by=("frames.neighbours-stay-neighbours",),
    ),
)
