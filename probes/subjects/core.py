"""The bundled core as a subject, whole or with other parts in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import gymnasium
import numpy as np
import torch

from dqn_core.acting import Actor
from dqn_core.agent import Agent
from dqn_core.checkpoint import load_checkpoint, save_checkpoint
from dqn_core.envs.atari import AtariEnvs
from dqn_core.envs.envs import Envs
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.evaluation import evaluate
from dqn_core.loop import Trainer
from dqn_core.recipes.schema import Recipe
from dqn_core.records import BlockRecord
from dqn_core.replay import Batch, Replay
from dqn_core.streams import Stream
from probes.subject import Array, Env, EnvMaker, Records, Settings, Subject, Transitions
from probes.subjects.core_atari import CoreAtari, EmulatorVector
from reports.command_line import next_command

# A segment of the `replay` stream, and an evaluation, that no run reaches.
ASIDE: Final = 2**31


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The classes a core is made of; a planted fault replaces one of them."""

    trainer: type[Trainer] = Trainer
    agent: type[Agent] = Agent
    replay: type[Replay] = Replay
    actor: type[Actor] = Actor
    envs: type[GymnasiumEnvs] = GymnasiumEnvs
    atari: type[AtariEnvs] = AtariEnvs
    emulators: type[EmulatorVector] = EmulatorVector
    subject: type[CoreSubject] | None = None

    def make(self, make_env: EnvMaker, settings: Settings) -> CoreSubject:
        """The core with these parts; a factory of subjects."""
        return (self.subject or CoreSubject)(make_env, settings, self)

    def make_trainer(self, recipe: Recipe, seed: int, device: torch.device) -> Trainer:
        """A run of a recipe with these parts.

        Raises:
            ValueError: if they change what a run of a recipe does not have.
        """
        played = Parts(trainer=self.trainer, agent=self.agent, replay=self.replay, actor=self.actor)
        if self != played:
            raise ValueError(
                "this fault lies in the environments of the probes or in their adapter, and no run "
                "of a recipe has it\n"
                f"  next      plant it in the probes: {next_command('probes', fault='...')}"
            )
        return self.trainer(recipe, seed, device, self.agent, self.replay, self.actor)


