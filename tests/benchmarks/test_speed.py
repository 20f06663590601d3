"""Whole training steps per second against Stable-Baselines3, alternating in one run."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from dqn_core.loop import Trainer
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe
from tests.benchmarks.side_by_side import as_in_runs, medians, shown

STEPS, ROUNDS = 4_096, 5
SYNC, LEARNING_RATE, BUFFER = 500, 1e-3, 50_000
WARMUP = 256


class Case(NamedTuple):
    """What both sides do: an update of so many transitions per step, a block of them at a time."""

    num_envs: int
    block_steps: int
    hidden: list[int]
    batch_size: int


CASES = {
    "1 environment, blocks of 1, 128-128, batch 64": Case(1, 1, [128, 128], 64),
    "1 environment, blocks of 64, 128-128, batch 64": Case(1, 64, [128, 128], 64),
    "8 environments, blocks of 64, 128-128, batch 64": Case(8, 64, [128, 128], 64),
    # The network and batch that the library has, if not told.
    "1 environment, blocks of 1, 64-64, batch 32": Case(1, 1, [64, 64], 32),
    "1 environment, blocks of 64, 64-64, batch 32": Case(1, 64, [64, 64], 32),
}


def our_recipe(case: Case) -> Recipe:
    """CartPole, one update per step."""
    values = load_recipe("cartpole").model_dump()
    total = 102_400
    values["network"]["hidden"] = case.hidden
    values["replay"] |= {
        "capacity_rows": BUFFER,
        "warmup_steps": WARMUP,
        "batch_size": case.batch_size,
    }
    values["td"]["loss"] = "huber"
    values["learning_rate"] |= {"schedule": "constant", "initial": LEARNING_RATE}
    values["loop"] |= {
        "num_envs": case.num_envs, "train_period_steps": 1, "block_steps": case.block_steps,
        "sync_period_updates": SYNC,
        "total_steps": total, "segment_steps": total, "window_steps": total,
    }  # fmt: skip
    return Recipe.model_validate(values)


class Ours:
    """The bundled core."""

    def __init__(self, case: Case, before: int) -> None:
        self._block_steps = case.block_steps
        self._trainer = Trainer(our_recipe(case), 0, torch.device("cpu"))
        self._blocks = self._trainer.blocks()
        self.train(before)

    def train(self, steps: int) -> None:
        for _ in range(steps // self._block_steps):
            next(self._blocks)

    @property
    def updates(self) -> int:
        return self._trainer.agent.updates


class StableBaselines3:
    """The library's DQN with the same network, batch, replay, rate and updates per step."""

    def __init__(self, case: Case, before: int) -> None:
        stable_baselines3 = pytest.importorskip("stable_baselines3")
        env_util = pytest.importorskip("stable_baselines3.common.env_util")
        logger = pytest.importorskip("stable_baselines3.common.logger")
        self._model = stable_baselines3.DQN(
            "MlpPolicy", env_util.make_vec_env("CartPole-v1", case.num_envs), seed=0, device="cpu",
            batch_size=case.batch_size, train_freq=max(case.block_steps // case.num_envs, 1),
            gradient_steps=case.block_steps, learning_starts=WARMUP, buffer_size=BUFFER,
            learning_rate=LEARNING_RATE, target_update_interval=SYNC,
            policy_kwargs={"net_arch": case.hidden},
        )  # fmt: skip
        # The library's own makes a folder in the system's temporary one for each call of `learn`.
        self._model.set_logger(logger.Logger(folder=None, output_formats=[]))
        self.train(before)

    def train(self, steps: int) -> None:
        self._model.learn(steps, reset_num_timesteps=False)

    @property
    def updates(self) -> int:
        return self._model._n_updates


@pytest.mark.benchmark(group="CartPole training, steps per second")
@pytest.mark.parametrize("name", CASES)
def test_training_speed_against_stable_baselines3(benchmark, name, capsys):
    steps, before = (STEPS, 2_048) if benchmark.enabled else (128, 2 * WARMUP)
    with as_in_runs():
        ours, theirs = Ours(CASES[name], before), StableBaselines3(CASES[name], before)
        sides = {
            "ours": lambda: ours.train(steps),
            "Stable-Baselines3": lambda: theirs.train(steps),
        }
        told = medians(benchmark, sides, steps, rounds=ROUNDS)
    # Equal work: they differ by when the first update is due, and by no more.
    assert abs(ours.updates - theirs.updates) <= 2 * CASES[name].block_steps
    with capsys.disabled():
        print(f"\nCartPole, {name}: {shown(told)}")
