"""Seeding: what the seed must determine, and what it must not be shared with."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any, Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.global_generators import global_generators, global_states
from probes.checks.support.replay_audit import CAPACITY, sampled_stamps, stamped_trial
from probes.checks.support.testbed import Testbed
from probes.checks.support.tracing import OBSERVATIONS, StepTrace
from probes.outcome import Outcome
from probes.properties.draws import indices_differ, seeds_are_disjoint
from probes.subject import BrokenProtocol

STEPS: Final = 160
NUM_ENVS: Final = 3
NEIGHBOURS: Final = 3  # runs
DRAWN_ROWS: Final = 128


def same_seed_same_run(testbed: Testbed) -> Outcome:
    """Two runs of one seed: equal environments, equal actions, equal values, to the last bit."""
    return _equal(_run(testbed), _run(testbed))


def other_seed_other_run(testbed: Testbed) -> Outcome:
    """Two runs of different seeds have other weights, other actions, other environments."""
    seeds = (testbed.seed, testbed.seed + 1)
    one, other = (
        _run(testbed, seed=seed, epsilon_initial=1.0, epsilon_final=1.0) for seed in seeds
    )
    same = {
        # A network may begin with a constant, such as zero, whatever its weights.
        "initial Q-values": np.ptp(one.versions[0]) > 0
        and np.array_equal(one.versions[0], other.versions[0]),
        "random actions": _column(one, "action") == _column(other, "action"),
        "environments": _column(one, "state") == _column(other, "state"),
    }
    alike = [what for what, equal in same.items() if equal]
    return Outcome(
        holds=not alike,
        expected=f"seeds {seeds[0]} and {seeds[1]} differ in {', '.join(same)}",
        actual=f"the same {', '.join(alike)}" if alike else "all different",
        compared=len(same),
    )


def environments_are_seeded(testbed: Testbed) -> Outcome:
    """Two runs of one seed: each environment draws what it drew before."""
    runs = [_run(testbed, num_envs=NUM_ENVS) for _ in range(2)]
    drawn = [_states(run) for run in runs]
    other = [env for env, (one, two) in enumerate(zip(*drawn, strict=True)) if one != two]
    seeds = [env.log.seeds[0] for env in runs[0].trial.played]
    return Outcome(
        holds=not other,
        expected="each environment draws the same in two runs of one seed",
        actual=f"environment {other[0]} did not; first resets had seeds {seeds}"
        if other
        else "the same",
        compared=sum(map(len, drawn[0])),
    )


def environments_differ(testbed: Testbed) -> Outcome:
    """Environments of one run draw different things."""
    run = _run(testbed, num_envs=NUM_ENVS)
    drawn = _states(run)
    alike = [
        (one, other)
        for one, other in combinations(range(NUM_ENVS), 2)
        if all(ours == theirs for ours, theirs in zip(drawn[one], drawn[other], strict=False))
    ]
    seeds = [env.log.seeds[0] for env in run.trial.played]
    return Outcome(
        holds=not alike,
        expected=f"{NUM_ENVS} environments draw {NUM_ENVS} different things",
        actual=f"environments {alike[0][0]} and {alike[0][1]} drew the same; first resets had "
        f"seeds {seeds}"
        if alike
        else "all different",
        compared=sum(map(len, drawn)),
    )


EPISODES: Final = 48


def episodes_start_differently(testbed: Testbed) -> Outcome:
    """Episodes of one step: the states they start in are about as many as there are."""
    trace = StepTrace(
        testbed, episode_steps=1, warmup_steps=EPISODES, batch_size=16, total_steps=EPISODES
    )
    trace.trial.train(EPISODES)
    starts = {step.state for step in trace.steps}
    needed = _distinct(EPISODES, len(OBSERVATIONS))
    return Outcome(
        holds=len(starts) >= needed,
        expected=f"{needed} or more different starts in {EPISODES} episodes",
        actual=f"{len(starts)}",
        compared=len(trace.steps),
    )


def _distinct(draws: int, values: int) -> int:
    """Least number of values that uniform draws show, but for one case in a hundred millions."""
    chances = [comb(values, shown) * (shown / values) ** draws for shown in range(values)]
    return 1 + max(shown for shown, chance in enumerate(chances) if chance < 1e-8)


def draws_follow_the_seed(testbed: Testbed) -> Outcome:
    """Draws from the memories of two runs of different seeds, after the same things happened."""
    drawn = []
    for seed in (testbed.seed, testbed.seed + 1):
        trial, _ = stamped_trial(testbed, seed=seed)
        trial.train(CAPACITY)
        drawn.append(list(sampled_stamps(trial, DRAWN_ROWS)))
    return indices_differ(*drawn)


def neighbours_share_no_environment(testbed: Testbed) -> Outcome:
    """Looks at the seeds of all environments of runs whose seeds follow each other."""
    seeds: dict[int, list[int | None]] = {}
    for seed in range(testbed.seed, testbed.seed + NEIGHBOURS):
        trace = _run(testbed, seed=seed, num_envs=NUM_ENVS)
        seeds[seed] = [given for env in trace.trial.played for given in env.log.seeds]
    return seeds_are_disjoint(seeds)


# States of the global generators that no run comes to by seeding them with its own seed.
ELSEWHERE: Final = (2**31 + 11, 2**31 + 12)


def other_generators_do_not_matter(testbed: Testbed) -> Outcome:
    """Two runs of one seed are equal whatever state the global generators were in before."""
    runs = []
    for number in ELSEWHERE:
        with global_generators(number):
            runs.append(_run(testbed))
    return _equal(*runs)


def leaves_global_generators_alone(testbed: Testbed) -> Outcome:
    """Making and training a subject does not move the global generators."""
    before, after = [], []
    for number in ELSEWHERE:
        with global_generators(number):
            before.append(global_states())
            _run(testbed)
            after.append(global_states())
    moved = [
        f"{name} was {'seeded' if after[0][name] == after[1][name] else 'drawn from'}"
        for name in before[0]
        if before[0][name] != after[0][name]
    ]
    return Outcome(
        holds=not moved,
        expected=f"global generators as they were: {', '.join(before[0])}",
        actual=", ".join(moved) or "as they were",
        compared=len(before[0]),
    )


def _run(testbed: Testbed, **settings: Any) -> StepTrace:
    """A short run: random steps, then half-greedy ones with updates in between."""
    values: dict[str, Any] = {"epsilon_initial": 0.5, "epsilon_final": 0.5, "num_envs": 1}
    values |= {"batch_size": 16, "warmup_steps": 60, "train_period_steps": 6, "total_steps": STEPS}
    trace = StepTrace(testbed, episode_steps=9, **(values | settings))
    trace.trial.train(STEPS)
    return trace


def _equal(one: StepTrace, other: StepTrace) -> Outcome:
    """Whether two runs are equal to the last bit; names their first difference."""
    difference = ""
    for index, (ours, theirs) in enumerate(zip(one.steps, other.steps, strict=False)):
        values, others = one.versions[ours.version], other.versions[theirs.version]
        if not np.array_equal(values, others):
            difference = f"Q-values differ by {np.abs(values - others).max():.3g}"
        elif ours != theirs:
            difference = f"environment, state and action {ours[:3]} against {theirs[:3]}"
        if difference:
            difference = f"at step {index} {difference}"
            break
    return Outcome(
        holds=not difference,
        expected="two runs of one seed equal in environments, actions and Q-values",
        actual=difference or "equal",
        compared=len(one.steps) + sum(values.size for values in one.versions),
    )


def _column(trace: StepTrace, name: str) -> list[int]:
    return [getattr(step, name) for step in trace.steps]


def _states(trace: StepTrace) -> list[list[int]]:
    """The states that each environment drew."""
    played = trace.by_env()
    if len(played) != NUM_ENVS:
        raise BrokenProtocol(
            "steps", f"{NUM_ENVS} environments to be played", f"{len(played)} were"
        )
    return [[step.state for step in steps] for steps in played]


CHECKS: Final = (
    Check(
        code="seeding.same-seed-same-run",
        component=Component.SEEDING,
        what="Two runs with equal settings take the same actions in the same states and end with "
        "the same Q-values, bit for bit.",
        why="Without it no difference between two runs can be traced to its cause, and no fault "
        "can be reproduced.",
        causes=(
            "random actions come from an action space that was never seeded",
            "the environments are not seeded",
            "replay memory or initial weights draw from a generator without a seed",
        ),
        seen=(
            "https://github.com/openai/gym/issues/2680",
            "https://github.com/vwxyzjn/cleanrl/issues/133",
            "https://github.com/sfujim/TD3/issues/36",
        ),
        experiment="compare the actions of two runs; find what drew the first one that differs",
        run=same_seed_same_run,
    ),
    Check(
        code="seeding.other-seed-other-run",
        component=Component.SEEDING,
        what="Two runs that differ in the seed alone start from other weights, take other random "
        "actions and meet other environments.",
        why="If seeds do not matter, the spread over them is zero, and a single lucky run is "
        "reported as many.",
        causes=(
            "a seed is hard-coded somewhere on its way",
            "seeds are set again, to a constant, by a helper or by the environment",
        ),
        seen=("https://github.com/google/dopamine/commit/238cd33",),
        experiment="print the seed where networks, explorer and environments are made",
        run=other_seed_other_run,
    ),
    Check(
        code="seeding.environments-are-seeded",
        component=Component.SEEDING,
        what="What an environment draws is the same in two runs with equal settings.",
        why="Curves of equal seeds differ otherwise, and no episode can be played again.",
        causes=(
            "the first reset is given no seed",
            "a wrapper does not pass the seed on",
            "an environment is made anew later on, without a seed",
        ),
        seen=(
            "https://github.com/openai/spinningup/pull/310",
            "https://github.com/thu-ml/tianshou/issues/861",
        ),
        experiment="reset twice with one seed through all wrappers; compare the observations",
        run=environments_are_seeded,
    ),
    Check(
        code="seeding.environments-differ",
        component=Component.SEEDING,
        what="Environments that are stepped together draw different things.",
        why="Copies of one environment bring the same data several times.",
        causes=(
            "all environments are given the same seed",
            "a closure in a loop is bound late: all environments get the last seed",
        ),
        seen=(
            "https://github.com/hill-a/stable-baselines/issues/675",
            "https://github.com/chainer/chainerrl/pull/455",
            "https://github.com/ray-project/ray/issues/46986",
            "https://github.com/pytorch/rl/issues/4208",
        ),
        experiment="print the seed that each environment is reset with",
        run=environments_differ,
    ),
    Check(
        code="seeding.draws-follow-the-seed",
        component=Component.SEEDING,
        needs=("sample",),
        what="Two runs of different seeds draw different rows from their memories.",
        why="Runs that share the order of their batches are no independent evidence: a mean over "
        "seeds looks surer than it is.",
        causes=(
            "the generator of the memory is seeded with a constant",
            "the seed does not reach the memory",
        ),
        seen=("https://github.com/google/dopamine/commit/238cd33",),
        experiment="print the first indices that two runs of different seeds draw",
        run=draws_follow_the_seed,
    ),
    Check(
        code="seeding.neighbouring-runs-share-no-environment",
        component=Component.SEEDING,
        what="Runs with neighbouring seeds have no environment seed in common.",
        why="Seeds of environments that are counted up from the run's seed overlap: environment 1 "
        "of one run is environment 0 of the next, and runs that look independent are not.",
        causes=("each environment is seeded with seed + its number",),
        seen=("https://github.com/ray-project/ray/issues/46986",),
        experiment="print the seeds that the environments of seeds 0 and 1 are reset with",
        run=neighbours_share_no_environment,
    ),
    Check(
        code="seeding.episodes-start-differently",
        component=Component.SEEDING,
        what="Successive episodes of one environment start in different states, where the "
        "environment draws them.",
        why="An agent that sees a single start learns one path by heart.",
        causes=(
            "every reset is given the same seed",
            "a wrapper seeds its generator anew at each reset",
        ),
        seen=(),
        experiment="print the seed of each reset: only the first should have one",
        run=episodes_start_differently,
    ),
    Check(
        code="seeding.independent-of-global-generators",
        component=Component.SEEDING,
        what="A run does not depend on what was drawn from global generators before it was made.",
        why="Otherwise an import or a second run in the same process changes the results.",
        causes=(
            "something draws from random, numpy.random or torch without seeding it",
            "the networks are made before the seed is set",
        ),
        seen=("https://github.com/sfujim/TD3/issues/36",),
        experiment="draw a number from each global generator before the run; find what changes",
        run=other_generators_do_not_matter,
    ),
    Check(
        code="seeding.leaves-global-generators-alone",
        component=Component.SEEDING,
        what="Setting a run up and training neither seeds nor moves the global generators.",
        why="Two runs in one process, or an evaluation in between, would move each other's random "
        "numbers.",
        causes=("a run seeds the global generators", "a run draws from the global generators"),
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/blob/master/stable_baselines3/common/utils.py",
        ),
        experiment="give the run generators of its own; compare the global states before and after",
        run=leaves_global_generators_alone,
        advises=True,
    ),
)