class CoreSubject(Subject):
    """The bundled core; offers every capability but those it has no part for.

    Args:
        make_env: of environments of vectors, or of stacks of frames.
        settings: followed to the letter.
        parts: of the core.
        loss: "huber" or "mse".
        optimizer: "adam" or "centred_rmsprop".
    """

    def __init__(
        self,
        make_env: EnvMaker,
        settings: Settings,
        parts: Parts,
        loss: Literal["huber", "mse"] = "huber",
        optimizer: Literal["adam", "centred_rmsprop"] = "adam",
    ) -> None:
        self.settings = settings
        self._parts = parts
        shown = make_env()
        self._stack = (shown.observation_space.shape or ())[0] if _of_frames(shown) else 1
        shown.close()

        def make_envs(recipe: Recipe, num_envs: int, stream: Stream) -> Envs:
            del recipe
            return parts.envs([lambda: newest(make_env())] * num_envs, stream)

        self.trainer = parts.trainer(
            core_recipe(settings, self._stack, loss, optimizer),
            settings.seed,
            torch.device(settings.device),
            parts.agent,
            parts.replay,
            parts.actor,
            make_envs,
        )
        self.trainer.traced = False  # a tenth of the time, for what no check reads
        self._blocks: Iterator[BlockRecord] = self.trainer.blocks()
        self._recorded: list[BlockRecord] = []
        self._aside = Stream(settings.seed, "replay", ASIDE)

    @property
    def online_net(self) -> torch.nn.Module:
        """The trained network."""
        return self.trainer.agent.online_net

    @property
    def target_net(self) -> torch.nn.Module:
        """The lagged network."""
        return self.trainer.agent.target_net

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What moves the online network."""
        return self.trainer.agent.optimizer

    def train(self, steps: int) -> None:
        """Goes on training; rounds up to blocks."""
        goal = self.trainer.step + steps
        while self.trainer.step < goal:
            self._recorded.append(next(self._blocks))

    def q_values(self, obs: Array) -> Array:
        return self.trainer.agent.q_values(obs)

    def target_values(self, obs: Array) -> Array:
        """Q-values of the target network."""
        values: Array = self.trainer.agent.target_net.infer(torch.from_numpy(obs)).numpy()
        return values

    def td_targets(self, transitions: Transitions) -> Array:
        """Regression targets, [B]."""
        return self.trainer.agent.td_target(self._batch(transitions)).numpy()

    def update(self, transitions: Transitions) -> None:
        """One gradient step, and a sync where one is due."""
        self.trainer.agent.learn(self._batch(transitions), 1)

    def sample(self, size: int) -> Transitions:
        """Transitions from the replay memory, from a stream of their own."""
        batch = self.trainer.replay.sample(self._aside, size)
        columns = (batch.obs, batch.action, batch.reward, batch.next_obs, batch.terminated)
        return Transitions(*(column.numpy() for column in columns))

    def save(self, folder: Path) -> None:
        """Writes a checkpoint; the run must be at a multiple of `save_period_steps`."""
        save_checkpoint(self.trainer, folder / "checkpoint", {})

    def load(self, folder: Path) -> None:
        """Goes on from a checkpoint."""
        load_checkpoint(self.trainer, folder / "checkpoint")

    def evaluate(self, episodes: int) -> list[float]:
        """Raw returns of some greedy episodes."""
        recipe = self.trainer.recipe
        section = recipe.evaluation.model_copy(update={"episodes": episodes})
        self.trainer.recipe = recipe.model_copy(update={"evaluation": section})
        returns = evaluate(self.trainer, ASIDE).tolist()
        self.trainer.recipe = recipe
        return [float(total) for total in returns]

    def replay_bytes(self) -> int:
        """Memory of the observations in the replay memory."""
        return int(self.trainer.replay.state()["obs"].nbytes)

    def epsilon(self) -> float:
        """Probability of a random action at the next step."""
        return float(self.trainer.epsilon(np.array([self.trainer.step]))[0])

    def records(self) -> Records:
        """What the blocks trained so far have recorded."""
        blocks = self._recorded

        def joined(columns: Iterator[Array]) -> Array:
            return np.concatenate([np.empty(0), *columns])

        return Records(
            steps=blocks[-1].step if blocks else 0,
            updates=blocks[-1].updates if blocks else 0,
            episode_return=joined(block.episode_return for block in blocks),
            episode_length=joined(block.episode_length for block in blocks),
            loss=joined(block.loss for block in blocks),
            q_mean=joined(block.q_mean for block in blocks),
            epsilon=np.array([block.epsilon for block in blocks]),
            # Of the block's last step.
            epsilon_step=np.array([block.step - 1 for block in blocks]),
        )

    def preprocess(self, emulator: Env) -> Env:
        """A mock Atari game as the agent is shown it."""
        parts = self._parts
        stack = parts.actor.make_stack
        return CoreAtari(emulator, parts.atari, parts.emulators, stack, self.settings.seed)

    def _batch(self, transitions: Transitions) -> Batch:
        obs, action, reward, next_obs, terminated = map(torch.as_tensor, transitions)
        newest_rows = next_obs[:, -1:] if obs.ndim > 2 else next_obs[:, None]
        return Batch(
            window=torch.cat([obs if obs.ndim > 2 else obs[:, None], newest_rows], dim=1),
            action=action.long(),
            reward=reward.float(),
            terminated=terminated.bool(),
            slots=np.arange(len(action)),
        )


def make(make_env: EnvMaker, settings: Settings) -> CoreSubject:
    """The whole core."""
    return Parts().make(make_env, settings)


def newest(env: Env) -> Env:
    """Shows the newest frame of each stack alone: the core stacks by itself."""
    if not _of_frames(env):
        return env
    space = env.observation_space
    frame = gymnasium.spaces.Box(0, 255, (space.shape or ())[1:], np.uint8)
    return gymnasium.wrappers.TransformObservation(env, lambda stack: stack[-1], frame)


def _of_frames(env: Env) -> bool:
    return len(env.observation_space.shape or ()) == 3


def core_recipe(settings: Settings, stack: int, loss: str, optimizer: str) -> Recipe:
    """The settings of a check in the words of the core."""
    block = math.lcm(settings.num_envs, settings.train_period_steps)
    total = block * (settings.total_steps // block + 2)
    segment = total
    if settings.save_period_steps < settings.total_steps:
        segment = settings.save_period_steps
        total = segment * (settings.total_steps // segment + 2)
    adam = {"kind": "adam", "eps": 1e-8}
    # Gradients of weights are about 1e-4 on frames, so that steps are learning_rate / sqrt(this) of
    # them: with the published 0.01 a tenth, and the budgets of the probes would be too short.
    rmsprop = {"kind": optimizer, "decay": 0.95, "min_squared_gradient": 1e-4}
    values: dict[str, Any] = {
        "name": "probe",
        "metric": "episode return",
        "env": {"kind": "gymnasium", "id": "World-v0", "frame_stack": stack},
        "network": {
            "kind": "mlp" if stack == 1 else "mnih2015",
            "hidden": [64, 64] if stack == 1 else [512],
            "init": "fan_in",
        },
        "exploration": {
            "initial": settings.epsilon_initial,
            "final": settings.epsilon_final,
            "decay_steps": settings.epsilon_decay_steps,
        },
        "replay": {
            "capacity_rows": settings.capacity,
            "warmup_steps": settings.warmup_steps,
            "batch_size": settings.batch_size,
        },
        "td": {"gamma": settings.gamma, "double": bool(settings.double), "loss": loss,
               "clip_reward": False},
        "optimizer": adam if optimizer == "adam" else rmsprop,
        "learning_rate": {
            "schedule": "constant",
            "initial": settings.learning_rate,
            "final": settings.learning_rate,
            "decay_steps": 1,
        },
        "gradient_clip_value": "none",
        "loop": {
            "num_envs": settings.num_envs,
            "total_steps": total,
            "segment_steps": segment,
            "block_steps": block,
            "train_period_steps": settings.train_period_steps,
            "sync_period_updates": settings.sync_period_updates,
            "overlap": False,
            "window_steps": segment,
        },
        "evaluation": {
            "period_steps": segment,
            "episodes": 1,
            "num_envs": 1,
            "epsilon": 0.0,
            "rolling_episodes": 1,
        },
    }  # fmt: skip
    return Recipe.model_validate(values)
