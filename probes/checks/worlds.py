"""Learning in worlds with solved Q-values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.settling import settle
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import Variant, as_learned, require_plain
from probes.outcome import Outcome
from probes.subject import BrokenProtocol, Settings
from probes.worlds.env import View, WorldEnv, observations
from probes.worlds.tables import (
    BRANCHING,
    CONSTANT_REWARD,
    DELAYED_REWARD,
    FLICKER,
    NOISY_REWARD,
    REWARD_BY_ACTION,
    REWARD_BY_OBS,
    REWARD_BY_OBS_AND_ACTION,
    TIME_LIMIT,
    TWO_ENDS,
    TWO_STEP,
    VELOCITY,
    WIDE_VALUES,
)
from probes.worlds.world import World

GAMMA: Final = 0.5  # small, so that faults in discounting move values far
# A learning rate at which Adam settles within the first updates, but does not swing.
ASKED: Final[dict[View, dict[str, Any]]] = {
    "vector": {"learning_rate": 5e-4},
    "frames": {"learning_rate": 3e-4, "batch_size": 16},
}
# Steps after warming up: when values are first taken as settled, and when no more are taken.
FIRST: Final[dict[View, int]] = {"vector": 400, "frames": 96}
MOST: Final[dict[View, int]] = {"vector": 12_800, "frames": 768}
# An agent that ends up wrong is given another chance, with other weights: units may have died.
SEEDS_APART: Final = 10_007
# Noise goes on for ever: larger batches and smaller steps average over it. The standard deviation
# of healthy values is then a ninth of the tolerance.
AVERAGING: Final[dict[str, Any]] = {"learning_rate": 2.5e-4, "batch_size": 128, "warmup_steps": 160}


def learns_solved_values(
    world: World,
    view: View,
    settings: dict[str, Any],
    testbed: Testbed,
    *,
    reuses_array: bool = False,
) -> Outcome:
    """Trains in a world at random until values settle, and compares them with the solved ones."""

    def make_env(_: int) -> WorldEnv:
        return WorldEnv(world, view, reuses_array=reuses_array)

    if world.num_states == 1:  # whose only observation has no variance
        require_plain(testbed, "batch_norm")
    learner = as_learned(world, testbed.traits)
    first = _held_against(learner, view, settings, testbed, make_env)
    if first.holds is not False:
        return first
    other = replace(testbed, seed=testbed.seed + SEEDS_APART)
    again = _held_against(learner, view, settings, other, make_env)
    if not again.holds and not testbed.traits.epsilon_greedy and world.num_actions > 1:
        untried = "; without epsilon it may not have tried every action"
        return replace(first, holds=None, actual=first.actual + untried)
    if not again.holds:
        return first
    return replace(first, holds=None, actual=f"{first.actual}; with another seed it is right")


def _held_against(
    learner: World,
    view: View,
    settings: dict[str, Any],
    testbed: Testbed,
    make_env: Callable[[int], WorldEnv],
) -> Outcome:
    most = MOST[view]
    asked: dict[str, Any] = {"gamma": GAMMA} | ASKED[view] | settings
    asked["total_steps"] = asked.get("warmup_steps", Settings.warmup_steps) + most
    trial = testbed.trial(make_env, **asked)
    solved, tolerance = learner.solve(GAMMA), learner.tolerance(GAMMA)
    shown = observations(learner, view)
    if trial.q_table(shown).shape != solved.shape:
        raise BrokenProtocol(
            "shapes", f"q_values {list(solved.shape)}", f"it has {trial.q_table(shown).shape}"
        )
    settled = settle(trial, shown, solved, tolerance=tolerance, first=FIRST[view], most=most)
    learned, distance = settled.values, np.abs(settled.values - solved)
    state, action = np.unravel_index(np.argmax(distance), distance.shape)
    right = bool((distance <= tolerance).all())
    fitting = [] if right or not settled.still else learner.resembling(learned, GAMMA)
    actual = f"{learned[state, action]:.3f}"
    actual += f", as if: {' or '.join(fitting)}" if fitting else ""
    actual += f" after {settled.steps:,} steps"
    if not settled.still:
        actual += f", and still moving, by {settled.moved:.3g} ± {settled.jitter:.3g}"
    return Outcome(
        holds=settled.holds(solved, tolerance),
        expected=f"Q(s{state}, a{action}) = {solved[state, action]:.3f} ± {tolerance:.3f}",
        actual=actual,
        compared=learned.size,
    )


def _checks(
    world: World, views: tuple[View, ...] = ("vector",), settings: dict[str, Any] | None = None,
    **words: Any,
) -> tuple[Check, ...]:  # fmt: skip
    """A check of the world for each view."""
    return tuple(
        Check(
            code=f"world.{world.name}.{view}",
            run=partial(learns_solved_values, world, view, settings or {}),
            variants=OF_ONE_STATE if world.num_states == 1 else OF_SEVERAL_STATES,
            shows_frames=view == "frames",
            **words,
        )
        for view in views
    )


OF_SEVERAL_STATES: Final[tuple[Variant, ...]] = ("reward_clip", "n_step")
OF_ONE_STATE: Final[tuple[Variant, ...]] = (*OF_SEVERAL_STATES, "batch_norm")
# Said of both checks in which the environment shows all of its observations in one array.
REUSED_ARRAY: Final[dict[str, Any]] = {
    "component": Component.REPLAY,
    "why": "Many environments and wrappers update one array in place. Stored without a copy, all "
    "observations in the memory become the newest one.",
    "causes": (
        "the observation is stored as it comes, and not as a copy",
        "obs and next_obs of a transition are the same array",
    ),
    "seen": (
        "https://github.com/DLR-RM/stable-baselines3/issues/1435",
        "https://github.com/Farama-Foundation/SuperSuit/pull/116",
    ),
    "advises": True,
}

CHECKS: Final = (
    *_checks(
        CONSTANT_REWARD,
        views=("vector", "frames"),
        component=Component.TD_TARGET,
        what="Where every step ends the episode with the same reward, the Q-value is that reward.",
        why="An ended episode has no next value. With one, every value of the task is inflated by "
        "up to 1 / (1 - gamma), and returns may still look fine for a while.",
        causes=(
            "the end of an episode is not used in the target",
            "the loss or the optimizer never moves the weights",
            "the reward is lost on its way",
        ),
        seen=("https://github.com/navneet-nmk/pytorch-rl/issues/2",),
        experiment="print reward, terminated and target of one batch",
    ),
    *_checks(
        REWARD_BY_OBS,
        component=Component.REPLAY,
        what="Where the reward depends on the observation alone, so does the Q-value.",
        why="If the rows of a batch are mixed, or an observation is paired with another one's "
        "reward, every value drifts to the average.",
        causes=(
            "columns of the replay memory are shifted against each other",
            "the loss broadcasts [B, 1] against [B]",
            "observations share memory and are overwritten later",
        ),
        seen=("https://github.com/MoMe36/BranchingDQN/issues/2",),
        experiment="run the replay checks; compare the shapes of prediction and target",
    ),
    *_checks(
        TWO_STEP,
        component=Component.TD_TARGET,
        what="A reward one step ahead is worth gamma times itself.",
        why="A discount that is missing or applied twice moves every value by a factor; a target "
        "network that never moves stops values from travelling at all.",
        causes=(
            "gamma lost or applied twice",
            "a target network that is never synced",
            "the next observation is not the next one",
        ),
        seen=("https://github.com/AgileRL/AgileRL/issues/464",),
        experiment="compare the learned value with gamma**2 and with 1 times the reward",
    ),
    *_checks(
        REWARD_BY_ACTION,
        component=Component.REPLAY,
        what="Where the reward depends on the action alone, so does the Q-value.",
        why="If the wrong Q-value is trained, the agent cannot distinguish actions.",
        causes=("the stored action is not the one taken", "the gather uses a wrong index"),
        seen=("https://github.com/thu-ml/tianshou/issues/82",),
        experiment="print the actions of a sampled batch next to those of the environment",
    ),
    *_checks(
        REWARD_BY_OBS_AND_ACTION,
        views=("vector", "frames"),
        component=Component.REPLAY,
        what="Where the reward depends on observation and action together, so does the Q-value.",
        why="It is the smallest task in which observation, action and reward must all three be "
        "those of one transition.",
        causes=("one column of the replay memory lags behind", "two environments are mixed up"),
        seen=("https://github.com/will-maclean/sb3-burn/issues/3",),
        experiment="run the replay checks, then this one with a single environment",
    ),
    Check(
        code="world.branching.reused-array",
        what="Values are learned as well where the environment shows all of its observations in "
        "one array.",
        experiment="store obs.copy(), and see whether this turns green",
        run=partial(
            learns_solved_values,
            BRANCHING,
            "vector",
            {"train_period_steps": 4},
            reuses_array=True,
        ),
        **REUSED_ARRAY,
        variants=("n_step",),
    ),
    *_checks(
        BRANCHING,
        component=Component.TD_TARGET,
        what="What is bootstrapped from is the largest Q-value of the row's own next observation.",
        why="A mean, a minimum or another row's maximum still learns one-step rewards, but the "
        "agent then does not learn to act well later on.",
        causes=(
            "the maximum is taken along the wrong axis, or over the whole batch",
            "the next value is a mean, or that of the action which happened to follow",
            "the next value is gathered with the present action",
        ),
        seen=("https://github.com/google/dopamine/commit/7315342",),
        experiment="print next Q-values [B, A] and next values [B] of one batch side by side",
    ),
    *_checks(
        DELAYED_REWARD,
        component=Component.TARGET_NETWORK,
        what="A reward four steps ahead is worth gamma**4 times itself.",
        why="Values travel one step back with each sync. If syncing stops, or is too rare, all "
        "that is far from a reward keeps its initial values.",
        causes=(
            "the target network is synced once, or far too seldom",
            "the sync period is counted in another unit",
            "gamma lost or applied twice",
        ),
        seen=("https://github.com/AgileRL/AgileRL/issues/464", "https://github.com/pfnet/pfrl/pull/200"),
        experiment="count syncs; see how many states back from the reward the values are right",
    ),
    *_checks(
        WIDE_VALUES,
        component=Component.TD_TARGET,
        what="Rewards of -30 and +30 are worth -30 and +30.",
        why="Returns of real tasks are neither small nor positive. A squashed output, a clipped "
        "reward or a loss that is flat for large errors can never reach them.",
        causes=(
            "a softmax, sigmoid or tanh behind the last layer",
            "the TD error is clipped inside a squared loss, which has no gradient there",
            "rewards are clipped though that was not asked for",
        ),
        seen=(
            "https://github.com/thu-ml/tianshou/issues/725",
            "https://github.com/devsisters/DQN-tensorflow/issues/16",
            "https://github.com/spragunr/deep_q_rl/issues/46",
        ),
        experiment="print Q-values, rewards and the gradient at the output for one batch",
    ),
    *_checks(
        NOISY_REWARD,
        settings=AVERAGING,
        component=Component.TD_TARGET,
        what="A noisy reward is worth its mean.",
        why="A loss that pulls harder one way, or rewards that lose their fraction, bias every "
        "value without any sign of it in deterministic tasks.",
        causes=(
            "the loss treats errors of one sign otherwise than those of the other",
            "rewards are stored as integers",
            "steps are so large that the last reward wins",
        ),
        seen=("https://github.com/thu-ml/tianshou/issues/65", "https://github.com/chandar-lab/RLHive/pull/86"),
        experiment="print the rewards of a sampled batch, and the loss of errors +1 and -1",
    ),
    *_checks(
        TIME_LIMIT,
        component=Component.TERMINATION,
        what="Where only a time limit ends episodes, a reward r in each step is worth "
        "r / (1 - gamma).",
        why="A limit that is stored as an end of the task teaches the agent that the world stops "
        "there: values are biased low, and the loss never vanishes.",
        causes=(
            "terminated or truncated is stored where terminated is meant",
            "the environment is wrapped so that both ends look the same",
        ),
        seen=(
            "https://github.com/keras-rl/keras-rl/issues/298",
            "https://github.com/Curt-Park/rainbow-is-all-you-need/issues/70",
        ),
        experiment="print terminated of the transitions whose episode was truncated",
    ),
    *_checks(
        TWO_ENDS,
        component=Component.TERMINATION,
        what="Of two episodes of one length, the truncated one goes on in value from its final "
        "observation, and the terminated one does not.",
        why="Bootstrapping at both ends, at neither, or from the next episode's first "
        "observation biases every value in tasks that have time limits.",
        causes=(
            "one flag stands for both ends",
            "the next episode's first observation is stored as the final one",
        ),
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/issues/934",
            "https://github.com/vwxyzjn/cleanrl/issues/460",
        ),
        experiment="print the last transition of a truncated episode as it is sampled",
    ),
    *_checks(
        VELOCITY,
        views=("frames",),
        component=Component.FRAMES,
        what="A value that depends on the direction of motion is learned, and means the same "
        "when acting: newest frame last.",
        why="A stack that is reversed in replay alone turns every motion around for the learner; "
        "one that never changes shows no motion at all.",
        causes=(
            "replay puts the frames of a stack in another order than acting does",
            "the stack repeats one frame",
        ),
        seen=("https://github.com/thu-ml/tianshou/issues/1272", "https://github.com/AndersonJo/dqn-pytorch/issues/4"),
        experiment="number the frames; print a stack when acting and the same one from replay",
    ),
    *_checks(
        FLICKER,
        views=("frames",),
        component=Component.FRAMES,
        what="What was seen three frames ago still counts: the whole stack is used.",
        why="Sprites flicker. An agent that sees the newest frames alone forgets what is not "
        "drawn just now.",
        causes=(
            "the stack repeats the newest frame, or is shorter than it should be",
            "stacks are cut at a wrong place in the episode",
        ),
        seen=(
            "https://github.com/andnp/rl-control-template/pull/20",
            "https://github.com/rlcode/reinforcement-learning/pull/128",
        ),
        experiment="number the frames; print a sampled stack of the middle of an episode",
    ),
)  # fmt: skip
