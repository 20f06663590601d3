"""What a recording shows of steps: which were taken, remembered and replayed, and when."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.stats import fisher_exact

from probes.checks.support.chance import ChanceTally, weigh
from probes.observer.worlds import TRUNCATED
from probes.outcome import Outcome
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.spans import ENDS

FEWEST_LEARNING: Final = 100  # steps after the first update
RISES: Final = 1e-4  # the chance of as many more random actions late
ALWAYS_ASKED: Final = 0.95  # of all steps: then random actions are drawn after asking


def resets_after_ends(facts: Facts) -> Outcome:
    """Steps that were taken from the last observation of an episode."""
    ended = {int(step[3]) for step in facts.recording.steps if step[7] in ENDS}
    beyond = [step for step in facts.recording.steps if int(step[2]) in ended]
    return Outcome(
        holds=not beyond,
        expected="a reset after the end of each episode",
        actual=f"{len(beyond)} steps were taken after one" if beyond else "as expected",
        compared=len(ended),
    )


def final_observations_kept(facts: Facts) -> Outcome:
    """Next observations of replayed rows at a time limit."""
    final = {int(step[2]): int(step[3]) for step in facts.recording.steps if step[7] == TRUNCATED}
    used = facts.rows.gradient != 0  # a row that is left out of the loss may be anything
    pairs = zip(facts.rows.tag[used], facts.rows.next_tag[used], strict=True)
    rows = [
        (final[int(tag)], int(next_tag))
        for tag, next_tag in pairs
        if int(tag) in final and next_tag >= 0 and facts.spans.length.max() == 1
    ]
    if not rows:
        raise NotSeenError("no replayed row ended at a time limit and had a next observation")
    # Wrappers that keep the last two frames of a step show older ones where a game ends within it.
    game = facts.recording.plays_games
    wrong = sum(due != found and not (game and found < due) for due, found in rows)
    return Outcome(
        holds=not wrong,
        expected=f"the last observation of the episode in {len(rows)} rows at a time limit",
        actual=f"another one in {wrong}",
        compared=len(rows),
    )


def transitions_are_real(facts: Facts) -> Outcome:
    """Replayed rows as steps of the log, with the action at whose value they were learned."""
    real = (facts.spans.length > 0) | (facts.rows.gradient == 0)
    agree = (facts.spans.actions == facts.rows.action) | (facts.rows.gradient == 0)
    wrong, other = int((~real).sum()), int((real & ~agree).sum())
    return Outcome(
        holds=not wrong and not other,
        expected=f"{len(real):,} rows that are steps which were taken, with their actions",
        actual=f"{wrong:,} are none, {other:,} have another action",
        compared=len(real),
    )


def no_dead_steps(facts: Facts) -> Outcome:
    """Replayed rows that begin at the last observation of an episode."""
    final = {int(step[3]) for step in facts.recording.steps if step[7] in ENDS}
    dead = sum(int(tag) in final for tag in facts.rows.tag)
    return Outcome(
        holds=not dead,
        expected="no row from the last observation of an episode",
        actual=f"{dead:,} of {len(facts.rows.tag):,} rows",
        compared=len(facts.rows.tag),
    )


def environments_stay_apart(facts: Facts) -> Outcome:
    """Which environments replayed rows are of."""
    env = {int(step[2]): int(step[1]) for step in facts.recording.steps}
    played = set(env.values())
    if len(played) < 2:
        raise NotSeenError("one environment is played")
    sampled = {env[int(tag)] for tag in facts.rows.tag if int(tag) in env}
    mixed = int((facts.spans.length == 0).sum())
    return Outcome(
        holds=sampled == played and not mixed,
        expected=f"rows of each of {len(played)} environments, and of one at a time",
        actual=f"rows of {len(sampled)}; {mixed:,} rows are of none",
        compared=len(facts.rows.tag),
    )


def random_while_warming_up(facts: Facts) -> Outcome:
    """Actions before the first update at which the network was not asked."""
    asked = set(facts.greedy[0].tolist())
    steps = facts.recording.steps[: facts.cadence.warmup_steps]
    # Wrappers of games take steps of their own, which are not remembered.
    chosen = set(facts.rows.tag.tolist()) if facts.recording.plays_games else None
    actions = np.array(
        [
            int(step[5])
            for place, step in enumerate(steps)
            if place not in asked and (chosen is None or int(step[2]) in chosen)
        ],
        np.int64,
    )
    count = facts.recording.meta.environments[0].actions
    if len(actions) < 10 * count:
        raise NotSeenError(f"{len(actions)} actions before the first update, too few to tell")
    chance = 1 / count
    return weigh(
        [
            ChanceTally(f"actions are action {a}", int((actions == a).sum()), len(actions),
                        chance, chance)
            for a in range(count)
        ]
    )  # fmt: skip


def acts_greedily_where_asked(facts: Facts) -> Outcome:
    """Actions of steps before which the network was asked for that observation alone."""
    steps, greedy = facts.greedy
    taken = len(facts.recording.steps)
    if not len(steps) or len(steps) >= ALWAYS_ASKED * taken:
        raise NotSeenError(f"the network was asked before {len(steps)} of {taken} steps")
    return Outcome(
        holds=bool(greedy.all()),
        expected=f"{len(steps)} actions of the largest value",
        actual=f"{int(greedy.sum())}",
        compared=len(steps),
    )


def actions_in_the_space(facts: Facts) -> Outcome:
    """The actions that environments were given."""
    count = facts.recording.meta.environments[0].actions
    given = facts.recording.raw_steps[:, 5]
    outside = int(((given < 0) | (given >= count)).sum())
    return Outcome(
        holds=not outside,
        expected=f"actions from 0 to {count - 1}",
        actual=f"{outside} others, such as {int(given.max())}" if outside else "as expected",
        compared=len(given),
    )


def explores_less_and_less(facts: Facts) -> Outcome:
    """Steps before which the network was not asked, early in learning and late."""
    asked, _ = facts.greedy
    begun, taken = facts.cadence.warmup_steps, len(facts.recording.steps)
    if not len(asked) or len(asked) >= ALWAYS_ASKED * taken or taken - begun < FEWEST_LEARNING:
        raise NotSeenError(
            f"the network was asked before {len(asked)} of {taken} steps, {taken - begun} of them "
            "after the first update"
        )
    middle = begun + (taken - begun) // 2
    early, late = middle - begun, taken - middle
    first = early - int(((asked >= begun) & (asked < middle)).sum())
    last = late - int((asked >= middle).sum())
    table = np.array([[first, early - first], [last, late - last]])
    p = float(fisher_exact(table, "less").pvalue)
    return Outcome(
        holds=p >= RISES,
        expected="no more random actions late than early",
        actual=f"{first / early:.0%} in the first half of learning, {last / late:.0%} in the other",
        compared=early + late,
    )


def observations_left_alone(facts: Facts) -> Outcome:
    """Observations that were handed out, and what they were when the next step was taken."""
    altered = facts.recording.meta.altered
    return Outcome(
        holds=not altered,
        expected="observations as they were handed out",
        actual=f"{altered} were changed in place" if altered else "as expected",
        compared=facts.recording.shown,
    )
