"""Properties of random draws: what runs of other seeds must not share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

from probes.outcome import Outcome


def indices_differ(one: Sequence[Hashable], other: Sequence[Hashable]) -> Outcome:
    """Two runs of different seeds draw different rows from memories that hold the same.

    Args:
        one: [N], what was drawn in one run, in order; enough that chance does not repeat it.
        other: [N], the same of the other run.
    """
    same = sum(a == b for a, b in zip(one, other, strict=True))
    return Outcome(
        holds=same < len(one),
        expected=f"{len(one)} draws that are not the same in two runs of different seeds",
        actual=f"{same} are the same",
        compared=len(one),
    )


def seeds_are_disjoint(seeds: Mapping[int, Sequence[int | None]]) -> Outcome:
    """No environment of a run is given a seed of one of a neighbouring run.

    Args:
        seeds: given to environments, by the seed of their run; None where none was given.
    """
    given = {run: {seed for seed in of_run if seed is not None} for run, of_run in seeds.items()}
    shared = {
        (one, other): sorted(given[one] & given[other]) for one, other in combinations(given, 2)
    }
    common = {runs: both for runs, both in shared.items() if both}
    words = [
        f"runs {a} and {b} share {', '.join(map(str, both[:3]))}" for (a, b), both in common.items()
    ]
    return Outcome(
        holds=not common,
        expected="environments of neighbouring runs with no seed in common",
        actual="; ".join(words) or "none in common",
        compared=sum(map(len, given.values())),
    )
