"""Faults in the rewards, starts and ends of Atari games, and in what becomes of actions."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from dqn_core.envs.atari import NO_LIMIT, AtariEnvs
from dqn_core.envs.envs import Tick
from dqn_core.recipes.schema import AtariEnv
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.faults.frames import AsksOtherwise
from probes.subject import Array
from probes.subjects.core import Parts
from probes.subjects.core_atari import EmulatorVector


class LastRewardOnly(EmulatorVector):
    """The reward of a step is that of its last raw frame."""

    def total(self, rewards: list[float]) -> float:
        """The last one."""
        return super().total(rewards[-1:])


class ClipsEachFrame(EmulatorVector):
    """Rewards are clipped raw frame by raw frame, and then summed."""

    def total(self, rewards: list[float]) -> float:
        """The sum of the clipped ones."""
        return super().total([float(np.sign(reward)) for reward in rewards])


class NoNoOps(AsksOtherwise):
    """Games start without no-ops."""

    instead: ClassVar = {"noop_max": 1}


class SameNoOps(AtariEnvs):
    """The emulators are seeded again at each reset: all games start alike."""

    def begin(self, ended: npt.NDArray[np.bool_]) -> Array:
        """Starts as the first time where a game ended."""
        return self.reset() if self._must_reset.any() else super().begin(ended)


class SeedLost(AtariEnvs):
    """The seed does not reach the emulators, which draw one by themselves."""

    def reset(self) -> Array:
        """Gives the emulators what stands for no seed."""
        self._seeds = np.full_like(self._seeds, -1)
        return super().reset()


class AllActions(AsksOtherwise):
    """The agent has all eighteen actions of the console instead of the game's four."""

    instead: ClassVar = {"full_action_space": True}


class NoFire(AsksOtherwise):
    """FIRE is not among the agent's actions, and nothing presses it."""

    instead: ClassVar = {"use_fire_reset": False}

    def __init__(self, section: AtariEnv, *args: Any) -> None:
        actions = ["NOOP", "RIGHT", "LEFT"]
        super().__init__(section.model_copy(update={"actions": actions}), *args)


class LifeEndsGame(AtariEnvs):
    """A lost life resets the game."""

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        tick = super().step(action)
        self._must_reset = tick.terminated | tick.truncated
        self._must_fire &= ~self._must_reset
        return tick


class LimitTerminates(AtariEnvs):
    """The limit of an episode is taken for an end of the task."""

    def step(self, action: npt.NDArray[np.int64]) -> Tick:
        tick = super().step(action)
        none = np.zeros_like(tick.truncated)
        return tick._replace(terminated=tick.terminated | tick.truncated, truncated=none)


class NoLimit(AtariEnvs):
    """Episodes have no limit: an agent that does nothing plays one game for ever."""

    def __init__(self, section: AtariEnv, *args: Any) -> None:
        super().__init__(section.model_copy(update={"episode_limit_steps": NO_LIMIT}), *args)


FAULTS: Final = (
    Fault(
        name="last-reward-of-the-skip",
        seen=("https://github.com/Farama-Foundation/Arcade-Learning-Environment/issues/18",),
        component=Component.FRAMES,
        what="The reward of a step is that of its last raw frame.",
        parts=Parts(emulators=LastRewardOnly),
        caught_by=("frames.reward-summed-over-skip", "frames.clipped-after-the-sum"),
    ),
    Fault(
        name="reward-clipped-per-raw-frame",
        seen=(),
        component=Component.FRAMES,
        what="Rewards are clipped raw frame by raw frame, and then summed.",
        parts=Parts(emulators=ClipsEachFrame),
        caught_by=("frames.clipped-after-the-sum",),
    ),
    Fault(
        name="no-no-ops",
        seen=("https://github.com/openai/baselines/commit/d9f194f",),
        component=Component.FRAMES,
        what="Games start without no-ops.",
        parts=Parts(atari=NoNoOps),
        caught_by=("frames.no-op-start",),
    ),
    Fault(
        name="same-no-ops",
        seen=(),
        component=Component.SEEDING,
        what="The emulators are seeded again at each reset: all games start alike.",
        parts=Parts(atari=SameNoOps),
        caught_by=("frames.no-op-start",),
    ),
    Fault(
        name="emulator-seed-lost",
        seen=(
            "https://github.com/thu-ml/tianshou/issues/861",
            "https://github.com/thu-ml/tianshou/commit/f8808d23",
        ),
        component=Component.SEEDING,
        what="The seed does not reach the emulators, which draw one by themselves.",
        parts=Parts(atari=SeedLost),
        caught_by=("frames.seed-reaches-the-emulator",),
    ),
    Fault(
        name="all-eighteen-actions",
        seen=("https://github.com/dennybritz/reinforcement-learning/issues/30",),
        component=Component.FRAMES,
        what="The agent has all eighteen actions of the console instead of the game's four.",
        parts=Parts(atari=AllActions),
        caught_by=("frames.actions-reach-the-game",),
    ),
    Fault(
        name="fire-never-pressed",
        seen=(
            "https://github.com/Farama-Foundation/Gymnasium/issues/781",
            "https://github.com/HorizonRobotics/alf/pull/79",
            "https://github.com/rlcode/reinforcement-learning/pull/124",
        ),
        component=Component.FRAMES,
        what="FIRE is not among the agent's actions, and nothing presses it.",
        parts=Parts(atari=NoFire),
        caught_by=("frames.fire",),
    ),
    Fault(
        name="life-ends-game",
        seen=(
            "https://github.com/Farama-Foundation/Gymnasium/issues/166",
            "https://github.com/rlcode/reinforcement-learning/pull/128",
        ),
        component=Component.TERMINATION,
        what="A lost life resets the game.",
        parts=Parts(atari=LifeEndsGame),
        caught_by=("lives.loss-ends-no-game",),
    ),
    Fault(
        name="limit-terminates",
        seen=(
            "https://github.com/keras-rl/keras-rl/issues/298",
            "https://github.com/Curt-Park/rainbow-is-all-you-need/issues/70",
            "https://github.com/google/dopamine/commit/c443e88",
        ),
        component=Component.TERMINATION,
        what="The limit of an episode of a game is taken for an end of the task.",
        parts=Parts(atari=LimitTerminates),
        caught_by=("lives.limit-truncates",),
    ),
    Fault(
        name="no-episode-limit",
        seen=(),
        component=Component.TERMINATION,
        what="Episodes have no limit: an agent that does nothing plays one game for ever.",
        parts=Parts(atari=NoLimit),
        caught_by=("lives.limit-truncates",),
    ),
)
