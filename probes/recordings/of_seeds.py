"""What recordings show of seeds: given to environments, and decisive for a run."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from probes.outcome import Outcome
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.recording import Recording

FEWEST_EPISODES = 4


def _seeds(facts: Facts) -> dict[int, list[int]]:
    """The seeds of each environment's resets; -1 where none was given."""
    found: dict[int, list[int]] = defaultdict(list)
    for _, env, _, seed in facts.recording.resets:
        found[int(env)].append(int(seed))
    if not found:
        raise NotSeenError("no environment was reset")
    return found


def environments_are_seeded(facts: Facts) -> Outcome:
    """Whether each environment was given a seed when it was first reset."""
    seeds = _seeds(facts)
    without = [env for env, given in seeds.items() if given[0] < 0]
    return Outcome(
        holds=not without,
        expected=f"a seed for each of {len(seeds)} environments, when it is first reset",
        actual=f"none for {len(without)}",
        compared=len(seeds),
    )


def environments_differ(facts: Facts) -> Outcome:
    """Seeds of environments that are stepped together."""
    first = [given[0] for given in _seeds(facts).values() if given[0] >= 0]
    if len(first) < 2:
        raise NotSeenError("one environment was given a seed")
    return Outcome(
        holds=len(set(first)) == len(first),
        expected=f"{len(first)} different seeds",
        actual=", ".join(map(str, first[:6])),
        compared=len(first),
    )


def episodes_start_differently(facts: Facts) -> Outcome:
    """Seeds of one environment's successive resets."""
    longest = max(_seeds(facts).values(), key=len)
    if len(longest) < FEWEST_EPISODES:
        raise NotSeenError(f"{len(longest)} episodes were begun, {FEWEST_EPISODES} tell")
    again = [seed for seed in longest if seed >= 0]
    # A seed that grows with the episode is another one each time, but for the very first perhaps.
    same = len(again) >= FEWEST_EPISODES and len(set(again)) <= len(again) / 2
    return Outcome(
        holds=not same,
        expected="a seed at the first reset, and none or another one at the next",
        actual=f"{len(again)} of {len(longest)} resets were given {len(set(again))} seeds"
        if again
        else "none",
        compared=len(longest),
    )


def same_run(first: Recording, second: Recording) -> Outcome:
    """Two runs of one script with the same arguments, of which the second was not looked into."""
    steps = min(len(first.raw_steps), len(second.raw_steps))
    columns = slice(1, None)  # moments are counted otherwise where networks are watched
    apart = np.flatnonzero(
        (first.raw_steps[:steps, columns] != second.raw_steps[:steps, columns]).any(1)
    )
    ours, theirs = first.meta.weights_digests, second.meta.weights_digests
    whole = len(first.raw_steps) == len(second.raw_steps)
    same = not len(apart) and ours == theirs and whole
    return Outcome(
        holds=same,
        expected="the same actions and weights in two runs, looked into and not",
        actual="the same"
        if same
        else f"other actions from step {apart[0]} on"
        if len(apart)
        else "the same actions, and other weights in the end",
        compared=steps + len(ours),
    )


def other_run(first: Recording, other: Recording) -> Outcome:
    """Two runs of one script that differ in the seed alone."""
    steps = min(len(first.raw_steps), len(other.raw_steps))
    action = 5
    same = int((first.raw_steps[:steps, action] == other.raw_steps[:steps, action]).sum())
    return Outcome(
        holds=same < steps,
        expected=f"other actions in {steps} steps with another seed",
        actual="the same" if same == steps else f"{steps - same} others",
        compared=steps,
    )
