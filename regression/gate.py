"""The decision rule: candidate seeds against reference seeds, as a pure function of both.

The primary metric is the area under the learning curve, which is far less noisy than the return at
the end. The test permutes which seeds are called candidates. Units are standard deviations of the
reference, never percent.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

from reports.schema import Criterion, VerdictName

Vector = npt.NDArray[np.float64]

ALPHA: Final = 0.01
# A candidate that is worse by less than this, in reference standard deviations, is not worse: a
# stored reference that happened to be lucky would otherwise raise false alarms for ever.
MARGIN_SD: Final = 0.25
# Below so many arrangements all of them are enumerated, and the p-value is exact.
ENUMERATE_UP_TO: Final = 200_000
PERMUTATIONS: Final = 9_999

AREA: Final = "area under the training curve"


def permutation_p(better: Vector, worse: Vector) -> float:
    """One-sided p-value that the mean of `worse` is not below that of `better`.

    Args:
        better: [n] float64.
        worse: [k] float64.

    Returns:
        The share of all arrangements of the pooled seeds into n and k whose difference of means is
        at least the one observed. Where they are too many to enumerate, of random ones, drawn from
        a generator keyed by the data, so that equal data give an equal verdict; the observed
        arrangement is then counted as one of them.

    References:
        Colas et al. 2019, "A Hitchhiker's Guide to Statistical Comparisons of Reinforcement
        Learning Algorithms"; Phipson & Smyth 2010, "Permutation P-values Should Never Be Zero".
    """
    pooled = np.concatenate([better, worse])
    exact = comb(len(pooled), len(worse)) <= ENUMERATE_UP_TO
    if exact:
        chosen = _all_subsets(len(pooled), len(worse))
    else:
        key = hashlib.blake2b(better.tobytes() + b"/" + worse.tobytes(), digest_size=16).digest()
        generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
        order = generator.random((PERMUTATIONS, len(pooled))).argsort(axis=1)
        chosen = order[:, : len(worse)]
    # The difference of means falls as the sum of the seeds called candidates rises.
    sums, observed = pooled[chosen].sum(axis=1), worse.sum()
    # Sums of the same numbers in another order differ by rounding.
    slack = 1e-12 * np.abs(pooled).sum()
    extreme = int((sums <= observed + slack).sum())
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)


@lru_cache(maxsize=8)
def _all_subsets(size: int, chosen: int) -> npt.NDArray[np.int64]:
    """All ways to choose some of `size` seeds, [ways, chosen] int64."""
    return np.array(list(combinations(range(size), chosen)), np.int64)


def smallest_p(num_reference: int, num_candidate: int) -> float:
    """The smallest p-value that these numbers of seeds can reach, however bad the candidate."""
    arrangements = comb(num_reference + num_candidate, num_candidate)
    return 1 / arrangements if arrangements <= ENUMERATE_UP_TO else 1 / (PERMUTATIONS + 1)


def compare(
    name: str, unit: str, reference: Vector, candidate: Vector, *, decides: bool
) -> Criterion:
    """Is the candidate worse than the reference by more than the margin?

    Args:
        name: of the metric.
        unit: of the metric.
        reference: [n] float64, at least two.
        candidate: [k] float64, at least one.
        decides: whether the verdict follows from it.
    """
    spread = float(np.std(reference, ddof=1))
    p_value = permutation_p(reference, candidate + MARGIN_SD * spread)
    return Criterion(
        name=name,
        unit=unit,
        reference_n=len(reference),
        reference_mean=float(np.mean(reference)),
        reference_sd=spread,
        candidate_n=len(candidate),
        candidate_mean=float(np.mean(candidate)),
        p_value=p_value,
        alpha=ALPHA,
        smallest_p=smallest_p(len(reference), len(candidate)),
        margin_sd=MARGIN_SD,
        tripped=p_value <= ALPHA,
        decides=decides,
    )


def decide(area: Criterion, reference: Vector, candidate: Vector) -> tuple[VerdictName, str]:
    """The verdict and one sentence that gives the reason.

    Args:
        area: from `compare`, the criterion that decides.
        reference: [n] float64, the values it compared.
        candidate: [k] float64, likewise.
    """
    if area.smallest_p > area.alpha:
        needed = seeds_needed(len(reference))
        return VerdictName.INCONCLUSIVE, (
            f"{area.candidate_n} seeds against {area.reference_n} cannot show anything at "
            f"alpha {area.alpha:g}: their smallest p-value is {area.smallest_p:.3f}; "
            + (f"{needed} seeds could." if needed else "the reference needs more seeds.")
        )
    moved = (area.candidate_mean - area.reference_mean) / max(area.reference_sd, 1e-12)
    seen = (
        f"The {area.name} is {abs(moved):.2f} reference standard deviations "
        f"{'above' if moved >= 0 else 'below'} the reference"
    )
    if area.tripped:
        return VerdictName.FAIL, f"{seen} (p = {area.p_value:.2g}, at most {area.alpha:g})."
    p_better = permutation_p(candidate - MARGIN_SD * area.reference_sd, reference)
    if p_better <= area.alpha:
        return VerdictName.BETTER, (
            f"{seen}, which is as suspicious as a drop (p = {p_better:.2g}): "
            "explain it, then bless the new curves."
        )
    return VerdictName.PASS, f"{seen}, which chance explains (p = {area.p_value:.2g})."


def seeds_needed(num_reference: int) -> int:
    """Fewest candidate seeds that can reach alpha against a reference; 0 if 50 cannot."""
    enough = (k for k in range(1, 51) if smallest_p(num_reference, k) <= ALPHA)
    return next(enough, 0)
