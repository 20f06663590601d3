"""Variants of DQN: what a declared one changes, and how one that is not declared shows itself.

A check that turns red asks whether a variant would explain it. If the subject is seen to behave as
one, the check proposes to declare it, and is not red: only the owner knows whether it is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch

from probes.checks.support.global_generators import global_generators
from probes.checks.support.priorities import drawn_by_error
from probes.checks.support.settling import settle
from probes.checks.support.testbed import Testbed, Trial
from probes.checks.support.white_box import (
    draw,
    flat,
    generator,
    kept,
    off,
    update,
    white_box_trial,
)
from probes.outcome import Outcome
from probes.properties.draws import exponent_of_shares
from probes.subject import Unsupported, missing
from probes.traits import Traits
from probes.worlds.env import WorldEnv, observations
from probes.worlds.tables import DELAYED_REWARD, REWARD_BY_OBS_AND_ACTION, REWARD_SIZES
from probes.worlds.world import World

Variant = Literal[
    "tau", "n_step", "noisy", "epsilon_greedy", "batch_norm", "learning_rate", "priority_exponent",
    "reward_clip",
]  # fmt: skip

NEVER: Final = 1_000_000
NOT_DECLARED: Final = "of a variant that the agent does not declare"
GAMMA: Final = 0.5

# Updates followed one by one, to see how the target network moves.
FOLLOWED: Final = 40
# A move is an average if it is this near to a share of the way to the online network, and that
# share is the same in all moves, as far as float32 can say.
OF_THE_WAY: Final = 0.05
LARGEST_TAU: Final = 0.5
QUADRATIC: Final = 1.0  # errors up to which Huber's loss learns a mean
# One minus the cosine between two gradients of one update: rounding turns none so far.
TURNED: Final = 1e-4
SMALLEST: Final = 1e-30
# How near learned values must be to those of clipped or scaled rewards, and how far from the
# rewards themselves, as shares.
OF_A_REWARD: Final = 0.1
UNUSUAL_GAMMA: Final = 0.37  # no usual scale of rewards
LEAST_EXPONENT: Final = 0.15
ASKED_RATES: Final = (3e-4, 7e-4)


def as_learned(world: World, traits: Traits) -> World:
    """A world with the rewards and the returns that a variant learns from.

    Args:
        world: as it is played.
        traits: of the subject.

    Raises:
        Unsupported: if nothing that the world separates can be seen in this variant.
    """
    high, low = (
        traits.learned(reward)
        for reward in (world.reward + world.noise, world.reward - world.noise)
    )
    separates = world.separates
    if traits.n_step > 1:
        separates = (*separates, "n rewards, one discount")
    learned = replace(
        world,
        reward=(high + low) / 2,
        noise=(high - low) / 2,
        n_step=traits.n_step,
        separates=separates,
    )
    if not learned.tolerance(GAMMA):
        raise Unsupported(f"shows nothing of {_named(traits)}")
    if traits.n_step > 1 and _spread(learned) > QUADRATIC:
        raise Unsupported(f"sums of {traits.n_step} rewards vary too much here for Huber's loss")
    return learned


def _spread(world: World) -> float:
    """How far the sum of n rewards of any state and action is from its mean, at most."""
    high = low = np.zeros_like(world.reward)
    ended = world.terminated | world.truncated
    for _ in range(world.n_step):
        best, worst = high.max(axis=1), low.min(axis=1)
        high = world.reward + GAMMA * np.where(ended, 0.0, best[world.next_state])
        low = world.reward + GAMMA * np.where(ended, 0.0, worst[world.next_state])
    return float((high - low).max()) / 2


def require_plain(testbed: Testbed, *names: str) -> None:
    """Has a check skipped that says nothing of some variants.

    Raises:
        Unsupported: if one of these traits is declared.
    """
    declared = [name for name in names if name in testbed.traits.declared]
    if declared:
        raise Unsupported(f"says nothing of agents with traits {', '.join(declared)}")


def _named(traits: Traits) -> str:
    return ", ".join(f"{name} {value}" for name, value in traits.declared.items())


def observed(variant: Variant, testbed: Testbed) -> dict[str, Any]:
    """The traits of a variant that a subject behaves as; none if it declares it, or does not.

    Args:
        variant: looked for.
        testbed: of the subject.
    """
    if variant in testbed.traits.declared:
        return {}
    try:
        return OBSERVED[variant](testbed)
    except Unsupported:
        return {}


def in_words(variant: Variant, seen: dict[str, Any]) -> str:
    """A variant that was observed, for a reader."""
    return WORDS[variant](seen)


def declaration(seen: dict[str, Any]) -> str:
    """How traits that were observed are declared."""
    words = ", ".join(f"{key!r}: {value!r}" for key, value in seen.items())
    return f"declare traits = {{{words}}}"


def unless_never_asked(outcome: Outcome, trial: Trial, *, fits_other: bool) -> Outcome:
    """A red outcome where plain or double DQN was asked for, in the light of what was read.

    A subject that is rightly the other form, and has never read `settings.double`, may have one
    form alone: only its owner knows whether that is meant.

    Args:
        outcome: of a check that asked for one of them.
        trial: of the subject.
        fits_other: whether what was seen is right for the other form.
    """
    asked = trial.settings.double
    # Where nothing at all was read, settings were copied by other means.
    if outcome.holds is not False or not fits_other or not trial.read or "double" in trial.read:
        return outcome
    form = "plain" if asked else "double"
    actual = (
        f"{outcome.actual}; it behaves as {form} DQN that never reads settings.double: "
        f"{declaration({'double': not asked})}, or is it a fault?"
    )
    return replace(outcome, holds=None, actual=actual)


def observed_n_step(testbed: Testbed) -> dict[str, Any]:
    """How far rewards reach back while the target network stands still."""
    trial = testbed.trial(
        lambda _: WorldEnv(DELAYED_REWARD, "vector"),
        gamma=GAMMA,
        learning_rate=2e-3,
        sync_period_updates=NEVER,
        total_steps=4_000,
    )
    shown = observations(DELAYED_REWARD, "vector")
    table = DELAYED_REWARD.solve(GAMMA)
    settled = settle(trial, shown, table, tolerance=0.1, first=400, most=3_200)
    solved = table[:, 0]
    near = np.abs(settled.values[:, 0] - solved) <= solved / 4
    reach = int(near[::-1].argmin()) if not near.all() else len(near)
    # Where all states know of the reward, it has travelled otherwise.
    return {"n_step": reach} if settled.still and 1 < reach < len(near) else {}


def observed_tau(testbed: Testbed) -> dict[str, Any]:
    """Whether the target network moves by an equal share of its way to the online network."""
    trial = testbed.trial(
        lambda _: WorldEnv(REWARD_BY_OBS_AND_ACTION, "vector"),
        learning_rate=1e-3,
        total_steps=2_000,
    )
    if missing(trial.subject, ("online_net", "target_net")):
        raise Unsupported("not offered: online_net, target_net")
    trial.train(trial.settings.warmup_steps + 4)
    online, target = [], []
    for _ in range(FOLLOWED):
        trial.train(1)
        online.append(flat(list(trial.subject.online_net.parameters())))
        target.append(flat(list(trial.subject.target_net.parameters())))
    return averaged(online, target)


def averaged(
    online: list[npt.NDArray[np.float64]], target: list[npt.NDArray[np.float64]]
) -> dict[str, Any]:
    """The share and the period of the moves of a target network; nothing if it does not average.

    Args:
        online: weights [P] after each update.
        target: weights [P] after the same updates.
    """
    shares: list[float] = []
    moves = [
        number for number, (a, b) in enumerate(pairwise(target), 1) if not np.array_equal(a, b)
    ]
    for number in moves:
        before, moved = target[number - 1], target[number] - target[number - 1]
        # The online network of then: before or after the update that came along.
        fits = []
        for weights in (online[number], online[number - 1]):
            way = weights - before
            share = float(moved @ way) / max(float(way @ way), np.finfo(np.float64).tiny)
            fits.append((off(share * way, moved), share))
        distance, share = min(fits)
        if distance > OF_THE_WAY:
            return {}
        shares.append(share)
    if len(shares) < 2 or not 0 < np.median(shares) <= LARGEST_TAU:
        return {}
    if np.ptp(shares) > 2 * OF_THE_WAY * float(np.median(shares)):
        return {}
    gaps = {after - before for before, after in pairwise(moves)}
    seen: dict[str, Any] = {"tau": float(f"{np.median(shares):.2g}")}
    return seen | ({"sync_period_updates": gaps.pop()} if len(gaps) == 1 else {})


def observed_noise(testbed: Testbed) -> dict[str, Any]:
    """Whether one and the same update has gradients of other directions when it is repeated."""
    trial = white_box_trial(testbed)
    if missing(trial.subject, ("update", "online_net")):
        raise Unsupported("not offered: update, online_net")
    transitions = draw(generator(testbed.seed), 32)
    found = []
    for number in (1, 2, 3):
        # Noise that is drawn after an update lies in buffers, which are left as they are.
        with kept(trial.subject.online_net, buffers=False), global_generators(number):
            gradients = flat(update(trial.subject, transitions))
        found.append(gradients / max(float(np.linalg.norm(gradients)), SMALLEST))
    # Gradients that add up from update to update are longer, and of one direction.
    turned = [1 - float(one @ other) for one, other in pairwise(found)]
    return {"noisy": True} if min(turned) > TURNED else {}


def observed_without_epsilon(testbed: Testbed) -> dict[str, Any]:
    """Whether its network is noisy, so that it may explore by that instead of by epsilon."""
    seen = {} if testbed.traits.noisy else observed_noise(testbed)
    return seen | {"epsilon_greedy": False} if seen or testbed.traits.noisy else {}


def observed_batch_norm(testbed: Testbed) -> dict[str, Any]:
    """Whether the network has layers that normalise by the batch."""
    subject = white_box_trial(testbed).subject
    if missing(subject, ("online_net",)):
        raise Unsupported("not offered: online_net")
    kinds = torch.nn.modules.batchnorm._BatchNorm  # noqa: SLF001  # all of them
    return (
        {"batch_norm": True}
        if any(isinstance(m, kinds) for m in subject.online_net.modules())
        else {}
    )


def observed_learning_rate(testbed: Testbed) -> dict[str, Any]:
    """Whether the optimizer has one and the same learning rate whatever is asked for."""
    rates = []
    for asked in ASKED_RATES:
        subject = white_box_trial(testbed, learning_rate=asked).subject
        if missing(subject, ("optimizer",)):
            raise Unsupported("not offered: optimizer")
        rates.append(float(subject.optimizer.param_groups[0]["lr"]))
    return {"learning_rate": rates[0]} if len(set(rates)) == 1 else {}


def observed_priorities(testbed: Testbed) -> dict[str, Any]:
    """Whether rows are drawn the more often, the larger their TD error is."""
    seen = drawn_by_error(testbed)
    exponent = exponent_of_shares(seen.errors, seen.rates)
    rising = bool((np.diff(seen.rates) > 0).all())
    if not rising or not LEAST_EXPONENT <= exponent <= 1.0 + LEAST_EXPONENT:
        return {}
    return {"priority_exponent": min(1.0, round(exponent, 1))}


def observed_rewards(testbed: Testbed) -> dict[str, Any]:
    """What becomes of rewards of many sizes before they are learned from."""
    traits = testbed.traits
    if {"reward_clip", "reward_sign", "reward_scale"} & traits.declared.keys():
        return {}
    trial = testbed.trial(
        lambda _: WorldEnv(REWARD_SIZES, "vector"), gamma=UNUSUAL_GAMMA, learning_rate=1e-3,
        total_steps=6_400,
    )  # fmt: skip
    rewards = REWARD_SIZES.reward
    shown = observations(REWARD_SIZES, "vector")
    settled = settle(trial, shown, rewards, tolerance=0.2, first=800, most=6_400)
    return treated(rewards[:, 0], settled.values[:, 0]) if settled.still else {}


def treated(rewards: npt.NDArray[np.float64], learned: npt.NDArray[np.float64]) -> dict[str, Any]:
    """How rewards are clipped, or scaled; nothing if they are neither, or another thing too.

    Args:
        rewards: [K], of single steps; the smallest of either sign is clipped least.
        learned: [K], their values.
    """
    least = int(np.abs(rewards).argmin())
    if (np.abs(learned - np.sign(rewards)) <= OF_A_REWARD).all():
        return {"reward_sign": True}
    scale = float(f"{learned[least] / rewards[least]:.2g}")
    if scale <= 0:
        return {}
    found = learned / scale
    clip = float(f"{np.abs(found).max():.2g}")
    if clip < np.abs(rewards[least]) * (1 + OF_A_REWARD):  # all are of one size
        return {}
    clip = 0.0 if clip >= np.abs(rewards).max() * (1 - OF_A_REWARD) else clip
    most = clip or np.inf
    due = rewards.clip(-most, most)
    if (np.abs(found - due) > OF_A_REWARD * np.abs(due)).any():
        return {}
    seen: dict[str, Any] = {"reward_clip": clip} if clip else {}
    # A reward that is discounted is one of scale gamma, or gamma squared: no scale to propose.
    usual = (1.0, UNUSUAL_GAMMA, UNUSUAL_GAMMA**2)
    scaled = all(abs(scale / one - 1) > OF_A_REWARD for one in usual)
    return seen | ({"reward_scale": scale} if scaled else {})


OBSERVED: Final[dict[Variant, Callable[[Testbed], dict[str, Any]]]] = {
    "tau": observed_tau,
    "n_step": observed_n_step,
    "noisy": observed_noise,
    "epsilon_greedy": observed_without_epsilon,
    "batch_norm": observed_batch_norm,
    "learning_rate": observed_learning_rate,
    "priority_exponent": observed_priorities,
    "reward_clip": observed_rewards,
}
WORDS: Final[dict[Variant, Callable[[dict[str, Any]], str]]] = {
    "tau": lambda seen: f"Polyak averaging with tau {seen['tau']}",
    "n_step": lambda seen: f"{seen['n_step']}-step returns",
    "noisy": lambda _: "a noisy network",
    "epsilon_greedy": lambda _: "a noisy network, which may explore without epsilon",
    "batch_norm": lambda _: "a network with batch normalisation",
    "learning_rate": lambda seen: (
        f"an agent with a learning rate of its own, {seen['learning_rate']}"
    ),
    "priority_exponent": lambda seen: (
        f"prioritised replay with an exponent of {seen['priority_exponent']}"
    ),
    "reward_clip": lambda _: "an agent that learns from other rewards",
}
