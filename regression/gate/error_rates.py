"""How often the gate is wrong, measured: false alarms on healthy seeds, sight on planted drops.

Two measurements, neither of which trains anything. One imagines seeds of three shapes and runs the
rule for the area alone, many times. The other takes the stored seeds of a recipe, splits them at
random into a reference and candidates, changes the candidates' curves, and runs the whole gate.
Splits of one set of seeds are not independent, so intervals of the second are a little too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Final

import numpy as np

from regression.gate.curves import Curves, Scores, scores
from regression.gate.decide import STAGE_ONE_ALPHA, STAGE_TWO_ALPHA, STAGE_TWO_SEEDS, decide
from regression.gate.power import DROPS_SD, Draw, Matrix, looks, normal
from regression.gate.value_shift import Means, compare, with_value_shift
from reports.schema import VerdictName

STAGE_ONE_SEEDS: Final = 5
REFERENCES: Final = 30
FEWEST_STORED: Final = 15
SYNTHETIC_DRAWS: Final = 40_000
HEALTHY_SPLITS: Final = 20_000  # fewer cannot show a rate of false alarms below 0.1 %
PLANTED_SPLITS: Final = 400
# What the rule was designed for: shares of FAIL by number of references and drop, the range over
# the three shapes. It was computed with a margin in true standard deviations, which no gate knows.
DESIGNED: Final = {
    (30, 0.0): "0.005-0.023 %",
    (30, 1.0): "31-41 %",
    (30, 1.5): "84-85 %",
    (30, 2.0): "96-99.6 %",
    (30, 3.0): ">= 99.7 %",
    (100, 0.0): "0.005-0.013 %",
    (100, 1.0): "37-41 %",
    (100, 1.5): "90-92 %",
    (100, 2.0): ">= 99.5 %",
    (100, 3.0): ">= 99.9 %",
}


@dataclass(frozen=True)
class Rate:
    """How often the gate called something FAIL.

    Attributes:
        source: of the seeds, and how many went where.
        change: what was done to the candidates.
        fails: how often the verdict was FAIL.
        watches: how often it was WATCH.
        trials: how often the gate was asked.
        mean_seeds: fresh seeds that it asked for, on average.
        designed: what the rule was designed for, or "".
    """

    source: str
    change: str
    _: KW_ONLY
    fails: int
    watches: int
    trials: int
    mean_seeds: float
    designed: str = ""

    @property
    def share(self) -> float:
        """Of FAIL."""
        return self.fails / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share of FAIL lies, with 95 % confidence.

        References:
            Clopper & Pearson 1934, "The Use of Confidence or Fiducial Limits".
        """
        from scipy.stats import binomtest  # noqa: PLC0415  # half a second that few commands need

        exact = binomtest(self.fails, self.trials).proportion_ci(0.95, method="exact")
        return float(exact.low), float(exact.high)


def skewed(generator: np.random.Generator, size: tuple[int, int]) -> Matrix:
    """Negated lognormal areas, sigma 0.75: a long tail of bad seeds."""
    sigma = 0.75
    drawn = -np.exp(sigma * generator.standard_normal(size))
    variance = (np.exp(sigma**2) - 1) * np.exp(sigma**2)
    standard: Matrix = (drawn + np.exp(sigma**2 / 2)) / np.sqrt(variance)
    return standard


def one_in_five_slow(generator: np.random.Generator, size: tuple[int, int]) -> Matrix:
    """Normal areas; one in five is lower by four of their standard deviations."""
    drawn = generator.standard_normal(size) - 4.0 * (generator.random(size) < 0.2)
    standard: Matrix = (drawn + 0.8) / np.sqrt(1 + 16 * 0.2 * 0.8)
    return standard


SHAPES: Final[dict[str, Draw]] = {
    "normal": normal,
    "skewed": skewed,
    "one in five slow": one_in_five_slow,
}


def synthetic_rates(num_reference: int, draws: int) -> Iterator[Rate]:
    """The area's rule on imagined seeds of each shape, lowered by each of `DROPS_SD`.

    Args:
        num_reference: seeds of each reference.
        draws: references and candidates per shape.
    """
    for key, (shape, draw) in enumerate(SHAPES.items()):
        generator = np.random.Generator(np.random.Philox(key=[num_reference, key]))
        one, two = looks(
            generator, draw, num_reference=num_reference, num_candidate=STAGE_ONE_SEEDS, draws=draws
        )
        tripped = one <= STAGE_ONE_ALPHA
        failed = tripped & (two <= STAGE_TWO_ALPHA)
        for index, drop in enumerate(DROPS_SD):
            yield Rate(
                source=f"{shape}, {num_reference}+{STAGE_ONE_SEEDS}+{STAGE_TWO_SEEDS}",
                change=f"{drop:g} SD lower" if drop else "none",
                fails=int(failed[:, index].sum()),
                watches=int((tripped & ~failed)[:, index].sum()),
                trials=draws,
                mean_seeds=STAGE_ONE_SEEDS + STAGE_TWO_SEEDS * float(tripped[:, index].mean()),
                designed=DESIGNED.get((num_reference, drop), ""),
            )


