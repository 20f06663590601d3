"""Timing things against each other: in turn, in one process, so that noise falls on all alike."""

from __future__ import annotations

import random  # noqa: TID251  # its state is kept and given back
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def shown(told: Mapping[str, float]) -> str:
    """Figures in a line."""
    return ", ".join(f"{name} {value:,.4g}" for name, value in told.items())


@contextmanager
def as_in_runs() -> Iterator[None]:
    """One thread and no denormal numbers, as `prepare_device` has it; global generators restored.

    Stable-Baselines3 seeds and draws from all of them.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002  # kept, not drawn from
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002  # as it was


def medians(
    benchmark: Any,
    sides: Mapping[str, Callable[[], object]],
    per_call: int,
    rounds: int,
    *,
    ratios: bool = True,
) -> dict[str, float]:
    """Times every side in every round, one after the other, in turns.

    Args:
        benchmark: of pytest-benchmark; without `--benchmark-enable` there is one round.
        sides: what to call, by name; the first is ours.
        per_call: of what is counted, how many a call makes.
        rounds: how often.
        ratios: whether the first is compared with the others.

    Returns:
        How many of it a second each side makes, the median over rounds; and by "<side> ratio" how
        many times faster the first is, the median over the ratios of single rounds. Both are noted
        in the benchmark.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}

    def one_round() -> None:
        for name, call in sides.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)

    benchmark.pedantic(one_round, rounds=rounds if benchmark.enabled else 1)
    first = next(iter(sides))
    told = {name: per_call / statistics.median(spent) for name, spent in seconds.items()}
    for name in [name for name in sides if ratios and name != first]:
        shares = [a / b for a, b in zip(seconds[name], seconds[first], strict=True)]
        told[f"{name} ratio"] = statistics.median(shares)
    benchmark.extra_info |= told
    return told
