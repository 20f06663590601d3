"""Whole training steps per second against Stable-Baselines3, alternating in one run."""

from __future__ import annotations

import pytest
import torch

from dqn_core.loop import Trainer
from dqn_core.recipe import Recipe
from dqn_core.recipe_file import load_recipe
from tests.benchmarks.side_by_side import as_in_runs, medians, shown

STEPS, ROUNDS = 4_096, 5
HIDDEN, BATCH, SYNC, LEARNING_RATE, BUFFER = [128, 128], 64, 500, 1e-3, 50_000
WARMUP = 256


def our_recipe(block_steps: int) -> Recipe:
    """CartPole, one update per step, batch 64, a perceptron of 128-128."""
    values = load_recipe("cartpole").model_dump()
    total = 102_400
    values["network"]["hidden"] = HIDDEN
    values["replay"] |= {"capacity_rows": BUFFER, "warmup_steps": WARMUP, "batch_size": BATCH}
    values["td"]["loss"] = "huber"
    values["learning_rate"] |= {"schedule": "constant", "initial": LEARNING_RATE}
    values["loop"] |= {
        "train_period_steps": 1, "block_steps": block_steps, "sync_period_updates": SYNC,
        "total_steps": total, "segment_steps": total, "window_steps": total,
    }  # fmt: skip
    return Recipe.model_validate(values)


class Ours:
    """The bundled core."""

    def __init__(self, block_steps: int) -> None:
        self._block_steps = block_steps
        self._trainer = Trainer(our_recipe(block_steps), 0, torch.device("cpu"))
        self._blocks = self._trainer.blocks()
        self.train(2_048)

    def train(self, steps: int) -> None:
        for _ in range(steps // self._block_steps):
            next(self._blocks)

    @property
    def updates(self) -> int:
        return self._trainer.agent.updates


class StableBaselines3:
    """The library's DQN with the same network, batch, replay, rate and updates per step."""

    def __init__(self, block_steps: int) -> None:
        stable_baselines3 = pytest.importorskip("stable_baselines3")
        logger = pytest.importorskip("stable_baselines3.common.logger")
        self._model = stable_baselines3.DQN(
            "MlpPolicy", "CartPole-v1", seed=0, device="cpu", batch_size=BATCH,
            train_freq=block_steps, gradient_steps=block_steps, learning_starts=WARMUP,
            buffer_size=BUFFER, learning_rate=LEARNING_RATE, target_update_interval=SYNC,
            policy_kwargs={"net_arch": HIDDEN},
        )  # fmt: skip
        # The library's own makes a folder in the system's temporary one for each call of `learn`.
        self._model.set_logger(logger.Logger(folder=None, output_formats=[]))
        self.train(2_048)

    def train(self, steps: int) -> None:
        self._model.learn(steps, reset_num_timesteps=False)

    @property
    def updates(self) -> int:
        return self._model._n_updates


@pytest.mark.benchmark(group="CartPole training, steps per second")
@pytest.mark.parametrize("block_steps", [1, 64], ids=["blocks of 1", "blocks of 64"])
def test_training_speed_against_stable_baselines3(benchmark, block_steps, capsys):
    steps = STEPS if benchmark.enabled else 128
    with as_in_runs():
        ours, theirs = Ours(block_steps), StableBaselines3(block_steps)
        sides = {
            "ours": lambda: ours.train(steps),
            "Stable-Baselines3": lambda: theirs.train(steps),
        }
        told = medians(benchmark, sides, steps, rounds=ROUNDS)
    # Equal work: they differ by when the first update is due, and by no more.
    assert abs(ours.updates - theirs.updates) <= 2 * block_steps
    with capsys.disabled():
        print(f"\nCartPole, blocks of {block_steps}: {shown(told)}")
