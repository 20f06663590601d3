"""A resumed run goes on as the one that was saved does.

Where values are compared, one transition is all there is: any batch is then like any other, so that
neither random numbers nor the state of an emulator, which not every implementation saves, can make
a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.checkpoints import LOOP, ROUNDING, resumed, values_text
from probes.checks.support.testbed import Testbed, Trial
from probes.outcome import Outcome
from probes.subject import Array
from probes.worlds.env import WorldEnv, observations
from probes.worlds.tables import REWARD_BY_ACTION

PIECE: Final = 4  # steps between two looks; it does not divide the sync period
GREEDY_STEPS: Final = 60
# Of these steps half would be no longer greedy if exploration began anew, give or take 4.
STRAY: Final = 5


def learning_goes_on(testbed: Testbed) -> Outcome:
    """Compares Q-values all through the second half."""
    both = resumed(testbed, lambda _: WorldEnv(LOOP, "vector"))
    shown = observations(LOOP, "vector")
    saved, loaded = (_trace(trial, lambda trial: trial.q_table(shown)) for trial in both)
    if np.ptp(saved) <= ROUNDING:
        return Outcome(
            holds=None,
            expected="Q-values that move while training, so that two runs can be compared",
            actual="they stayed as they were",
            compared=len(saved),
        )
    apart = np.abs(loaded - saved).max(axis=(1, 2)) > ROUNDING
    first = int(apart.argmax())
    return Outcome(
        holds=not apart.any(),
        expected=f"Q = {saved[first].item():.5f} {PIECE * first} steps after loading",
        actual=f"{loaded[first].item():.5f}",
        compared=len(apart),
    )


def target_goes_on(testbed: Testbed) -> Outcome:
    """Compares when the target network moves in the second half, with two environments."""
    both = resumed(testbed, lambda _: WorldEnv(LOOP, "vector"), num_envs=2)
    shown = observations(LOOP, "vector")
    saved, loaded = (
        _trace(trial, lambda trial: np.array(trial.subject.target_values(shown.copy())))
        for trial in both
    )
    kept = bool(np.abs(loaded[0] - saved[0]).max() <= ROUNDING)
    due, syncs = _moves(saved), _moves(loaded)
    return Outcome(
        holds=kept and due == syncs,
        expected=f"target values {values_text(saved[0])} as saved, "
        f"moving {due} steps after loading",
        actual=f"{values_text(loaded[0])}, moving {syncs} steps after it",
        compared=saved[0].size + len(due),
    )


def _trace(trial: Trial, look: Callable[[Trial], Array]) -> Array:
    """What is seen at every few steps of the second half, [looks, ...]."""
    seen = [look(trial)]
    for _ in range(0, trial.settings.total_steps // 2, PIECE):
        trial.train(PIECE)
        seen.append(look(trial))
    return np.stack(seen)


def _moves(trace: Array) -> list[int]:
    """Steps after which something else is seen than before."""
    moved = np.abs(np.diff(trace, axis=0)).max(axis=(1, 2)) > 0
    return [int(index + 1) * PIECE for index in np.flatnonzero(moved)]


def exploration_goes_on(testbed: Testbed) -> Outcome:
    """Counts actions that are not greedy, after epsilon has fallen to 0."""
    both = resumed(
        testbed,
        lambda _: WorldEnv(REWARD_BY_ACTION, "vector"),
        steps=300, warmup_steps=GREEDY_STEPS,
        epsilon_final=0.0, epsilon_decay_steps=GREEDY_STEPS,
    )  # fmt: skip
    shown = observations(REWARD_BY_ACTION, "vector")
    greedy = int(both[0].q_table(shown).argmax())
    strays = []
    for trial in both:
        before = trial.steps
        trial.train(GREEDY_STEPS)
        taken = [action for env in trial.played for action in env.log.actions]
        strays.append(sum(action != greedy for action in taken[before:]))
    return Outcome(
        holds=strays[1] <= strays[0] + STRAY,
        expected=f"{strays[0]} of {GREEDY_STEPS} actions not greedy, as without loading",
        actual=f"{strays[1]} of them",
        compared=GREEDY_STEPS,
    )


CHECKS: Final = (
    Check(
        code="checkpoints.learning-goes-on",
        component=Component.CHECKPOINTS,
        needs=("save", "load"),
        what="Where all transitions are alike, Q-values after loading take the very course that "
        "they take in the run that was saved.",
        why="A resumed run that differs from the unbroken one is another experiment: its curve "
        "dips where it was resumed, and no seed makes it comparable.",
        causes=(
            "the state of the optimizer is not saved",
            "the target network is not saved, or its sync begins anew",
            "the run warms up again after loading",
            "the counters of steps or updates start from 0",
        ),
        seen=(
            "https://github.com/google/dopamine/commit/1028f63",
            "https://github.com/hill-a/stable-baselines/issues/93",
            "https://github.com/ray-project/ray/issues/13132",
        ),
        experiment="look at which of the other checks of checkpoints is red; else compare the "
        "first update after loading with the same one of the unbroken run",
        run=learning_goes_on,
    ),
    Check(
        code="checkpoints.target-goes-on",
        component=Component.CHECKPOINTS,
        needs=("save", "load", "target_values"),
        what="After loading, the target network is the one that was saved, and moves when it "
        "would have moved.",
        why="A target that never moves again stops learning; one that moves too often chases "
        "itself; one copied from the online network bootstraps from values that it never had.",
        causes=(
            "the counter that syncs is not saved, or is compared with one that is",
            "the sync period is scaled by the number of environments once more on loading",
            "the target network is not saved",
        ),
        seen=(
            "https://github.com/ray-project/ray/pull/14838",
            "https://github.com/DLR-RM/stable-baselines3/issues/1463",
            "https://github.com/google-deepmind/open_spiel/pull/1620",
        ),
        experiment="print the counter and the period of the sync before saving and after loading",
        run=target_goes_on,
    ),
    Check(
        code="checkpoints.exploration-goes-on",
        component=Component.CHECKPOINTS,
        needs=("save", "load"),
        what="After loading, as many actions are random as without.",
        why="An explorer that starts anew fills the memory with random actions, and returns fall "
        "until it has decayed once more.",
        causes=(
            "epsilon, or the step that it depends on, is not saved",
            "the run warms up again after loading",
        ),
        seen=(
            "https://github.com/pfnet/pfrl/issues/183",
            "https://github.com/keon/deep-q-learning/issues/15",
        ),
        experiment="print the step and epsilon right after loading",
        run=exploration_goes_on,
    ),
)
