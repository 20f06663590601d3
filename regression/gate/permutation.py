"""Permutation tests and the correction for several of them, as pure functions of their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

# Up to so many arrangements all of them are enumerated, and the p-value is exact.
ENUMERATE_UP_TO: Final = 200_000
PERMUTATIONS: Final = 9_999


def permutation_p(better: Vector, worse: Vector) -> float:
    """One-sided p-value that the mean of `worse` is not below that of `better`.

    Args:
        better: [n] float64, finite.
        worse: [k] float64, finite.

    Returns:
        The share of all arrangements of the pooled seeds into n and k whose difference of means is
        at least the one observed. Where they are too many to enumerate, of random ones; the
        observed arrangement is then counted as one of them. The random ones depend on n and k
        alone: the p-value does not change with the order of the seeds, nor with the zero and the
        unit of the returns, and it never rises when `worse` falls.

    References:
        Colas et al. 2019, "A Hitchhiker's Guide to Statistical Comparisons of Reinforcement
        Learning Algorithms"; Phipson & Smyth 2010, "Permutation P-values Should Never Be Zero".
    """
    pooled = np.concatenate([np.sort(better), np.sort(worse)])
    chosen = _arrangements(len(better), len(worse))
    # The difference of means falls as the sum of the seeds called candidates rises.
    sums, observed = pooled[chosen].sum(axis=1), pooled[len(better) :].sum()
    # Sums of the same numbers in another order differ by rounding.
    extreme = int((sums <= observed + 1e-12 * np.abs(pooled).sum()).sum())
    exact = len(sums) == comb(len(pooled), len(worse))
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)


@lru_cache(maxsize=16)
def _arrangements(num_better: int, num_worse: int) -> npt.NDArray[np.int64]:
    """Those of the test, [ways, num_worse] int64; the same whenever asked again."""
    generator = np.random.Generator(np.random.Philox(key=[num_better, num_worse]))
    return subsets(
        generator,
        size=num_better + num_worse,
        chosen=num_worse,
        most=ENUMERATE_UP_TO,
        count=PERMUTATIONS,
    )


def subsets(
    generator: np.random.Generator, *, size: int, chosen: int, most: int, count: int
) -> npt.NDArray[np.int64]:
    """Ways to choose some of the pooled seeds.

    Args:
        generator: of the random ones.
        size: of the pool.
        chosen: how many are chosen each time.
        most: up to so many ways, all of them are given.
        count: how many random ones are given otherwise.

    Returns:
        [ways, chosen] int64, indices into the pool.
    """
    if comb(size, chosen) <= most:
        return np.array(list(combinations(range(size), chosen)), np.int64)
    return generator.random((count, size)).argsort(axis=1)[:, :chosen]


def smallest_p(num_better: int, num_worse: int) -> float:
    """The smallest p-value that these numbers of seeds can reach, however bad the worse ones."""
    ways = comb(num_better + num_worse, num_worse)
    return 1 / ways if ways <= ENUMERATE_UP_TO else 1 / (PERMUTATIONS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values to compare with one alpha, so that any false alarm among them has that chance.

    Args:
        p_values: of tests on whatever number of cells or criteria, dependent or not.

    Returns:
        The adjusted ones, in the same order.

    References:
        Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = least
    return adjusted
