"""Exploration: when actions are random, when they are greedy, and how random they are."""

from __future__ import annotations

from functools import partial
from itertools import combinations, pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from probes.checks.check import Check, Component
from probes.checks.support.chance import ChanceTally, weigh
from probes.checks.support.testbed import Testbed
from probes.checks.support.tracing import Step, StepTrace
from probes.checks.support.variants import require_plain
from probes.outcome import Outcome
from probes.subject import BrokenProtocol

# So slow that the greedy actions stay what they are, while updates go on as always.
SLOW: Final = 1e-6
# The first greedy step may come so many steps late.
LEEWAY: Final = 8


RANDOM_STEPS: Final = 240
WARMING_UP: Final = (RANDOM_STEPS, RANDOM_STEPS)  # steps of the warm-up, and in all


def acts_at_random(
    warmup_steps: int, total_steps: int, epsilon: float, testbed: Testbed
) -> Outcome:
    """In the last steps all actions are alike, whatever is best or was done before."""
    require_plain(testbed, "epsilon_greedy")
    num_actions = 4
    trace = StepTrace(
        testbed,
        num_actions=num_actions,
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        learning_rate=SLOW,
        epsilon_initial=epsilon,
        epsilon_final=epsilon,
    )
    trace.trial.train(total_steps)
    steps = trace.steps[total_steps - RANDOM_STEPS : total_steps]
    actions = np.array([step.action for step in steps])
    seen = {f"actions are action {action}": actions == action for action in range(num_actions)}
    seen["actions are the greedy one"] = np.array([trace.is_first_choice(step) for step in steps])
    # The first is compared with the last, so that there are as many pairs as actions.
    seen["actions are the one before"] = actions == np.roll(actions, 1)
    chance = 1 / num_actions
    return weigh(
        [
            ChanceTally(what, int(is_so.sum()), len(is_so), chance, chance)
            for what, is_so in seen.items()
        ]
    )


def acts_greedily(testbed: Testbed) -> Outcome:
    """Epsilon is zero: after warming up every action is a best one, while values change."""
    require_plain(testbed, "epsilon_greedy")
    warmup, steps = 64, 320
    trace = StepTrace(
        testbed,
        warmup_steps=warmup,
        total_steps=warmup + steps,
        train_period_steps=4,
        sync_period_updates=40,
        learning_rate=1e-2,
        epsilon_initial=0.0,
        epsilon_final=0.0,
    )
    trace.trial.train(warmup + steps)
    acted = trace.steps[warmup + LEEWAY :]
    others = [step for step in acted if not trace.is_greedy(step)]
    return Outcome(
        holds=not others,
        expected=f"{len(acted)} of {len(acted)} actions have the largest Q-value",
        actual=f"{len(acted) - len(others)}" + (_choice(trace, others[0]) if others else ""),
        compared=len(acted),
    )


def _choice(trace: StepTrace, step: Step) -> str:
    values = trace.versions[step.version][step.state]
    return f"; action {step.action} was taken at Q-values {np.round(values, 3).tolist()}"


