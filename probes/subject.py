"""The implementation under test: the bundled core, whole or with a fault planted in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch

from dqn_core.agent import Agent
from dqn_core.envs import Envs
from dqn_core.gymnasium_envs import GymnasiumEnvs
from dqn_core.loop import Trainer
from dqn_core.recipe import Recipe
from dqn_core.replay import Replay
from dqn_core.streams import Stream
from probes.worlds import View, World, WorldEnv, observe

Network = Literal["mlp", "cnn"]
VIEWS: Final[dict[Network, View]] = {"mlp": "vector", "cnn": "frame"}

GAMMA: Final = 0.5  # small, so that faults in discounting move values far


@dataclass(frozen=True)
class Subject:
    """An implementation of DQN.

    Attributes:
        name: shown in reports.
        agent: class of the agent.
        replay: class of the replay memory.
    """

    name: str = "dqn_core"
    agent: type[Agent] = Agent
    replay: type[Replay] = Replay

    def train(self, world: World, network: Network, seed: int) -> Trainer:
        """Trains to the end of `world_recipe` in a world, and returns what became of the run."""
        return self._run(world_recipe(network), world, network, seed)

    def fill(self, world: World, network: Network, seed: int) -> Trainer:
        """A run whose replay memory is filled at random and which has made no update yet."""
        recipe = world_recipe(network)
        never = recipe.replay.model_copy(update={"warmup_steps": recipe.loop.total_steps + 1})
        return self._run(recipe.model_copy(update={"replay": never}), world, network, seed)

    def _run(self, recipe: Recipe, world: World, network: Network, seed: int) -> Trainer:
        def make_envs(recipe: Recipe, num_envs: int, stream: Stream) -> Envs:
            del recipe
            return GymnasiumEnvs([lambda: WorldEnv(world, VIEWS[network])] * num_envs, stream)

        trainer = Trainer(recipe, seed, torch.device("cpu"), self.agent, self.replay, make_envs)
        for _ in trainer.blocks():
            pass
        return trainer


def q_table(trainer: Trainer, world: World, network: Network) -> npt.NDArray[np.float32]:
    """Q-values of all states of a world as the agent meets them, [S, A] float32."""
    observations = []
    for state in range(world.num_states):
        rows = [observe(passed, VIEWS[network]) for passed in world.path(state)]
        stack = [rows[0]] * trainer.recipe.frame_stack + rows
        observations.append(np.stack(stack[-trainer.recipe.frame_stack :]))
    obs = np.stack(observations)
    return trainer.agent.q_values(obs if network == "cnn" else obs[:, 0])


def world_recipe(network: Network) -> Recipe:
    """The recipe by which worlds are learned: a large learning rate, decaying to settle."""
    updates, batch = (300, 32) if network == "mlp" else (120, 16)
    warmup, period = 64, 1
    total = warmup + updates * period
    values: dict[str, Any] = {
        "name": f"world-{network}",
        "metric": "episode return of a world",
        "env": {"kind": "gymnasium", "id": "World-v0", "frame_stack": 1 if network == "mlp" else 4},
        "network": {
            "kind": "mlp" if network == "mlp" else "mnih2015",
            "hidden": [64, 64] if network == "mlp" else [512],
            "init": "fan_in",
        },
        "exploration": {"initial": 1.0, "final": 1.0, "decay_steps": total},
        "replay": {"capacity_rows": 2 * total, "warmup_steps": warmup, "batch_size": batch},
        "td": {"gamma": GAMMA, "double": False, "loss": "huber", "clip_reward": False},
        "optimizer": {"kind": "adam", "eps": 1e-8},
        "learning_rate": {
            "schedule": "exponential",
            "initial": 3e-3 if network == "mlp" else 3e-4,
            "final": 3e-4 if network == "mlp" else 3e-5,
            "decay_steps": updates * period,
        },
        "gradient_clip_value": "none",
        "loop": {
            "num_envs": 1,
            "total_steps": total,
            "segment_steps": total,
            "block_steps": 1,
            "train_period_steps": period,
            "sync_period_updates": 10,
            "overlap": False,
            "window_steps": total,
        },
        "evaluation": {
            "period_steps": total,
            "episodes": 1,
            "num_envs": 1,
            "epsilon": 0.0,
            "rolling_episodes": 1,
        },
    }
    return Recipe.model_validate(values)
