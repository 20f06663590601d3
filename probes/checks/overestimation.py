"""A world in which plain DQN overestimates by a known amount, and double DQN does not.

One state leads to another, in which each of three actions ends the task. What they pay turns: in
each *spell* one pays nothing, one a prize, and one costs as much; the one that pays nothing has the
prize in the next spell, and the cost after that. In the long run all are worth nothing. But the
replay memory is shorter than a spell, and a spell is as long as the target network lags. At the end
of each spell the online network has therefore learned this spell's rewards, and the target network
holds the last one's. A network that has not learned them by then is given longer spells.

    plain      bootstraps from the largest of last spell's rewards          gamma * prize
    double     from last spell's reward of the action that is best now      0, which is right

Chance does the same to any agent that learns from a noisy sample; a schedule does it by the same
amount in every spell, and with no luck.

References:
    van Hasselt 2010, "Double Q-learning", section 2; van Hasselt et al. 2016, "Deep Reinforcement
    Learning with Double Q-learning", "Overoptimism due to estimation errors" and equation 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import require_plain, unless_never_asked
from probes.outcome import Outcome
from probes.subject import Array, BrokenProtocol

Values = npt.NDArray[np.float64]

# Opposite, so that hidden units hardly share them and neither state's values pull at the other's.
OBSERVATIONS: Final = np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32)
TURNS: Final = (0.0, 1.0, -1.0)  # what an action pays in one spell after the other, in prizes
PRIZE: Final = 0.5  # errors stay within 1, where Huber's loss is a square
GAMMA: Final = 0.6
OVERESTIMATION: Final = GAMMA * PRIZE
WARMUP_STEPS: Final = 32
# Steps of a spell: the first try and longer ones.
SPELLS_STEPS: Final = (192, 576, 1_728)
SPELLS: Final = 4
SETTLING_SPELLS: Final = 2  # the one that the warm-up is in, and the one of the first sync
# Before the end of a spell: its rewards are learned by then, and however an agent counts, no sync
# is due yet.
LATE: Final = range(20, 4, -1)


class TurningRewards(gymnasium.Env[Array, int]):
    """Episodes of two steps; the second one pays what its action is worth in the present spell.

    A spell begins when the warm-up and so many whole spells are over. Syncs that are counted in
    updates fall on its first step, and those that are counted in steps a little before: both find
    the values of the last spell.

    Args:
        first: turn of action 0 in the first spell, 0 to 2.
        direction: turns from each action to the next, 1 or 2.
        spell_steps: length of a spell.
    """

    def __init__(self, first: int, direction: int, spell_steps: int) -> None:
        self.observation_space = gymnasium.spaces.Box(-1, 1, OBSERVATIONS[0].shape, np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(TURNS))  # type: ignore[assignment]  # np.int64 against int
        self._first = first
        self._direction = direction
        self._spell_steps = spell_steps
        self._steps = 0
        self._state = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Starts an episode; the spell goes on."""
        super().reset(seed=seed, options=options)
        self._state = 0
        return OBSERVATIONS[0].copy(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Goes on to the second state, or ends the task there; never truncates."""
        spell, _ = spell_of(self._steps, self._spell_steps)
        self._steps += 1
        if self._state == 0:
            self._state = 1
            return OBSERVATIONS[1].copy(), 0.0, False, False, {}
        turn = self._first + self._direction * int(action) + spell
        return OBSERVATIONS[0].copy(), PRIZE * TURNS[turn % len(TURNS)], True, False, {}


def _best(values: Values, by: Values) -> Values:
    """The values [T, A] of the actions that are best by others [T, A]."""
    chosen: Values = np.take_along_axis(values, by.argmax(axis=1)[:, None], axis=1)[:, 0]
    return chosen


# Next values [T] of Q-values [T, A] of the online and of the target network.
NEXT_VALUES: Final[dict[str, Callable[[Values, Values], Values]]] = {
    "plain": lambda _, target: _best(target, target),
    "double": lambda online, target: _best(target, online),
    "double with roles swapped": _best,
    "the online network alone": lambda online, _: _best(online, online),
    "a mean": lambda _, target: target.mean(axis=1),
    "a minimum": lambda _, target: target.min(axis=1),
}


def spell_of(steps: int, spell_steps: int) -> tuple[int, int]:
    """The spell after so many steps, and how many of its own are over."""
    return divmod(steps - WARMUP_STEPS, spell_steps)


def settings_of(spell_steps: int) -> dict[str, Any]:
    """Fields of `Settings` for spells of that length."""
    return {
        "gamma": GAMMA,
        "learning_rate": 2e-3,
        "warmup_steps": WARMUP_STEPS,
        "capacity": spell_steps // 3,
        "sync_period_updates": spell_steps,
        "total_steps": WARMUP_STEPS + SPELLS * spell_steps,
    }


def overestimates_as_asked(testbed: Testbed, *, double: bool) -> Outcome:
    """Lengthens the spells until the network learns within one, and a wrong value is confirmed."""
    require_plain(
        testbed,
        "tau",
        "sync_period_updates",
        "n_step",
        "reward_scale",
        "reward_clip",
        "reward_sign",
        "epsilon_greedy",
    )
    outcomes: list[Outcome] = []
    for spell_steps in SPELLS_STEPS:
        outcome, by_what_was_read = _overestimates(testbed, spell_steps, double=double)
        outcomes.append(outcome)
        if outcome.holds or [seen.holds for seen in outcomes[-2:]] == [False, False]:
            return by_what_was_read
    return replace(outcomes[-1], holds=None)


def _overestimates(testbed: Testbed, spell_steps: int, *, double: bool) -> tuple[Outcome, Outcome]:
    """Watches the second state's values from outside, and holds those of the first against them.

    Returns:
        The outcome, as it is and in the light of what the subject has read.
    """
    first, direction = np.random.Generator(np.random.Philox(key=testbed.seed)).integers(
        [0, 1], len(TURNS)
    )
    trial = testbed.trial(
        lambda _: TurningRewards(int(first), int(direction), spell_steps),
        double=double,
        **settings_of(spell_steps),
    )
    online: list[Values] = []
    target: list[Values] = []

    def look() -> None:
        spell, step = spell_of(trial.steps, spell_steps)
        if spell < SETTLING_SPELLS:
            return
        if step == 0:  # the target network is the online one as it is when the spell begins
            target.extend([trial.q_table(OBSERVATIONS)] * len(LATE))
        elif spell_steps - WARMUP_STEPS - step in LATE:
            online.append(trial.q_table(OBSERVATIONS))

    trial.before_step = look
    trial.train(trial.settings.total_steps)
    q, lagged = np.stack(online), np.stack(target[: len(online)])
    if q.shape[2] != len(TURNS):
        raise BrokenProtocol("shapes", f"{len(TURNS)} Q-values", f"q_values has {q.shape[2]}")
    predicted = {
        form: float(trial.settings.gamma * value(q[:, 1], lagged[:, 1]).mean())
        for form, value in NEXT_VALUES.items()
    }
    learned = float(q[:, 0].mean())
    outcome = _held_against(predicted, learned, q[:, 0].size, double=double)
    other = _held_against(predicted, learned, q[:, 0].size, double=not double)
    return outcome, unless_never_asked(outcome, trial, fits_other=bool(other.holds))


def _held_against(
    predicted: dict[str, float], learned: float, compared: int, *, double: bool
) -> Outcome:
    """An outcome from what each form of target would have taught, and what was learned."""
    gap = predicted["plain"] - predicted["double"]
    if gap < OVERESTIMATION / 2:
        return Outcome(
            holds=None,
            expected="Q(s1) to follow its rewards, so that plain and double targets are about "
            f"{OVERESTIMATION:.3f} apart",
            actual=f"{gap:.3f}, too little to distinguish plain from double",
            compared=compared,
        )
    asked, tolerance = "double" if double else "plain", gap / 4
    holds = abs(learned - predicted[asked]) <= tolerance
    fitting = [form for form, value in predicted.items() if abs(learned - value) <= tolerance]
    return Outcome(
        holds=holds,
        expected=f"Q(s0) = {predicted[asked]:.3f} ± {tolerance:.3f}, of {asked} targets",
        actual=f"{learned:.3f}"
        + (f", as if from: {' or '.join(fitting)}" if fitting and not holds else ""),
        compared=compared,
    )


CHECKS: Final = (
    Check(
        code="world.overestimation.plain",
        component=Component.TD_TARGET,
        what="Plain DQN overestimates rewards that do not last by gamma times the prize: it "
        "bootstraps from the largest of its target network's values.",
        why="An agent that overestimates less than plain DQN is not the one that was asked for; "
        "results are then compared with those of another algorithm.",
        causes=(
            "double DQN is used, or is on unless switched off",
            "the next value is a mean, a soft maximum or a minimum",
            "the target network is not the online one of the last sync",
        ),
        seen=(),
        experiment="print target and online Q-values of a batch's next observations, and which "
        "of them the targets hold",
        run=partial(overestimates_as_asked, double=False),
        variants=("tau", "n_step"),
    ),
    Check(
        code="world.overestimation.double",
        component=Component.TD_TARGET,
        what="Double DQN does not overestimate rewards that do not last: the online network "
        "chooses the action, and the older target network values it.",
        why="Without it double DQN is plain DQN by another name, and values of noisy tasks are "
        "too high; with roles swapped they are too low.",
        causes=(
            "double DQN is asked for, and the maximum of the target network is used",
            "one network both chooses and values",
            "the networks are swapped",
        ),
        seen=(
            "https://github.com/MaximeVandegar/Papers-in-100-Lines-of-Code/issues/21",
            "https://github.com/higgsfield/RL-Adventure/pull/5",
        ),
        experiment="run td.double-closed-form; print the chosen next actions and their values",
        run=partial(overestimates_as_asked, double=True),
        variants=("tau", "n_step"),
    ),
)
