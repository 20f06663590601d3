"""What a run records of its episodes and its exploration is what happened."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.evaluation import big_and_small
from probes.checks.support.replay_audit import stamped_trial
from probes.checks.support.testbed import Testbed, Trial
from probes.outcome import Outcome
from probes.records.episodes import (
    environments_are_kept_apart,
    episodes_count_once,
    lengths_are_agent_steps,
    lengths_are_within_limit,
    returns_are_raw,
    returns_are_within_range,
)
from probes.records.facts import Episode, Facts, Property, Vector, read_records
from probes.records.updates import epsilon_follows_schedule
from probes.subject import Records
from probes.worlds.stamped_env import LENGTHS, Ledger, Stamp

EPISODE_STEPS: Final = 100  # the last of them in the middle of an episode
NAMES: Final = 0.5  # what `big_and_small` adds to make episodes differ, at most
WARMUP: Final = 32
DECAY: Final = 120
LEEWAY: Final = 8  # steps by which epsilon may be early or late: rollouts are of several


def records_of(trial: Trial) -> Records:
    """What a subject has recorded so far, held to the protocol."""
    return read_records(trial.subject.records())


def of_episodes(prove: Property, num_envs: int, testbed: Testbed) -> Outcome:
    """Trains in the counter world, and holds the records against its ledger."""
    trial, ledger = stamped_trial(
        testbed, reward=big_and_small, num_envs=num_envs, total_steps=num_envs * EPISODE_STEPS
    )
    trial.train(num_envs * EPISODE_STEPS)
    pays = [sum(big_and_small(Stamp(0, 0, age)) for age in range(steps)) for steps in LENGTHS]
    facts = Facts(
        steps=trial.steps,
        paid=_paid(ledger),
        length_limit=max(LENGTHS),
        return_range=(min(pays), max(pays) + NAMES),
    )
    return prove(records_of(trial), facts)


def _paid(ledger: Ledger) -> tuple[Episode, ...]:
    """The whole episodes of all environments, in the order in which they ended."""
    totals: dict[tuple[int, int], float] = {}
    paid = []
    for stamp, step in ledger.taken.items():
        episode = stamp.env, stamp.episode
        totals[episode] = totals.get(episode, 0.0) + step.reward
        if step.terminated or step.truncated:
            paid.append(Episode(totals[episode], stamp.length))
    return tuple(paid)


def epsilon_is_that_of_its_step(testbed: Testbed) -> Outcome:
    """Trains while epsilon falls, from the first step or from the end of the warm-up."""
    total = WARMUP + DECAY + 2 * LEEWAY
    trial, _ = stamped_trial(
        testbed, total_steps=total, warmup_steps=WARMUP, train_period_steps=4,
        epsilon_initial=1.0, epsilon_final=0.1, epsilon_decay_steps=DECAY,
    )  # fmt: skip
    trial.train(total)

    def scheduled(steps: Vector) -> tuple[Vector, Vector]:
        early, late = steps + LEEWAY, steps - WARMUP - LEEWAY
        low, high = (1.0 - 0.9 * np.clip(at / DECAY, 0.0, 1.0) for at in (early, late))
        return low, high

    return epsilon_follows_schedule(records_of(trial), Facts(epsilon=scheduled))


def record_check(code: str, component: Component = Component.EVALUATION, **words: Any) -> Check:
    """A check that needs records alone."""
    return Check(code=f"records.{code}", component=component, needs=("records",), **words)


def _episodes(prove: Property, num_envs: int = 1) -> Any:
    return partial(of_episodes, prove, num_envs)


CHECKS: Final = (
    record_check(
        "returns-are-raw",
        what="A recorded training return is the undiscounted sum of the rewards that the "
        "environment paid in one episode.",
        why="A learning curve of clipped or discounted rewards looks like one of returns, but "
        "cannot be compared with published ones.",
        causes=(
            "rewards are summed after they were clipped or scaled for the learner",
            "the sum is not set back when an episode ends",
            "the sum is of one life, or discounted",
        ),
        seen=(
            "https://github.com/keiohta/tf2rl/issues/31",
            "https://github.com/kengz/SLM-Lab/pull/263",
            "https://github.com/vwxyzjn/cleanrl/commit/02f36c4e",
        ),
        experiment="sum the rewards inside the environment, and print them next to the record",
        run=_episodes(returns_are_raw),
    ),
    record_check(
        "every-episode-once",
        what="Every training episode that ended is recorded once, however it ended.",
        why="The episodes that a time limit cuts are often the best ones. A curve without them, or "
        "with some of them twice, is of another quantity.",
        causes=(
            "an episode is recorded on termination and not on truncation",
            "it is recorded at its end and at the next reset",
        ),
        seen=("https://github.com/huggingface/deep-rl-class/issues/37",),
        experiment="count resets of the environment and recorded episodes",
        run=_episodes(episodes_count_once),
    ),
    record_check(
        "lengths-are-agent-steps",
        what="The recorded length of an episode is its number of agent steps.",
        why="Lengths in raw frames, or off by one, make limits and speeds of learning wrong.",
        causes=(
            "emulator frames are counted",
            "the count starts with the reset, or leaves out the last step",
            "the count is not set back when an episode ends",
        ),
        seen=(),
        experiment="play one episode of one step, and print its length",
        run=_episodes(lengths_are_agent_steps),
    ),
    record_check(
        "environments-are-kept-apart",
        what="With several environments, return and length are those of one episode of one of "
        "them, and steps are those of all.",
        why="A sum over environments grows with their number, and steps counted in ticks shrink "
        "with it: two runs that differ in it cannot be compared.",
        causes=(
            "one running sum serves all environments",
            "return and length are taken from different environments",
            "steps are counted once for all environments",
        ),
        seen=("https://github.com/Farama-Foundation/Gymnasium/issues/1103",),
        experiment="train with one environment and with three; compare the first returns",
        run=_episodes(environments_are_kept_apart, num_envs=3),
    ),
    record_check(
        "lengths-are-within-limit",
        component=Component.TERMINATION,
        what="No recorded episode is longer than the limit of the environment.",
        why="An episode that can be dragged out fills days of training, and may break the emulator "
        "until it pays what it never should.",
        causes=(
            "a wrapper resets the environment at its limit without reporting the end",
            "truncation is dropped, so that several episodes count as one",
        ),
        seen=(),
        experiment="print both flags and the length wherever a limit is reached",
        run=_episodes(lengths_are_within_limit),
    ),
    record_check(
        "returns-are-within-range",
        what="No recorded return is one that the environment cannot pay.",
        why="A score above the possible maximum is a broken emulator, or a broken sum.",
        causes=(
            "the sum is not set back when an episode ends",
            "an episode is dragged out until the emulator pays a bogus reward",
        ),
        seen=(),
        experiment="print the rewards of the episode with the highest return",
        run=_episodes(returns_are_within_range),
    ),
    record_check(
        "epsilon-follows-schedule",
        component=Component.EXPLORATION,
        what="The recorded epsilon is that of the schedule at its step.",
        why="An epsilon that is recorded for another time, or in another unit, makes a wrong "
        "schedule look right.",
        causes=(
            "the schedule is asked for the number of updates instead of steps",
            "epsilon is recorded once, or of an earlier time",
        ),
        seen=("https://github.com/DLR-RM/stable-baselines3/commit/fd5153b9",),
        experiment="print the argument of the schedule next to the number of steps",
        run=epsilon_is_that_of_its_step,
    ),
)
