"""What the gate sees: how often it calls FAIL or WATCH, given how much a candidate lost.

The simulation runs the rule of `decide` on the areas of many imagined references and
candidates at once. All arrangements of a permutation test are one matrix, so the sums of many
samples are one product; and a drop of d lowers a sum by d for each candidate in it, so one product
serves all drops.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from regression.gate.curves import Vector
from regression.gate.decide import MARGIN_SD, STAGE_ONE_ALPHA, STAGE_TWO_ALPHA, STAGE_TWO_SEEDS
from regression.gate.permutation import subsets
from reports.schema import OperatingCurve, OperatingPoint

Shape = Literal["normal", "reference"]
Matrix = npt.NDArray[np.float64]
# Areas of imagined seeds, any shape, mean 0 and standard deviation 1.
Draw = Callable[[np.random.Generator, tuple[int, int]], Matrix]

DROPS_SD: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
DRAWS: Final = 4_000  # leaves at most 0.8 points of standard error
# The gate takes more arrangements. Here each so many draws have others, and their error averages.
_ARRANGEMENTS: Final = 999
_ROWS: Final = 200


def operating_curves(reference: Vector, num_candidate: int) -> list[OperatingCurve]:
    """The gate's operating curve at these sizes, for normal areas and for the reference's own.

    Args:
        reference: [n] float64, areas of the stored seeds, not all equal.
        num_candidate: fresh seeds of stage one.
    """
    shapes: dict[Shape, Draw] = {"normal": normal, "reference": resampled(reference)}
    curves = []
    for key, (name, draw) in enumerate(shapes.items()):
        generator = np.random.Generator(np.random.Philox(key=key))
        one, two = looks(
            generator, draw, num_reference=len(reference), num_candidate=num_candidate, draws=DRAWS
        )
        curves.append(
            _curve(name, one, two, num_reference=len(reference), num_candidate=num_candidate)
        )
    return curves


def _curve(
    name: Shape, one: Matrix, two: Matrix, *, num_reference: int, num_candidate: int
) -> OperatingCurve:
    tripped, failed = one <= STAGE_ONE_ALPHA, (one <= STAGE_ONE_ALPHA) & (two <= STAGE_TWO_ALPHA)
    return OperatingCurve(
        shape=name,
        reference_n=num_reference,
        stage_one_n=num_candidate,
        stage_two_n=STAGE_TWO_SEEDS,
        draws=len(one),
        healthy_seeds=num_candidate + STAGE_TWO_SEEDS * float(tripped[:, 0].mean()),
        points=[
            OperatingPoint(
                drop_sd=drop,
                fail=float(failed[:, index].mean()),
                watch=float((tripped & ~failed)[:, index].mean()),
            )
            for index, drop in enumerate(DROPS_SD)
        ],
    )


def looks(
    generator: np.random.Generator,
    draw: Draw,
    *,
    num_reference: int,
    num_candidate: int,
    draws: int,
) -> tuple[Matrix, Matrix]:
    """P-values of both stages, for imagined references and candidates.

    Args:
        generator: of the draws.
        draw: the shape of the distribution of areas.
        num_reference: seeds of each reference.
        num_candidate: fresh seeds of stage one.
        draws: how many references and candidates.

    Returns:
        Of stage one and of stage two, each [draws, drops] float64.
    """
    sizes = (num_reference, num_candidate, STAGE_TWO_SEEDS)
    reference, first, second = (draw(generator, (draws, size)) for size in sizes)
    return p_values(generator, reference, first), p_values(generator, reference, second)


def p_values(generator: np.random.Generator, reference: Matrix, candidate: Matrix) -> Matrix:
    """Of the gate's test of the area, each candidate lowered by each of `DROPS_SD`.

    Args:
        generator: of the arrangements, where they are too many to take all.
        reference: [draws, n] float64, in standard deviations.
        candidate: [draws, k] float64, in the same unit.

    Returns:
        [draws, drops] float64.
    """
    margin = MARGIN_SD * reference.std(axis=1, ddof=1, keepdims=True)
    pooled = np.hstack([reference, candidate + margin])
    size, k = pooled.shape[1], candidate.shape[1]
    found = np.empty((len(pooled), len(DROPS_SD)))
    for start in range(0, len(pooled), _ROWS):
        part = pooled[start : start + _ROWS]
        chosen = subsets(generator, size=size, chosen=k, most=_ARRANGEMENTS, count=_ARRANGEMENTS)
        one = 0 if len(chosen) == comb(size, k) else 1  # the observed one counts among random ones
        members = np.zeros((size, len(chosen)))
        members[chosen.T, np.arange(len(chosen))] = 1.0
        spared = k - members[-k:].sum(axis=0)  # candidates that an arrangement leaves out
        excess = part @ members - part[:, -k:].sum(axis=1, keepdims=True)
        excess -= 1e-12 * np.abs(part).sum(axis=1, keepdims=True) + 1e-12
        for index, drop in enumerate(DROPS_SD):
            extreme = (excess <= -drop * spared).sum(axis=1)
            found[start : start + _ROWS, index] = (extreme + one) / (len(chosen) + one)
    return found


def normal(generator: np.random.Generator, size: tuple[int, int]) -> Matrix:
    """Areas that differ by many small causes."""
    return generator.standard_normal(size)


def resampled(values: Vector) -> Draw:
    """Areas as they are stored, drawn with replacement: [n] float64, not all equal."""
    standard = (values - values.mean()) / values.std()
    return lambda generator, size: generator.choice(standard, size)
