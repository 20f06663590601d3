"""What the trace of a run costs: blocks with digests against blocks without, alternating."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
import torch

from dqn_core.loop import Trainer
from dqn_core.recipes.file import load_recipe
from dqn_core.streams import Stream
from dqn_core.trace import TRACE_FILE, TraceWriter


class UntracedStream(Stream):
    """A stream as it is without a digest of its draws."""

    def uniform(self, *shape: int) -> np.ndarray:
        return self._generator.random(shape)


@pytest.mark.benchmark(group="cost of the trace")
@pytest.mark.parametrize(
    ("name", "warmup_blocks", "blocks"),
    [
        pytest.param("cartpole", 20, 4, id="cartpole"),
        pytest.param("pong-short", 260, 8, id="pong-short", marks=pytest.mark.atari),
    ],
)
def test_cost_of_the_trace(benchmark, name, warmup_blocks, blocks, tmp_path, monkeypatch, capsys):
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rounds = 60 if benchmark.enabled else 1
    recipe, device = load_recipe(name), torch.device("cpu")
    sides = {side: Trainer(recipe, 0, device) for side in ("traced", "untraced")}
    sides["untraced"].traced = False
    writer = TraceWriter(sides["traced"], tmp_path / TRACE_FILE)
    runs = {side: trainer.blocks() for side, trainer in sides.items()}
    seconds: dict[str, list[float]] = {side: [] for side in sides}

    def some_blocks(side: str, count: int) -> float:
        with monkeypatch.context() as patch:
            if side == "untraced":
                patch.setattr(Stream, "uniform", UntracedStream.uniform)
            started = time.process_time()
            records = [next(runs[side]) for _ in range(count)]
            if side == "traced":
                writer.append(records)
            return time.process_time() - started

    for side in sides:
        some_blocks(side, warmup_blocks if benchmark.enabled else 1)

    def one_round() -> None:
        order = sorted(sides, reverse=len(seconds["traced"]) % 2 == 0)
        for side in order:
            seconds[side].append(some_blocks(side, blocks))

    benchmark.pedantic(one_round, rounds=rounds)
    digests = {trainer.agent.weights_digest() for trainer in sides.values()}
    assert len(digests) == 1
    ratios = [t / u for t, u in zip(seconds["traced"], seconds["untraced"], strict=True)]
    ratio = statistics.median(ratios)
    benchmark.extra_info |= {"ratio": ratio}
    with capsys.disabled():
        best = min(seconds["traced"]) / min(seconds["untraced"])
        print(f"\n{name}: traced / untraced {ratio:.3f} (median of {rounds}), best {best:.3f}")