WARMUP: Final = 32
DECAY: Final = 480
SCHEDULE: Final[dict[str, Any]] = {
    "warmup_steps": WARMUP,
    "total_steps": WARMUP + DECAY + 240,
    "train_period_steps": 6,
    "learning_rate": SLOW,
    "epsilon_initial": 1.0,
    "epsilon_final": 0.1,
    "epsilon_decay_steps": DECAY,
}
# Between these steps actions are counted: in thirds of the decay, and after it.
EDGES: Final = (*range(WARMUP, WARMUP + DECAY + 1, DECAY // 3), SCHEDULE["total_steps"])


def scheduled(step: int) -> tuple[float, float]:
    """Epsilon after so many steps: decaying from the first step, or from the end of warming up."""
    early, late = (min(max(since, 0) / DECAY, 1.0) for since in (step, step - WARMUP))
    return 1.0 - 0.9 * early, 1.0 - 0.9 * late


def follows_the_schedule(num_envs: int, testbed: Testbed) -> Outcome:
    """The share of actions that are not greedy falls as epsilon does, over many episodes."""
    require_plain(testbed, "epsilon_greedy")
    num_actions = 8  # a random action is seldom the greedy one
    settings = SCHEDULE | {"num_envs": num_envs}
    trace = StepTrace(testbed, num_actions=num_actions, episode_steps=20, **settings)
    trace.trial.train(SCHEDULE["total_steps"])
    tallies = []
    for first, last in pairwise(EDGES):
        chances = np.array([scheduled(step) for step in range(first, last)]).mean(axis=0)
        least, most = (chances * (num_actions - 1) / num_actions).tolist()
        others = sum(not trace.is_greedy(step) for step in trace.steps[first:last])
        what = f"actions of steps {first} to {last} are not greedy"
        tallies.append(ChanceTally(what, others, last - first, least, most))
    return weigh(tallies)


def reports_epsilon_as_set(testbed: Testbed) -> Outcome:
    """The epsilon that the subject reports lies on the schedule, at its end exactly."""
    require_plain(testbed, "epsilon_greedy")
    trace = StepTrace(testbed, **SCHEDULE)
    # Epsilon may be worked out once for each update.
    leeway = 0.9 / DECAY * 2 * SCHEDULE["train_period_steps"]
    compared: list[tuple[bool, str, str]] = []
    while trace.trial.steps < SCHEDULE["total_steps"] - 60:
        trace.trial.train(60)
        epsilon = float(trace.trial.subject.epsilon())
        least, most = scheduled(trace.trial.steps)
        off = max(least - epsilon, epsilon - most)
        expected = f"epsilon from {least:.3f} to {most:.3f} after {trace.trial.steps} steps"
        compared.append((off <= (leeway if most > least else 1e-6), expected, f"{epsilon:.3f}"))
    # The first that is wrong, if any.
    return Outcome(*min(compared, key=lambda one: one[0]), compared=len(compared))


NUM_ENVS: Final = 3
TICKS: Final = 200


def coins_differ(testbed: Testbed) -> Outcome:
    """Whether one environment explores says nothing of whether another one does."""
    warmup_ticks = 12
    _, greedy = _acted_together(testbed, 8, warmup_ticks, 0.25)
    explored = ~greedy[:, warmup_ticks:]
    tallies = []
    for one, other in combinations(range(NUM_ENVS), 2):
        what = f"actions of environment {other} are not greedy when those of {one} are not"
        together, share = explored[other, explored[one]], float(explored[other].mean())
        tallies.append(ChanceTally(what, int(together.sum()), len(together), share, share))
    return weigh(tallies)


def actions_differ(testbed: Testbed) -> Outcome:
    """The random action of one environment says nothing of another one's."""
    num_actions = 4
    actions, _ = _acted_together(testbed, num_actions, TICKS // 2, 1.0)
    tallies = []
    for one, other in combinations(range(NUM_ENVS), 2):
        what = f"actions of environments {one} and {other} are the same"
        same = int((actions[one] == actions[other]).sum())
        tallies.append(ChanceTally(what, same, TICKS, 1 / num_actions, 1 / num_actions))
    return weigh(tallies)


def _acted_together(
    testbed: Testbed, num_actions: int, warmup_ticks: int, epsilon: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The actions of each environment at each tick, [N, T], and whether they were greedy."""
    require_plain(testbed, "epsilon_greedy")
    trace = StepTrace(
        testbed,
        num_actions=num_actions,
        num_envs=NUM_ENVS,
        batch_size=16,
        warmup_steps=NUM_ENVS * warmup_ticks,
        total_steps=NUM_ENVS * TICKS,
        train_period_steps=6,
        learning_rate=SLOW,
        epsilon_initial=epsilon,
        epsilon_final=epsilon,
    )
    trace.trial.train(NUM_ENVS * TICKS)
    ticks = [steps[:TICKS] for steps in trace.by_env()]
    if [len(steps) for steps in ticks] != [TICKS] * NUM_ENVS:
        raise BrokenProtocol(
            "steps", f"{TICKS} steps in each of {NUM_ENVS} environments", f"{[*map(len, ticks)]}"
        )
    actions = [[step.action for step in steps] for steps in ticks]
    greedy = [[trace.is_greedy(step) for step in steps] for steps in ticks]
    return np.array(actions), np.array(greedy)


CHECKS: Final = (
    *(
        Check(
            code=f"exploration.{code}",
            component=Component.EXPLORATION,
            what=f"{when} all actions are equally likely, independently of the Q-values and of "
            "each other.",
            why="An action that is never tried is never valued, and nothing in the loss shows it.",
            causes=(
                "an upper bound of the random action is off by one, or the agent has other "
                "actions than the environment",
                "the random number is compared with epsilon the wrong way round, or with an "
                "epsilon that is not set yet",
                "the random action is drawn once for an episode, or leaves out the greedy one",
            ),
            seen=(
                "https://github.com/Lightning-AI/pytorch-lightning/issues/9620",
                "https://github.com/dennybritz/reinforcement-learning/issues/30",
            ),
            experiment="print epsilon, and count the actions, over some hundred random steps",
            variants=("epsilon_greedy",),
            run=partial(acts_at_random, warmup_steps, total_steps, epsilon),
        )
        for code, when, warmup_steps, total_steps, epsilon in (
            ("random-while-warming-up", "Until the warm-up is over", *WARMING_UP, 1.0),
            (
                "random-while-warming-up-at-epsilon-zero",
                "Until the warm-up is over, and epsilon zero thereafter,",
                *WARMING_UP,
                0.0,
            ),
            ("uniform-when-epsilon-is-one", "While epsilon is one", 60, 60 + RANDOM_STEPS, 1.0),
        )
    ),
    Check(
        code="exploration.greedy-when-epsilon-is-zero",
        component=Component.EXPLORATION,
        what="While epsilon is zero every action has the largest Q-value of the online network at "
        "the present observation.",
        why="Values are then learned for a policy that is not the one followed; returns stay low "
        "while the loss looks fine.",
        causes=(
            "epsilon never reaches the choice of the action",
            "the action is chosen at the observation before, or by the target network",
            "the argmax runs over the wrong axis, or is an argmin",
        ),
        seen=(
            "https://github.com/Lightning-AI/pytorch-lightning/issues/9620",
            "https://github.com/google-deepmind/rlax/issues/102",
        ),
        experiment="set epsilon to zero; print observation, Q-values and action of each step",
        variants=("epsilon_greedy",),
        run=acts_greedily,
    ),
    *(
        Check(
            code=f"exploration.follows-the-schedule.{num_envs}-env{'s' * (num_envs > 1)}",
            component=Component.EXPLORATION,
            what="The share of random actions falls in a straight line over the steps that were "
            "asked for, whatever episodes end meanwhile, and stays at its final value.",
            why="An agent that stops exploring too early settles on what it saw first; one that "
            "never stops cannot show what it has learned.",
            causes=(
                "the schedule is given another unit: progress, updates, or ticks of all "
                "environments instead of steps",
                "the step counter starts again with each episode or each call",
                "min and max, or the order of operations, pin epsilon at one end",
            ),
            seen=(
                "https://github.com/Lightning-AI/pytorch-lightning/issues/9620",
                "https://github.com/google-deepmind/rlax/issues/102",
                "https://github.com/DLR-RM/stable-baselines3/commit/fd5153b9",
            ),
            experiment="print epsilon with the step at the start, after two episodes, at the end",
            variants=("epsilon_greedy",),
            run=partial(follows_the_schedule, num_envs),
        )
        for num_envs in (1, NUM_ENVS)
    ),
    Check(
        code="exploration.epsilon-as-set",
        component=Component.EXPLORATION,
        needs=("epsilon",),
        what="Epsilon lies on the straight line that was asked for, at its end exactly.",
        why="It is the number that logs show; if it is wrong, exploration is, or the logs are.",
        causes=(
            "the schedule is given another unit than steps",
            "min and max, or the order of operations, pin epsilon at one end",
        ),
        seen=(
            "https://github.com/Lightning-AI/pytorch-lightning/issues/9620",
            "https://github.com/DLR-RM/stable-baselines3/commit/fd5153b9",
        ),
        experiment="evaluate the schedule by hand at its start, its middle and its end",
        variants=("epsilon_greedy",),
        run=reports_epsilon_as_set,
    ),
    Check(
        code="exploration.coin-for-each-environment",
        component=Component.EXPLORATION,
        what="Whether one environment takes a random action is independent of the others.",
        why="With a shared coin all environments explore at once: their data come in bursts, and "
        "fewer environments are worth having.",
        causes=("one random number is compared with epsilon for the whole vector of actions",),
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/blob/master/stable_baselines3/dqn/dqn.py",
        ),
        experiment="draw as many random numbers for a choice as there are environments",
        variants=("epsilon_greedy",),
        run=coins_differ,
    ),
    Check(
        code="exploration.random-action-for-each-environment",
        component=Component.EXPLORATION,
        what="The random actions of one environment are independent of those of the others.",
        why="Environments that do the same are correlated: a batch holds fewer different things.",
        causes=(
            "one random action is given to all environments",
            "each environment has a generator of its own, made from the same seed",
        ),
        seen=(
            "https://github.com/openai/gym/issues/2680",
            "https://github.com/ray-project/ray/issues/46986",
        ),
        experiment="print the actions of all environments side by side while epsilon is one",
        variants=("epsilon_greedy",),
        run=actions_differ,
    ),
)
