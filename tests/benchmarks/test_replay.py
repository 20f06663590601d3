"""The replay memory with stacked frames, against a naive one and Stable-Baselines3's."""

from __future__ import annotations

from collections import deque

import gymnasium
import numpy as np
import pytest
import torch

from dqn_core.replay import Replay
from dqn_core.streams import Stream
from tests.benchmarks.side_by_side import as_in_runs, medians, shown

STACK, SIDE, ROWS, BATCH = 4, 84, 20_000, 32
EPISODE = 250


class Ours:
    """The bundled ring, of single frames."""

    def __init__(self) -> None:
        self.memory = Replay(ROWS, 1, (SIDE, SIDE), np.uint8, STACK, torch.device("cpu"))
        self._stream = Stream(0, "replay")
        self._env = np.zeros(1, np.int64)
        self._steps = 0

    def add(self, stack: np.ndarray, following: np.ndarray, *, ended: bool) -> None:
        if self._steps == 0:
            self.memory.start(self._env, stack[None, -1])
        columns = ([[0]], [[1.0]], [[ended]], [[False]])
        self.memory.append(*map(np.array, columns), following[None, None, -1])
        self._steps = 0 if ended else self._steps + 1

    def sample(self) -> object:
        return self.memory.sample(self._stream, BATCH)

    @property
    def row_bytes(self) -> float:
        arrays = [*vars(self.memory).values()]
        return sum(array.nbytes for array in arrays if hasattr(array, "nbytes")) / ROWS


class Naive:
    """What a tutorial writes: a deque of transitions with whole stacks."""

    def __init__(self) -> None:
        self._memory: deque[tuple[np.ndarray, int, float, np.ndarray, bool]] = deque(maxlen=ROWS)
        self._generator = np.random.Generator(np.random.Philox(0))

    def add(self, stack: np.ndarray, following: np.ndarray, *, ended: bool) -> None:
        self._memory.append((stack.copy(), 0, 1.0, following.copy(), ended))

    def sample(self) -> object:
        chosen = self._generator.integers(len(self._memory), size=BATCH)
        rows = [self._memory[index] for index in chosen]
        return [torch.from_numpy(np.array(column)) for column in zip(*rows, strict=True)]

    @property
    def row_bytes(self) -> float:
        return self._memory[0][0].nbytes + self._memory[0][3].nbytes


class StableBaselines3:
    """The library's buffer, as its DQN makes it."""

    def __init__(self) -> None:
        buffers = pytest.importorskip("stable_baselines3.common.buffers")
        space = gymnasium.spaces.Box(0, 255, (STACK, SIDE, SIDE), np.uint8)
        actions = gymnasium.spaces.Discrete(6)
        self._memory = buffers.ReplayBuffer(ROWS, space, actions, torch.device("cpu"))

    def add(self, stack: np.ndarray, following: np.ndarray, *, ended: bool) -> None:
        action, reward, done = np.zeros((1, 1), np.int64), np.ones(1), np.array([ended])
        self._memory.add(stack[None], following[None], action, reward, done, [{}])

    def sample(self) -> object:
        return self._memory.sample(BATCH)

    @property
    def row_bytes(self) -> float:
        arrays = [*vars(self._memory).values()]
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) / ROWS


def fill(memory: Ours | Naive | StableBaselines3, steps: int) -> None:
    """Steps of episodes of noise; every stack is that of a run."""
    frames = np.random.Generator(np.random.Philox(1)).integers(
        0, 256, (EPISODE + STACK, SIDE, SIDE), np.uint8
    )
    for step in range(steps):
        age = step % EPISODE
        stacks = (frames[age : age + STACK], frames[age + 1 : age + 1 + STACK])
        memory.add(*stacks, ended=age == EPISODE - 1)


@pytest.mark.benchmark(group="replay memory, 84 x 84 x 4")
@pytest.mark.parametrize("work", ["add", "sample"])
def test_replay_memory_against_others(benchmark, work, capsys):
    kinds = {"ours": Ours, "Stable-Baselines3": StableBaselines3, "naive": Naive}
    rows = ROWS if benchmark.enabled else 300
    calls = 1_000 if benchmark.enabled else 10
    with as_in_runs():
        made = {name: kind() for name, kind in kinds.items()}
        for memory in made.values():
            fill(memory, rows)
        repeat = {
            "add": lambda memory: fill(memory, calls),
            "sample": lambda memory: [memory.sample() for _ in range(calls)],
        }[work]
        sides = {name: (lambda memory=memory: repeat(memory)) for name, memory in made.items()}
        told = medians(benchmark, sides, calls, rounds=9)
    sizes = {name: memory.row_bytes for name, memory in made.items()}
    assert 4 * sizes["ours"] <= min(sizes["Stable-Baselines3"], sizes["naive"])
    benchmark.extra_info |= {f"{name} bytes": size for name, size in sizes.items()}
    with capsys.disabled():
        print(f"\nreplay {work}s a second: {shown(told)}; bytes a transition: {shown(sizes)}")
