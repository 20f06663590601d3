"""Which transitions are sampled, and how often."""

from __future__ import annotations

from typing import Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.replay_audit import (
    CAPACITY,
    DRAWS,
    AuditTally,
    sampled_stamps,
    stamped_trial,
)
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import require_plain
from probes.outcome import Outcome
from probes.worlds.stamped_env import Ledger, Stamp

# Deviation of a chi-square sum, in standard deviations, that comes up once in 1e9 runs.
UNLIKELY: Final = 6.0


def exactly_the_recent(testbed: Testbed) -> Outcome:
    """Looks at every so many steps which transitions there are to sample."""
    trial, ledger = stamped_trial(testbed)
    tally = AuditTally()
    while trial.steps < trial.settings.total_steps - 2 * CAPACITY // 3:
        trial.train(CAPACITY // 3)
        sampled = set(sampled_stamps(trial, DRAWS * CAPACITY))
        due, allowed = _recent(ledger, sampled, testbed.traits.n_step)
        if testbed.traits.priority_exponent:  # what is hardly ever drawn may be there all the same
            due &= sampled
        for stamp in due - sampled:
            tally.note("sampled", "it never was", f"{stamp}, of the last {CAPACITY} steps")
        for stamp in sampled - allowed:
            where = f"{stamp}, not of the last {CAPACITY} steps"
            tally.note("forgotten", "it was sampled", where)
        tally.compared += len(due & sampled)
    return tally.outcome(f"the last {CAPACITY} steps, all of them and no others")


def _recent(ledger: Ledger, sampled: set[Stamp], n_step: int) -> tuple[set[Stamp], set[Stamp]]:
    """Steps that must be there to be sampled, and all that may be.

    The newest step may wait for the next one, which brings its next observation along, and the
    newest ones of an n-step return for all of them. The final observation of an episode may take a
    place of its own, and so may a margin of two; where more steps are sampled than that leaves
    room for, each takes one place, and the memory holds exactly as many as were asked for.
    """
    due, places, fitting = set(), 0, 0
    newest_first = list(reversed(ledger.taken))
    for stamp in newest_first:
        ends = ledger.taken[stamp]
        places += 2 if ends.terminated or ends.truncated else 1
        fitting += places <= CAPACITY
        if places <= CAPACITY - 2:
            due.add(stamp)
    if sampled & set(newest_first[fitting:]):
        due = set(newest_first[:CAPACITY])
    return due - set(newest_first[:n_step]), set(newest_first[: CAPACITY + n_step - 1])


def sampled_uniformly(testbed: Testbed) -> Outcome:
    """Counts how often each transition of a full memory is sampled."""
    require_plain(testbed, "priority_exponent")
    trial, _ = stamped_trial(testbed, total_steps=2 * CAPACITY)
    trial.train(2 * CAPACITY)
    stamps, counts = np.unique(
        list(sampled_stamps(trial, 100 * CAPACITY)), axis=0, return_counts=True
    )
    mean = counts.mean()
    # Wilson and Hilferty 1931: the cube root of a chi-square sum is close to normal.
    freedom = max(1, len(counts) - 1)
    ratio = ((counts - mean) ** 2 / mean).sum() / freedom
    spread = 2 / (9 * freedom)
    deviation = (np.cbrt(ratio) - (1 - spread)) / np.sqrt(spread)
    often, rarely = (Stamp(*stamps[pick]) for pick in (counts.argmax(), counts.argmin()))
    return Outcome(
        holds=bool(deviation <= UNLIKELY),
        expected=f"each of {len(counts)} transitions about {mean:.0f} times",
        actual=f"{often} {counts.max()} times, {rarely} {counts.min()} times, "
        f"{deviation:.1f} standard deviations from uniform",
        compared=len(counts),
    )


CHECKS: Final = (
    Check(
        code="replay.exactly-the-recent",
        component=Component.REPLAY,
        needs=("sample",),
        what="The most recent transitions, as many as the memory holds, are all sampled, and no "
        "older ones.",
        why="A range that is off by one leaves a row out for ever; a memory that forgets too soon "
        "or too late is another one than was asked for.",
        causes=(
            "the range of random indices ends one too early",
            "the same object is stored again and again",
            "the capacity counts something else, such as rows of all environments",
            "the write position or the fill level is wrong after the first wrap",
        ),
        seen=(
            "https://github.com/openai/baselines/issues/171",
            "https://github.com/assume-framework/assume/pull/176",
            "https://github.com/Itomigna2/Muesli-lunarlander/issues/1",
        ),
        experiment="fill a memory of ten, draw a thousand times, and list what never came",
        run=exactly_the_recent,
    ),
    Check(
        code="replay.uniform",
        component=Component.REPLAY,
        needs=("sample",),
        what="All transitions in the memory are sampled equally often.",
        why="What is sampled more often is learned better; the target of plain DQN assumes that "
        "nothing is.",
        causes=(
            "random indices are drawn from another distribution, or rounded",
            "an index that is out of range is clipped or wrapped onto others",
            "priorities are left on",
        ),
        seen=("https://github.com/rlberry-py/rlberry/issues/66",),
        experiment="plot how often each index is drawn against the index",
        variants=("priority_exponent",),
        run=sampled_uniformly,
    ),
)
