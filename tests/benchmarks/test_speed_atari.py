"""Training Pong against Stable-Baselines3, and against what the update alone allows.

Both sides play the same emulators with the same preprocessing, and learn with the same network,
batch, optimizer, precision and number of updates per step. The library is given its environments
ready-made, in one vector: its own wrappers are slower.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from dqn_core.acting import Actor, FrameStack, VectorTransition
from dqn_core.device import available_cores
from dqn_core.loop import Trainer
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe
from dqn_core.streams import Stream
from tests.benchmarks.side_by_side import as_in_runs, medians, shown

BATCH, PERIOD, SYNC, BUFFER, LEARNING_RATE = 32, 4, 10_000, 20_000, 1e-4
WARMUP, SHORT_WARMUP = 512, 64  # where it is timed, and where it is only run
BLOCK_STEPS = {"cpu": 64, "cuda": 256}


def our_recipe(num_envs: int, device: str, warmup: int) -> Recipe:
    """Pong, one update of 32 per 4 steps, the network of 2015, float32."""
    values = load_recipe("pong").model_dump()
    total = 640_000
    values["replay"] |= {"capacity_rows": BUFFER, "warmup_steps": warmup, "batch_size": BATCH}
    values["learning_rate"] |= {
        "schedule": "constant", "initial": LEARNING_RATE, "final": LEARNING_RATE,
    }  # fmt: skip
    values["exploration"] |= {"initial": 0.1, "final": 0.1}
    values["loop"] |= {
        "num_envs": num_envs, "train_period_steps": PERIOD, "block_steps": BLOCK_STEPS[device],
        "sync_period_updates": SYNC, "total_steps": total, "segment_steps": total,
        "window_steps": total,
    }  # fmt: skip
    values["evaluation"] |= {"period_steps": total, "rolling_episodes": 1}
    return Recipe.model_validate(values)


class Ours:
    """The bundled core, acting and learning at the same time."""

    def __init__(self, num_envs: int, device: str, warmup: int) -> None:
        self._block_steps = BLOCK_STEPS[device]
        played = self._played = threading.Semaphore(0)

        class Telling(Actor):
            def play(self, *args: Any, **options: Any) -> list[VectorTransition]:
                ticks = super().play(*args, **options)
                played.release()
                return ticks

        recipe = our_recipe(num_envs, device, warmup)
        self.trainer = Trainer(recipe, 0, torch.device(device), actor=Telling)
        self._blocks = self.trainer.blocks()
        self.train(2 * warmup)

    def train(self, steps: int) -> None:
        for _ in range(steps // self._block_steps):
            next(self._blocks)
            self._played.acquire()
        # The block that was begun ahead ends here, not in the time of another side.
        self._played.acquire()
        self._played.release()

    @property
    def updates(self) -> int:
        return self.trainer.agent.updates


def stacked_vector(ours: Trainer) -> object:
    """The same emulators as a vector of the library's."""
    base = pytest.importorskip("stable_baselines3.common.vec_env")
    num_envs = ours.recipe.loop.num_envs
    envs = ours.make_envs(ours.recipe, num_envs, Stream(0, "env"))

    class Vector(base.VecEnv):
        def __init__(self) -> None:
            frames = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
            super().__init__(num_envs, frames, gymnasium.spaces.Discrete(envs.num_actions))
            self._stack = FrameStack(envs, 4)

        def reset(self) -> np.ndarray:
            self._stack.start(np.arange(num_envs), envs.reset())
            return self._stack.obs.copy()

        def step_async(self, actions: np.ndarray) -> None:
            self._actions = actions

        def step_wait(self) -> tuple:
            tick = envs.step(self._actions)
            ended = tick.terminated | tick.truncated
            self._stack.push(tick.next_obs)
            infos = [{} for _ in range(num_envs)]
            for index in np.flatnonzero(ended):
                infos[index] = {"terminal_observation": self._stack.obs[index].copy()}
            if ended.any():
                self._stack.start(np.flatnonzero(ended), envs.begin(ended)[ended])
            return self._stack.obs.copy(), tick.reward.astype(np.float32), ended, infos

        def close(self) -> None:
            envs.close()

        def get_attr(self, *_: object) -> list:
            return [None] * num_envs

        def set_attr(self, *_: object) -> None: ...

        def env_method(self, *_: object, **__: object) -> list:
            return [None] * num_envs

        def env_is_wrapped(self, *_: object) -> list:
            return [False] * num_envs

    return Vector()


