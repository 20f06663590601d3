"""What a recording shows of the replay memory: which rows are drawn from it, and what they hold."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.stats import kstest, spearmanr

from probes.outcome import Outcome
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.recording import Vector

FEWEST: Final = 500  # replayed rows that tell how they are drawn
CHANCE: Final = 1e-6
WORTHWHILE: Final = 0.1  # of all rows that are drawn too often, before it is told
NEWEST: Final = 0.1  # of the memory, within which the youngest drawn row lies
WHOLE: Final = 1e-3
FEWEST_DIFFERENT: Final = 50
PRIORITISED: Final = 0.25  # rank correlation of errors and draws


def values_survive(facts: Facts) -> Outcome:
    """Rewards of 0.25 and the like, and what they are learned as."""
    learned = facts.target.rewards
    broken = {paid: found for paid, found in learned.items() if abs(paid - round(paid)) > WHOLE}
    if not broken or facts.recording.plays_games:
        raise NotSeenError("no reward that is no whole number was learned from")
    cut = all(abs(found - np.trunc(paid)) <= WHOLE for paid, found in broken.items())
    told = ", ".join(f"{paid:g} as {found:.4g}" for paid, found in broken.items())
    return Outcome(
        holds=not cut,
        expected="rewards that are no whole numbers to stay what they are",
        actual=told,
        compared=len(broken),
    )


def newest_are_drawn(facts: Facts) -> Outcome:
    """How old the youngest of the drawn rows is, at the beginning of learning and at its end."""
    ages, updates = facts.ages, facts.known_updates
    held = _held(facts)
    half = len(ages) // 2
    if half < FEWEST:
        raise NotSeenError(f"{len(ages)} replayed rows are steps, {2 * FEWEST} tell")
    early = float(np.quantile(ages[:half] / held[:half], 0.02))
    late = float(np.quantile(ages[half:] / held[half:], 0.02))
    return Outcome(
        holds=max(early, late) <= NEWEST,
        expected="rows of the most recent steps, from the first update to the last",
        actual=f"the youngest 2 % were taken {early:.0%} of the memory ago at first, {late:.0%} "
        "later",
        compared=len(updates),
    )


def drawn_uniformly(facts: Facts) -> Outcome:
    """Where in the memory drawn rows lie, from the newest to the oldest."""
    ages, held = facts.ages, _held(facts)
    places = (ages - 0.5) / held
    places = places[(held >= held.max() / 4) & (places <= 1)]
    if len(places) < FEWEST:
        raise NotSeenError(f"{len(places)} replayed rows are steps, {FEWEST} tell")
    _refuse_priorities(facts)
    found = kstest(places, "uniform")
    holds = found.pvalue >= CHANCE or found.statistic <= WORTHWHILE
    return Outcome(
        holds=bool(holds),
        expected="each part of the memory drawn as often as any other",
        actual=f"{found.statistic:.0%} of {len(places):,} rows lie elsewhere"
        if not holds
        else "as expected",
        compared=len(places),
    )


def _refuse_priorities(facts: Facts) -> None:
    """Leaves prioritised replay out, which draws rows the more often the larger their errors are.

    Raises:
        NotSeenError: if rows with larger gradients were drawn more often.
    """
    # Rows from before the first update could be drawn equally often, and their errors shrink alike.
    early = facts.recording.steps[: facts.cadence.warmup_steps, 2]
    first = np.isin(facts.rows.tag, early)
    tags, which, counts = np.unique(facts.rows.tag[first], return_inverse=True, return_counts=True)
    mean = np.bincount(which, np.abs(facts.rows.gradient[first])) / np.maximum(counts, 1)
    if len(tags) < FEWEST_DIFFERENT or not np.ptp(mean) or not np.ptp(counts):
        return
    found = spearmanr(counts, mean)
    if found.statistic > PRIORITISED and found.pvalue < CHANCE:
        raise NotSeenError("rows with larger errors are drawn more often: prioritised replay")


def _held(facts: Facts) -> Vector:
    """For each row whose step is known, how many steps the memory held when it was drawn."""
    taken = facts.taken_at_updates[facts.known_updates]
    oldest = int(facts.ages.max(initial=1))
    return np.maximum(np.minimum(taken, oldest), 1).astype(np.float64)
