"""Training on until values stand still, so that an agent is judged by what it converges to.

How fast it converges is its own affair: it depends on width, learning rate and loss. Values stand
still when the last quarter of all training so far has moved them hardly further than the third one,
as seen from where they began: a steady pace moves them by a third of their way in that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.checks.support.testbed import Trial
from probes.subject import Array

Table = npt.NDArray[np.float64]

LOOKS: Final = 16  # at the values, in the second half of the training
# How far the mean may move from one quarter of the training to the next: in tolerances, and as a
# share of the largest way from the first values; a little is always allowed.
STILL: Final = 0.5
SHARE: Final = 0.1
A_LITTLE: Final = 0.005
# In tolerances: how widely single looks may lie around their mean.
JITTER: Final = 1.0
# How much of the variance of a value is a straight line, at least, if it is on its way.
STEADY: Final = 0.7
# Times the first number of steps, after which values that go elsewhere are given up.
PATIENCE: Final = 4
# Values this many times larger than any that is right are not on their way to them.
DIVERGED: Final = 10.0


@dataclass(frozen=True)
class Settled:
    """Values at the end of some training.

    Attributes:
        looks: [L, S, A], values in the second half of it, at equal distances.
        values: [S, A], their mean.
        moved: how far the mean went from the third quarter to the fourth, the largest of all.
        jitter: standard deviation of single looks around it, the largest of all.
        still: whether they stand still.
        steps: agent steps taken in all.
    """

    looks: Table
    values: Table
    moved: float
    jitter: float
    still: bool
    steps: int

    def on_the_way_to(self, solved: Table) -> bool:
        """Whether the value that is furthest off goes steadily towards where it should be."""
        furthest = int(np.abs(self.values - solved).argmax())
        course = self.looks.reshape(len(self.looks), -1)[:, furthest]
        if not np.ptp(course):
            return False
        number = np.arange(len(course))
        steady = np.corrcoef(number, course)[0, 1] ** 2 >= STEADY
        rises = np.polyfit(number, course, 1)[0] > 0
        return bool(steady and rises == (solved.ravel()[furthest] > course[-1]))

    def holds(self, solved: Table, tolerance: float) -> bool | None:
        """Whether values are right; None for those that are, or may get there, but move on.

        Args:
            solved: [S, A].
            tolerance: how far any may be off.
        """
        right = bool((np.abs(self.values - solved) <= tolerance).all())
        if self.still:
            return right
        diverged = np.abs(self.values).max() > DIVERGED * max(np.abs(solved).max(), tolerance)
        lost = not right and not self.on_the_way_to(solved)
        return False if diverged or lost else None


def settle(
    trial: Trial, shown: Array, solved: Table, *, tolerance: float, first: int, most: int
) -> Settled:
    """Trains until the values stand still, or for so many steps.

    Args:
        trial: untrained.
        shown: observations [S, *obs_shape] whose values are looked at.
        solved: [S, A], where they should get; ones that go elsewhere are not waited for so long.
        tolerance: what they are judged with.
        first: steps after warming up, after which they may stand still for the first time.
        most: steps after warming up, after which no more are taken.
    """
    warmup, goal = trial.settings.warmup_steps, first
    begun = trial.q_table(shown)
    while True:
        looks = []
        for look in range(LOOKS + 1):
            _train_until(trial, warmup + goal // 2 + goal * look // (2 * LOOKS))
            looks.append(trial.q_table(shown))
        settled = _settled(begun, np.stack(looks[1:]), tolerance, trial.steps)
        lost = goal >= PATIENCE * first and settled.holds(solved, tolerance) is False
        if settled.still or lost or 2 * goal > most:
            return settled
        goal *= 2


def _train_until(trial: Trial, step: int) -> None:
    if trial.steps < step:
        trial.train(step - trial.steps)


def _settled(begun: Table, looks: Table, tolerance: float, steps: int) -> Settled:
    earlier, later = np.split(looks, 2)
    moved = float(np.abs(later.mean(axis=0) - earlier.mean(axis=0)).max())
    way = float(np.abs(later.mean(axis=0) - begun).max())
    jitter = float(looks.std(axis=0).max())
    return Settled(
        looks=looks,
        values=looks.mean(axis=0),
        moved=moved,
        jitter=jitter,
        still=moved <= min(STILL * tolerance, max(SHARE * way, A_LITTLE * tolerance))
        and jitter <= JITTER * tolerance,
        steps=steps,
    )