# Curves of candidates, [seeds, windows], the random level, and the SD of healthy areas, changed.
Plant = Callable[[Curves, float, float], Curves]


def _dead(returns: Curves, level: float, _: float) -> Curves:
    planted = returns.copy()
    planted[: len(returns) // 5] = level
    return planted


def _collapsed(returns: Curves, level: float, _: float) -> Curves:
    planted = returns.copy()
    planted[:, -(returns.shape[1] // 3) :] = level
    return planted


def _delayed(returns: Curves, level: float, _: float) -> Curves:
    late = returns.shape[1] // 5
    return np.hstack([np.full((len(returns), late), level), returns[:, :-late]])


def _lowered(by_sd: float) -> Plant:
    return lambda returns, _, spread: returns - by_sd * spread


PLANTS: Final[dict[str, Plant]] = {
    "none": _lowered(0.0),
    "1 SD lower": _lowered(1.0),
    "1.5 SD lower": _lowered(1.5),
    "2 SD lower": _lowered(2.0),
    "3 SD lower": _lowered(3.0),
    "one seed in five dead": _dead,
    "collapse in the last third": _collapsed,
    "learning a fifth of the run later": _delayed,
}


# Added to the Q-values of candidates whose returns are as they were, in SD of healthy seeds.
SHIFTS_SD: Final = {"Q-values 2 SD higher": 2.0, "Q-values 4 SD higher": 4.0}


def split_sizes(stored: int) -> tuple[int, int, int]:
    """How many of the stored seeds play the reference, stage one and stage two; disjoint.

    Raises:
        ValueError: if they are too few for anything.
    """
    if stored < FEWEST_STORED:
        raise ValueError(
            f"expected at least {FEWEST_STORED} stored seeds to split, got {stored}\n"
            "  next      train more, and bless them as the reference"
        )
    whole = STAGE_ONE_SEEDS + STAGE_TWO_SEEDS
    if stored >= 2 * whole:
        return min(REFERENCES, stored - whole), STAGE_ONE_SEEDS, STAGE_TWO_SEEDS
    reference = stored // 2
    return reference, STAGE_ONE_SEEDS, stored - reference - STAGE_ONE_SEEDS


def stored_rates(returns: Curves, inside: Means, healthy: int, planted: int) -> Iterator[Rate]:
    """The whole gate on random splits of stored curves.

    Args:
        returns: [seeds, windows] float64, of healthy seeds of one recipe.
        inside: their values and losses, from `means_of`.
        healthy: splits with nothing changed.
        planted: splits for each planted change.

    Raises:
        ValueError: if the seeds are too few.
    """
    sizes = split_sizes(len(returns))
    every = scores(returns)
    level, spread = float(every.first_tenth.mean()), float(every.area.std(ddof=1))
    changes = [(name, plant, 0.0) for name, plant in PLANTS.items()]
    changes += [(name, PLANTS["none"], shift) for name, shift in SHIFTS_SD.items()]
    for key, (change, plant, shift) in enumerate(changes):
        generator = np.random.Generator(np.random.Philox(key=[len(returns), key]))
        counts = dict.fromkeys(VerdictName, 0)
        trials, seeds = planted if key else healthy, 0
        for _ in range(trials):
            parts = np.split(generator.permutation(len(returns)), np.cumsum(sizes))[:3]
            reference, *fresh = (returns[part] for part in parts)
            played = [scores(plant(part, level, spread)) for part in fresh]
            known, *learned = ({name: of[part] for name, of in inside.items()} for part in parts)
            for part in learned:
                part["q_mean"] = part["q_mean"] + shift * np.std(inside["q_mean"], ddof=1)
            verdict, asked = _judged(scores(reference), known, played, learned)
            counts[verdict] += 1
            seeds += asked
        yield Rate(
            source=f"stored, {'+'.join(map(str, sizes))}",
            change=change,
            fails=counts[VerdictName.FAIL],
            watches=counts[VerdictName.WATCH],
            trials=trials,
            mean_seeds=seeds / trials,
        )


def _judged(
    reference: Scores, known: Means, played: Sequence[Scores], learned: Sequence[Means]
) -> tuple[VerdictName, int]:
    """The gate's verdict on one split, and how many fresh seeds it asked for.

    Args:
        reference: what the reference seeds earned.
        known: what they learned.
        played: what the seeds of stage one and those of stage two earned.
        learned: what they learned.
    """
    first = compare(known, learned[0], stage=1)
    decision = with_value_shift(decide("", reference, played[0]), first, None)
    if not decision.seeds_wanted:
        return decision.verdict, len(played[0])
    decision = decide("", reference, *played)
    decision = with_value_shift(decision, first, compare(known, learned[1], stage=2))
    return decision.verdict, len(played[0]) + STAGE_TWO_SEEDS
