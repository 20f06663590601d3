"""How speed grows with environments, with the size of the replay memory, and with runs at once."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dqn_core.device import available_cores, prepare_device
from dqn_core.envs.atari import AtariEnvs
from dqn_core.loop import Trainer
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe
from dqn_core.replay import Replay
from dqn_core.streams import Stream
from tests.benchmarks.side_by_side import as_in_runs, medians, shown

SIDE, STACK, BATCH = 84, 4, 32


def emulated(num_envs: int, steps: int, threads: int) -> Callable[[], int]:
    """What emulates so many agent steps of Pong, and tells how many they were."""
    envs = AtariEnvs(load_recipe("pong").env, num_envs, Stream(0, "env"), threads=threads)
    envs.reset()
    action = np.zeros(num_envs, np.int64)

    def emulate() -> int:
        made = 0
        for _ in range(steps // num_envs):
            tick = envs.step(action)
            made += len(tick.reward)
            ended = tick.terminated | tick.truncated
            if ended.any():
                envs.begin(ended)
        return made

    return emulate


def cartpole(num_envs: int) -> Recipe:
    """CartPole as in its recipe, with so many environments and blocks of 64 steps."""
    values = load_recipe("cartpole").model_dump()
    total = 640_000
    values["loop"] |= {
        "num_envs": num_envs, "block_steps": 64, "total_steps": total, "segment_steps": total,
        "window_steps": total,
    }  # fmt: skip
    values["evaluation"] |= {"period_steps": total, "episodes": 1, "num_envs": 1}
    values["evaluation"] |= {"rolling_episodes": 1}
    return Recipe.model_validate(values)


@pytest.mark.atari
@pytest.mark.benchmark(group="emulated steps per second, by environments (Pong)")
@pytest.mark.parametrize("threads", [1, available_cores()], ids=["one thread", "every core"])
def test_emulation_by_environments(benchmark, threads, capsys):
    steps = 2_048 if benchmark.enabled else 64
    counts = (1, 2, 4, 8, 16, 32, 64) if benchmark.enabled else (1, 4)  # each takes a while to make
    sides = {f"{n} environments": emulated(n, steps, threads) for n in counts}
    assert {emulate() for emulate in sides.values()} == {steps}  # equal work, and warmed up
    told = medians(benchmark, sides, steps, rounds=5, ratios=False)
    with capsys.disabled():
        print(f"\nemulated steps a second, {threads} threads: {shown(told)}")


@pytest.mark.benchmark(group="training steps per second, by environments (CartPole)")
def test_training_by_environments(benchmark, capsys):
    steps = 2_048 if benchmark.enabled else 64
    device = torch.device("cpu")
    with as_in_runs():
        trainers = {n: Trainer(cartpole(n), 0, device) for n in (1, 4, 16, 64)}
        runs = {n: trainer.blocks() for n, trainer in trainers.items()}
        for run in runs.values():  # warmed up
            while next(run).updates == 0:
                pass
        sides = {
            f"{n} environments": (lambda run=run: [next(run) for _ in range(steps // 64)])
            for n, run in runs.items()
        }
        told = medians(benchmark, sides, steps, rounds=7, ratios=False)
    assert len({trainer.agent.updates for trainer in trainers.values()}) == 1  # equal work
    with capsys.disabled():
        print(f"\ntrained steps a second: {shown(told)}")


def filled(rows: int) -> Replay:
    """A memory full of frames, written to the last page."""
    memory = Replay(rows, 1, (SIDE, SIDE), np.uint8, STACK, torch.device("cpu"))
    frame = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(1, SIDE, SIDE)
    memory.start(np.zeros(1, np.int64), frame)
    at_once = 5_000
    ones = np.ones((at_once, 1))
    never = np.zeros((at_once, 1), np.bool_)
    frames = np.broadcast_to(frame, (at_once, 1, SIDE, SIDE))
    for _ in range(rows // at_once + 1):
        memory.append(ones.astype(np.int64), ones, never, never, frames)
    return memory


@pytest.mark.benchmark(group="replay samples of 32 per second, by rows of 84 x 84")
def test_sampling_by_size(benchmark, capsys):
    sizes = (10_000, 100_000, 1_000_000) if benchmark.enabled else (10_000,)
    calls = 500 if benchmark.enabled else 5
    stream = Stream(0, "replay")
    memories = {rows: filled(rows) for rows in sizes}
    assert all(rows - STACK <= len(memory) < rows for rows, memory in memories.items())
    sides = {
        f"{rows:,} rows": (lambda m=memory: [m.sample(stream, BATCH) for _ in range(calls)])
        for rows, memory in memories.items()
    }
    told = medians(benchmark, sides, calls, rounds=9, ratios=False)
    with capsys.disabled():
        print(f"\nsamples a second: {shown(told)}")


def train_when_all_are_ready(seed: int, steps: int, ready: Any, speeds: Any) -> None:
    """In a process of its own: trains, and tells its steps per second."""
    run = Trainer(cartpole(1), seed, prepare_device("cpu")).blocks()
    while next(run).updates == 0:
        pass
    ready.wait()
    started = time.perf_counter()
    for _ in range(steps // 64):
        next(run)
    speeds.put(steps / (time.perf_counter() - started))


@pytest.mark.benchmark(group="training steps per second of all runs, by runs at once (CartPole)")
def test_training_by_runs_at_once(benchmark, capsys):
    cores = available_cores()
    counts = sorted({1, 2, cores, 2 * cores}) if benchmark.enabled else [1]
    steps = 8_192 if benchmark.enabled else 64
    spawn = multiprocessing.get_context("spawn")

    def together(count: int) -> float:
        ready, speeds = spawn.Barrier(count), spawn.SimpleQueue()
        jobs = [
            spawn.Process(target=train_when_all_are_ready, args=(seed, steps, ready, speeds))
            for seed in range(count)
        ]
        for job in jobs:
            job.start()
        total = sum(speeds.get() for _ in jobs)
        for job in jobs:
            job.join()
        assert all(job.exitcode == 0 for job in jobs)
        return total

    told = benchmark.pedantic(lambda: {f"{n} at once": together(n) for n in counts}, rounds=1)
    benchmark.extra_info |= told
    with capsys.disabled():
        print(f"\ntrained steps a second: {shown(told)}")
