"""What an evaluation reports is what it played, and it changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.replay_audit import stamped_trial
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.properties.weights import modes_are_equal
from probes.subject import Array
from probes.worlds.env import WorldEnv, observations
from probes.worlds.stamped_env import Stamp, draw_vector
from probes.worlds.tables import REWARD_BY_OBS_AND_ACTION
from probes.worlds.world import World

EPISODES: Final = 7
STEPS: Final = 96
CHOICES: Final = 300  # episodes of one step
# An epsilon of 0.1 is common and makes 15 of these actions not the best, give or take 4; one of
# 0.5 makes it 75, give or take 8.
MOST_STRAY: Final = 0.14


def big_and_small(stamp: Stamp) -> float:
    """Rewards whose sums change if clipped or discounted, and differ for all episodes."""
    name = (stamp.episode + 40 * stamp.env) / 1000 if stamp.age == 0 else 0.0
    return name + (2.5, -1.5, 0.25, 3.0)[stamp.age % 4]


@dataclass(frozen=True)
class Evaluated:
    """An evaluation in the counter world.

    Attributes:
        reported: returns, to four decimals.
        played: undiscounted raw returns of the whole episodes played meanwhile, in order, of each
            environment, to four decimals.
    """

    reported: list[float]
    played: list[list[float]]


def evaluated(testbed: Testbed, times: int = 1) -> Evaluated:
    """Evaluates a subject in the midst of its training, once or several times; the last counts."""
    trial, ledger = stamped_trial(testbed, reward=big_and_small, total_steps=2 * STEPS)
    trial.train(STEPS)
    begun: Counter[int] = Counter()
    reported: Sequence[float] = []
    for _ in range(times):
        # An episode that is cut short before is no episode of the evaluation.
        begun = Counter(stamp.env for stamp in ledger.shown if stamp.age == 0)
        reported = trial.subject.evaluate(EPISODES)
    played = [ledger.returns(env, since=begun[env]) for env in range(len(trial.watched))]
    return Evaluated(_rounded(reported), [_rounded(returns) for returns in played])


def returns_are_raw(times: int, testbed: Testbed) -> Outcome:
    """Looks for each reported return among those of the episodes played."""
    seen = evaluated(testbed, times)
    played = [total for env in seen.played for total in env]
    invented = [total for total in seen.reported if total not in played]
    return Outcome(
        holds=not invented,
        expected=f"{EPISODES} of the returns {_returns_text(played)}",
        actual=_returns_text(seen.reported),
        compared=len(seen.reported),
    )


def all_episodes_count(testbed: Testbed) -> Outcome:
    """Looks for episodes that were played to their end, and left out."""
    seen = evaluated(testbed)
    in_order = [played for played in seen.played if played]
    whole = sum(map(len, in_order))
    left_out = max(0, whole - EPISODES)
    if len(in_order) > 1:  # what one plays on while others finish may well be left out
        left_out = sum(_gaps(played, seen.reported) for played in in_order)
    return Outcome(
        holds=len(seen.reported) == EPISODES and whole >= EPISODES and not left_out,
        expected=f"{EPISODES} episodes played to their end and reported, none left out",
        actual=f"{whole} played, {len(seen.reported)} reported, {left_out} left out",
        compared=max(whole, len(seen.reported)),
    )


def _gaps(played: list[float], reported: list[float]) -> int:
    """Returns that were not reported, before the last one that was."""
    found = [total in reported for total in played]
    return found[: len(found) - found[::-1].index(True)].count(False) if any(found) else 0


class Chooser(WorldEnv):
    """A world that notes each state and the action chosen in it.

    Args:
        world: the table; may be exchanged later.
        chosen: where it is noted.
    """

    def __init__(self, world: World, chosen: list[tuple[int, int]]) -> None:
        super().__init__(world, "vector")
        self._chosen = chosen

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self._chosen.append((self._passed[-1], action))
        return super().step(action)


def acts_on_q_values(testbed: Testbed) -> Outcome:
    """Trains towards the actions that seemed worst, and evaluates."""
    tables = [REWARD_BY_OBS_AND_ACTION]
    chosen: list[tuple[int, int]] = []
    # Never synced, the target network is left with the values of the start.
    trial = testbed.trial(
        lambda _: Chooser(tables[-1], chosen),
        total_steps=300, sync_period_updates=1_000, learning_rate=2e-3,
    )  # fmt: skip
    shown = observations(tables[0], "vector")
    worst = trial.q_table(shown).argmin(axis=1)
    rewards = np.where(np.arange(2) == worst[:, None], 2.0, -2.0)
    tables.append(replace(tables[0], reward=rewards))
    for env in trial.watched:
        cast("Chooser", env.unwrapped).world = tables[-1]
    trial.train(300)
    greedy = trial.q_table(shown).argmax(axis=1)
    chosen.clear()
    trial.subject.evaluate(CHOICES)
    strays = sum(action != greedy[state] for state, action in chosen)
    return Outcome(
        holds=strays <= MOST_STRAY * len(chosen),
        expected=f"at most {MOST_STRAY:.0%} of {len(chosen)} actions not the best by q_values",
        actual=f"{strays / max(1, len(chosen)):.0%}",
        compared=len(chosen),
    )


def training_is_left_alone(testbed: Testbed) -> Outcome:
    """Compares a run that is evaluated half-way with one that is not."""
    evaluated, plain = _run(testbed, evaluating=True), _run(testbed, evaluating=False)
    if evaluated != plain and _run(testbed, evaluating=False) != plain:
        return Outcome(
            holds=None,
            expected="the same run from the same seed, so that two can be compared",
            actual="it differs without any evaluation",
            compared=sum(map(len, plain.values())),
        )
    moved = [part for part in evaluated if evaluated[part] != plain[part]]
    return Outcome(
        holds=not moved,
        expected="the same run as without evaluating",
        actual=f"other {' and '.join(moved)}" if moved else "the same",
        compared=sum(map(len, plain.values())),
    )


def mode_is_restored(testbed: Testbed) -> Outcome:
    """Compares which modules are in training mode before an evaluation and after the next update.

    An update may well begin by choosing the mode.
    """
    trial, _ = stamped_trial(testbed, total_steps=2 * STEPS)
    modes = []
    for _ in range(2):
        trial.train(STEPS)
        modes.append({name: one.training for name, one in trial.subject.online_net.named_modules()})
        trial.subject.evaluate(EPISODES)
    return modes_are_equal(*modes)


def _run(testbed: Testbed, *, evaluating: bool) -> dict[str, list[Any]]:
    """What there is to see of a run: values half-way and at its end, and actions in training."""
    trial, ledger = stamped_trial(
        testbed,
        reward=lambda stamp: stamp.age - 1.0,
        total_steps=2 * STEPS, warmup_steps=STEPS // 2, epsilon_initial=0.5, epsilon_final=0.5,
    )  # fmt: skip
    trial.train(STEPS)
    first, aside = len(ledger.taken), len(ledger.taken)
    if evaluating:
        trial.subject.evaluate(EPISODES)
        aside = len(ledger.taken)
    # Shown in no episode of its own: these would depend on how environments are numbered.
    shown = np.stack([draw_vector(Stamp(0, 0, age)) for age in range(4)])
    halfway = trial.q_table(shown)
    trial.train(STEPS)
    steps = list(ledger.taken.values())
    return {
        "values right after it": halfway.ravel().tolist(),
        "actions": [step.action for step in steps[:first] + steps[aside:]],
        "values in the end": trial.q_table(shown).ravel().tolist(),
    }


def _rounded(returns: Sequence[float]) -> list[float]:
    """To four decimals, so that the precision in which they were summed does not matter."""
    return [round(float(total), 4) for total in returns]


def _returns_text(returns: list[float]) -> str:
    return ", ".join(f"{total:.3f}" for total in returns) or "none"


CHECKS: Final = (
    Check(
        code="evaluation.returns-are-raw",
        component=Component.EVALUATION,
        needs=("evaluate",),
        what="Reported returns are undiscounted sums of the rewards that the environment gave.",
        why="Returns of clipped or discounted rewards, or of one life, look like results, but "
        "cannot be compared with published ones.",
        causes=(
            "rewards are clipped before they are summed",
            "the environment of the learner is evaluated in, with its wrappers",
            "the sum goes on into the next episode, or is cut at a lost life",
            "the discount is applied",
        ),
        seen=(
            "https://github.com/keiohta/tf2rl/issues/31",
            "https://github.com/kengz/SLM-Lab/pull/263",
            "https://github.com/vwxyzjn/cleanrl/commit/02f36c4e",
        ),
        experiment="sum the rewards of one episode by hand, and compare",
        run=partial(returns_are_raw, 1),
    ),
    Check(
        code="evaluation.twice-gives-whole-episodes",
        component=Component.EVALUATION,
        needs=("evaluate",),
        what="The second evaluation of a run reports whole episodes, too.",
        why="Where an environment or a sum is left in the middle of an episode, each evaluation "
        "after the first one begins with half of one.",
        causes=(
            "environments of the evaluation are not reset when it begins",
            "the sums of rewards are members, and are not cleared",
        ),
        seen=("https://github.com/huggingface/deep-rl-class/issues/37",),
        experiment="evaluate twice in a row where all episodes have one return",
        run=partial(returns_are_raw, 2),
    ),
    Check(
        code="evaluation.restores-the-mode",
        component=Component.EVALUATION,
        needs=("evaluate", "online_net"),
        what="After an evaluation every module is in training mode, or not, as before.",
        why="Left in evaluation mode, batch normalisation keeps its statistics for the rest of the "
        "run, and dropout and noise are off; learning goes on, as that of another agent.",
        causes=("eval() is called before the evaluation, and train() never again",),
        seen=("https://github.com/huggingface/lerobot/issues/3668",),
        experiment="print online_net.training before and after",
        run=mode_is_restored,
    ),
    Check(
        code="evaluation.all-episodes-count",
        component=Component.EVALUATION,
        needs=("evaluate",),
        what="As many episodes are reported as were asked for, and none that was played is left "
        "out, however it ended.",
        why="The episodes that a time limit cuts are often the best or the worst ones; a mean "
        "without them is another quantity.",
        causes=(
            "an episode is counted on termination and not on truncation",
            "the first episodes to end are taken, whichever environment they come from",
            "the number of episodes is rounded to environments",
        ),
        seen=("https://github.com/huggingface/deep-rl-class/issues/37",),
        experiment="evaluate where every episode is cut by a time limit",
        run=all_episodes_count,
    ),
    Check(
        code="evaluation.acts-on-q-values",
        component=Component.EVALUATION,
        needs=("evaluate",),
        what="An evaluation takes the best actions by the present Q-values, but for a few.",
        why="Evaluated with the exploration of training, or with the weights of another time, a "
        "good agent looks bad, or a broken one good.",
        causes=(
            "epsilon is that of training, or fixed somewhere else",
            "the target network acts, or a stored network that is not the present one",
        ),
        seen=(
            "https://github.com/vwxyzjn/cleanrl/issues/430",
            "https://github.com/watts4speed/fast-dqn-caffe/issues/10",
            "https://github.com/chainer/chainerrl/issues/559",
        ),
        experiment="print epsilon, and which network acts, during an evaluation",
        run=acts_on_q_values,
    ),
    Check(
        code="evaluation.leaves-training-alone",
        component=Component.EVALUATION,
        needs=("evaluate",),
        what="A run that is evaluated half-way is the run that is not, action for action.",
        why="If measuring changes what is measured, no two runs with other evaluations can be "
        "compared.",
        causes=(
            "evaluation and training share an environment",
            "evaluation and training draw from one generator, or one seeds it again",
            "evaluated steps are counted, stored or learned from",
        ),
        seen=(
            "https://github.com/fhswf/MLPro/issues/271",
            "https://github.com/google-deepmind/mujoco/issues/1259",
        ),
        experiment="evaluate twice as often with the same seed, and see where the runs part",
        run=training_is_left_alone,
    ),
)
