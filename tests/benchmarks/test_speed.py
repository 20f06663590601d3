"""Whole training steps per second against Stable-Baselines3, alternating in one run."""

from __future__ import annotations

import random  # noqa: TID251  # its state is kept and given back
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from dqn_core.loop import Trainer
from dqn_core.recipe import Recipe
from dqn_core.recipe_file import load_recipe

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


@contextmanager
def global_generators_restored() -> Iterator[None]:
    """Stable-Baselines3 seeds and draws from all of them."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002  # kept, not drawn from
    with torch.random.fork_rng():
        yield
    random.setstate(ours)
    np.random.set_state(numpys)  # noqa: NPY002  # as it was


@pytest.mark.benchmark(group="training steps per second")
@pytest.mark.parametrize("block_steps", [1, 64])
def test_training_speed_against_stable_baselines3(benchmark, block_steps, capsys):
    # As `prepare_device` has it, for both sides: one thread, no denormal numbers.
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    with global_generators_restored():
        compare(benchmark, block_steps, capsys)


def compare(benchmark, block_steps, capsys) -> None:
    ours, theirs = Ours(block_steps), StableBaselines3(block_steps)
    steps = STEPS if benchmark.enabled else 128
    ratios, rates = [], []

    def one_round() -> None:
        seconds = []
        for agent in (ours, theirs):
            started = time.perf_counter()
            agent.train(steps)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[1] / seconds[0])
        rates.append((steps / seconds[0], steps / seconds[1]))

    benchmark.pedantic(one_round, rounds=ROUNDS if benchmark.enabled else 1)
    mine, other = (statistics.median(rate[side] for rate in rates) for side in (0, 1))
    ratio = statistics.median(ratios)
    # Equal work: they differ by when the first update is due, and by no more.
    assert abs(ours.updates - theirs.updates) <= 2 * block_steps
    benchmark.extra_info |= {"ours": mine, "stable_baselines3": other, "ratio": ratio}
    with capsys.disabled():
        print(
            f"\nblocks of {block_steps}: ours {mine:,.0f} steps/s, Stable-Baselines3 "
            f"{other:,.0f} steps/s, ratio {ratio:.2f} (median of {len(ratios)})"
        )
