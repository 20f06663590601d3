"""Counts of random events held against their chances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from probes.outcome import Outcome

# A count is refused if it is less likely than this, whatever the chances that are allowed.
UNLIKELY: Final = 1e-8


class ChanceTally(NamedTuple):
    """How often something happened, and how often it should.

    Attributes:
        what: in words, plural.
        seen: how often it happened.
        trials: how often it could have happened, independently.
        least: smallest allowed mean of its chances.
        most: largest.
    """

    what: str
    seen: int
    trials: int
    least: float
    most: float

    @property
    def surprise(self) -> float:
        """Minus the logarithm of a bound on the probability of a count at least as extreme.

        References:
            Hoeffding 1963, "Probability Inequalities for Sums of Bounded Random Variables",
            theorems 1 and 4: the trials' chances may differ, or be drawn without replacement.
        """
        if not self.trials:
            return 0.0
        share = self.seen / self.trials
        nearest = min(max(share, self.least), self.most)
        sides = ((share, nearest), (1 - share, 1 - nearest))
        return self.trials * sum(p * math.log(p / q) if q else math.inf for p, q in sides if p)


def weigh(tallies: Sequence[ChanceTally]) -> Outcome:
    """Compares each count with its chances; reports the most surprising one."""
    worst = max(tallies, key=lambda tally: tally.surprise)
    least, most = round(worst.least * worst.trials), round(worst.most * worst.trials)
    around = f"about {least}" if least == most else f"about {least} to {most}"
    return Outcome(
        holds=worst.surprise < -math.log(UNLIKELY),
        expected=f"{around} of {worst.trials} {worst.what}",
        actual=f"{worst.seen}",
        compared=sum(tally.trials for tally in tallies),
    )