class StableBaselines3:
    """The library's DQN with the same network, batch, memory, rate and updates per step."""

    def __init__(self, ours: Trainer) -> None:
        num_envs, device = ours.recipe.loop.num_envs, ours.agent.device.type
        warmup = ours.recipe.replay.warmup_steps
        stable_baselines3 = pytest.importorskip("stable_baselines3")
        logger = pytest.importorskip("stable_baselines3.common.logger")
        self._model = stable_baselines3.DQN(
            "CnnPolicy", stacked_vector(ours), seed=0, device=device, batch_size=BATCH,
            train_freq=max(PERIOD // num_envs, 1), gradient_steps=max(num_envs // PERIOD, 1),
            learning_starts=warmup, buffer_size=BUFFER, learning_rate=LEARNING_RATE,
            target_update_interval=SYNC * PERIOD, exploration_initial_eps=0.1,
            exploration_final_eps=0.1,
        )  # fmt: skip
        self._model.set_logger(logger.Logger(folder=None, output_formats=[]))
        self.train(2 * warmup)

    def train(self, steps: int) -> None:
        torch.set_num_threads(available_cores())  # as it is without being told; ours has one
        self._model.learn(steps, reset_num_timesteps=False)
        torch.set_num_threads(1)

    @property
    def updates(self) -> int:
        return self._model._n_updates


def update_bound(agent: Ours, updates: int) -> None:
    """Updates back to back: what is left of a block if acting cost nothing."""
    trainer = agent.trainer
    per_block = trainer.recipe.updates_per_block
    stream = Stream(1, "replay")
    for _ in range(updates // per_block):
        batches = trainer.replay.sample(stream, per_block * BATCH)
        trainer.learning.learn(batches, per_block)
    if trainer.agent.device.type == "cuda":
        torch.cuda.synchronize()


def env_only(ours: Trainer, steps: int) -> float:
    """Emulated agent steps per second, nothing else done."""
    num_envs = ours.recipe.loop.num_envs
    envs = ours.make_envs(ours.recipe, num_envs, Stream(0, "env"))
    envs.reset()
    action = np.zeros(num_envs, np.int64)
    started = time.perf_counter()
    for _ in range(steps // num_envs):
        tick = envs.step(action)
        if (tick.terminated | tick.truncated).any():
            envs.begin(tick.terminated | tick.truncated)
    envs.close()
    return steps / (time.perf_counter() - started)


@pytest.mark.atari
@pytest.mark.benchmark(group="Pong training, steps per second")
@pytest.mark.parametrize(
    ("device", "num_envs"),
    [
        pytest.param("cpu", 1, id="1 environment, CPU"),
        pytest.param("cpu", 8, id="8 environments, CPU"),
        pytest.param("cuda", 1, id="1 environment, GPU", marks=pytest.mark.gpu),
        pytest.param("cuda", 64, id="64 environments, GPU", marks=pytest.mark.gpu),
    ],
)
def test_atari_training_speed_against_stable_baselines3(benchmark, device, num_envs, capsys):
    full = 1_024 if device == "cpu" else 16_384
    with as_in_runs():
        ours = Ours(num_envs, device, WARMUP if benchmark.enabled else SHORT_WARMUP)
        theirs = StableBaselines3(ours.trainer)
        steps, rounds = (full, 7) if benchmark.enabled else (64, 1)
        told = medians(
            benchmark,
            {
                "ours": lambda: ours.train(steps),
                "Stable-Baselines3": lambda: theirs.train(steps),
                "updates alone": lambda: update_bound(ours, steps // PERIOD),
            },
            steps,
            rounds,
        )
        emulated = env_only(ours.trainer, 4 * steps)
    # Equal work: the library learns a block earlier, and the updates alone count for ours too.
    alone = rounds * (steps // PERIOD)
    assert abs(ours.updates - alone - theirs.updates) <= 2 * BLOCK_STEPS[device] // PERIOD
    limit = min(emulated, told["updates alone"])
    told |= {"environments alone": emulated, "share of the limit": told["ours"] / limit}
    benchmark.extra_info |= told
    with capsys.disabled():
        print(f"\nPong, {num_envs} environments, {device}: {shown(told)}")


@pytest.mark.benchmark(group="cost of determinism, Pong")
@pytest.mark.atari
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_cost_of_determinism(benchmark, device, capsys):
    steps = (1_024 if device == "cpu" else 16_384) if benchmark.enabled else 64
    before = torch.are_deterministic_algorithms_enabled()
    agents: list[Ours] = []

    def with_mode(*, deterministic: bool) -> Callable[[], None]:
        torch.use_deterministic_algorithms(deterministic)
        warmup = WARMUP if benchmark.enabled else SHORT_WARMUP
        ours = Ours(8, device, warmup)  # which records what it records on a GPU
        agents.append(ours)

        def train() -> None:
            torch.use_deterministic_algorithms(deterministic)
            ours.train(steps)

        return train

    with as_in_runs():
        try:
            sides = {
                "deterministic": with_mode(deterministic=True),
                "not": with_mode(deterministic=False),
            }
            told = medians(benchmark, sides, steps, rounds=7)
        finally:
            torch.use_deterministic_algorithms(before)
    assert len({ours.updates for ours in agents}) == 1  # equal work
    with capsys.disabled():
        print(f"\nPong on {device}: {shown(told)}")
