"""The target network: apart from the online one, and moved by syncs alone, in time."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed, Trial
from probes.checks.support.variants import NOT_DECLARED, as_learned, averaged, require_plain
from probes.checks.support.white_box import Vector, flat, target_table
from probes.outcome import Outcome
from probes.subject import Unsupported, missing
from probes.worlds.env import WorldEnv, observations
from probes.worlds.tables import REWARD_BY_OBS_AND_ACTION, TWO_STEP

# Coprime, to each other and to two environments: periods in another unit, or counted only where
# two of them meet, then differ from the right one.
TRAIN_PERIOD_STEPS: Final = 3
SYNC_PERIOD_UPDATES: Final = 7
WARMUP_STEPS: Final = 24
SYNCS: Final = 5
AFTER_SYNCS_STEPS: Final = 100  # after the default warm-up these are several periods

# Values travel one state per sync. Before the first sync those of the end are learned, and must
# not be seen further up; before the second one they must.
GAMMA: Final = 0.5
TRAVEL_WARMUP_STEPS: Final = 32
TRAVEL_TRAIN_PERIOD_STEPS: Final = 2
# The first try, and longer ones for networks that learn more slowly.
TRAVEL_SYNC_PERIODS_UPDATES: Final = (150, 600, 2_400)
# A period may be counted from the first step or from the first update: we look a little before
# the earliest first sync, and again when the latest has been followed by as many updates.
EARLY_STEPS: Final = 10

LONGEST_PERIOD_UPDATES: Final = 200  # that is waited for
AVERAGED_UPDATES: Final = 40


def memory(tensor: Tensor) -> tuple[int, int]:
    """Addresses of the first byte of a dense tensor and of the one after its last."""
    strides = zip(tensor.shape, tensor.stride(), strict=True)
    elements = 1 + sum((size - 1) * stride for size, stride in strides) if tensor.numel() else 0
    return tensor.data_ptr(), tensor.data_ptr() + elements * tensor.element_size()


def shared_bytes(one: Tensor, other: Tensor) -> int:
    """How much memory two tensors have in common."""
    (start, stop), (other_start, other_stop) = memory(one), memory(other)
    return max(0, min(stop, other_stop) - max(start, other_start))


def has_separate_storage(testbed: Testbed) -> Outcome:
    """Looks for memory that a tensor of one network shares with one of the other, syncs or not."""
    trial = testbed.trial(
        lambda _: WorldEnv(TWO_STEP, "vector"),
        sync_period_updates=SYNC_PERIOD_UPDATES,
        total_steps=AFTER_SYNCS_STEPS,
    )
    subject = trial.subject
    shared: dict[str, list[str]] = {}
    target = _tensors(subject.target_net)
    for moment in ("at first", "after syncs"):
        online, target = _tensors(subject.online_net), _tensors(subject.target_net)
        shared[moment] = [
            name
            for name, mine in target.items()
            if any(shared_bytes(mine, theirs) for theirs in online.values())
        ]
        if moment == "at first":
            trial.train(AFTER_SYNCS_STEPS)
    words = [
        f"{len(names)} of {len(target)} tensors shared {moment}: {', '.join(names[:3])}"
        for moment, names in shared.items()
        if names
    ]
    return Outcome(
        holds=not words,
        expected="no memory in common",
        actual="; ".join(words) or f"0 of {len(target)} tensors shared",
        compared=2 * len(target),
    )


def begins_as_online(testbed: Testbed) -> Outcome:
    """Compares the values of both networks after one step, before any update."""
    trial = testbed.trial(lambda _: WorldEnv(REWARD_BY_OBS_AND_ACTION, "vector"))
    shown = observations(REWARD_BY_OBS_AND_ACTION, "vector")
    trial.train(1)
    target, online = target_table(trial.subject, shown), trial.q_table(shown)
    return Outcome(
        holds=_equal(target, online),
        expected="the values of both networks equal before the first update",
        actual=f"they differ by up to {np.abs(target - online).max():.2g}",
        compared=online.size,
    )


def moves_on_sync_only(num_envs: int, testbed: Testbed) -> Outcome:
    """Follows the target's values step by step, and measures the distances between its moves."""
    require_plain(testbed, "tau")
    updates = _period_updates(testbed, SYNC_PERIOD_UPDATES)
    period = TRAIN_PERIOD_STEPS * updates
    total = WARMUP_STEPS + (SYNCS + 1) * period
    trial = testbed.trial(
        lambda _: WorldEnv(REWARD_BY_OBS_AND_ACTION, "vector"),
        num_envs=num_envs,
        batch_size=16,
        train_period_steps=TRAIN_PERIOD_STEPS,
        sync_period_updates=updates,
        warmup_steps=WARMUP_STEPS,
        total_steps=total + 2 * period,
    )
    shown = observations(REWARD_BY_OBS_AND_ACTION, "vector")
    steps: list[int] = []
    online: list[Vector] = []
    target: list[Vector] = []

    def look() -> None:
        steps.append(trial.steps)
        online.append(trial.q_table(shown))
        target.append(target_table(trial.subject, shown))

    trial.before_step = look
    trial.train(total)
    moves = [now for now in range(1, len(steps)) if not _equal(target[now - 1], target[now])]
    at = [steps[now] for now in moves]
    # A sync is seen at the end of the block of steps in which it falls.
    block = math.lcm(num_envs, TRAIN_PERIOD_STEPS)
    in_time = len(at) >= SYNCS - 1 and all(abs(b - a - period) < block for a, b in pairwise(at))
    # With several environments there may be updates between a sync and the next step.
    copies = num_envs > 1 or all(
        _equal(target[now], online[now - 1]) or _equal(target[now], online[now]) for now in moves
    )
    first = ", ".join(map(str, at[:5])) + (", ..." if at[5:] else "")
    return Outcome(
        holds=in_time and copies,
        expected=f"a copy of the online network every {period} steps "
        f"({TRAIN_PERIOD_STEPS} for each of {updates} updates)",
        actual=f"moved {len(at)} times in {len(steps)} steps"
        + (f": after {first}" if at else "")
        + ("" if copies else f"; not to the online values of the moment{_left_out(trial)}"),
        compared=len(steps),
    )


def _period_updates(testbed: Testbed, asked: int) -> int:
    """Updates between syncs: as asked for, or the subject's own.

    Raises:
        Unsupported: if its own is too long to wait for.
    """
    own = testbed.traits.sync_period_updates
    if own > LONGEST_PERIOD_UPDATES:
        raise Unsupported(f"agent syncs every {own} updates, whatever is asked for")
    return own or asked


def _left_out(trial: Trial) -> str:
    """What no sync has copied, where both networks can be looked into: after one, all is equal."""
    if missing(trial.subject, ("online_net", "target_net")):
        return ""
    before = {name: tensor.clone() for name, tensor in _tensors(trial.subject.target_net).items()}
    for _ in range(TRAIN_PERIOD_STEPS * SYNC_PERIOD_UPDATES):
        online = {name: t.clone() for name, t in _tensors(trial.subject.online_net).items()}
        trial.train(1)
        target = _tensors(trial.subject.target_net)
        if any(not torch.equal(target[name], before[name]) for name in target):
            break
    else:
        return ""
    now = _tensors(trial.subject.online_net)
    stale = [
        name
        for name, tensor in target.items()
        if name in now
        and not torch.equal(tensor, now[name])
        and not torch.equal(tensor, online[name])
    ]
    some = ", ".join(stale[:3])
    return f"; a sync leaves out {len(stale)} of {len(target)} tensors: {some}" if stale else ""


def follows_the_average(testbed: Testbed) -> Outcome:
    """Follows the weights of both networks from update to update, and works out the next move."""
    tau = testbed.traits.tau
    if tau == 1:
        raise Unsupported(NOT_DECLARED)
    updates = _period_updates(testbed, SYNC_PERIOD_UPDATES)
    trial = testbed.trial(
        lambda _: WorldEnv(REWARD_BY_OBS_AND_ACTION, "vector"),
        sync_period_updates=updates,
        total_steps=2_000,
    )
    trial.train(trial.settings.warmup_steps + 4)
    online, target = [], []
    for _ in range(max(AVERAGED_UPDATES, 4 * updates)):
        trial.train(1)
        online.append(flat(list(_averaged_tensors(trial.subject.online_net))))
        target.append(flat(list(_averaged_tensors(trial.subject.target_net))))
    seen = averaged(online, target)
    expected = {"tau": tau, "sync_period_updates": updates}
    return Outcome(
        holds=seen.keys() == expected.keys()
        and abs(seen["tau"] - tau) <= tau / 4
        and seen["sync_period_updates"] == updates,
        expected=f"the target network to go {tau} of its way every {updates} updates, all of it",
        actual=", ".join(f"{name} {value}" for name, value in seen.items())
        or "no average of the online network's weights",
        compared=len(online),
    )


def _averaged_tensors(module: nn.Module) -> list[Tensor]:
    """All of a network that is a number to be averaged; counts of batches are none."""
    return [tensor for tensor in _tensors(module).values() if tensor.is_floating_point()]


def values_travel_by_syncs(testbed: Testbed) -> Outcome:
    """Lengthens the period until the end's value is learned before the first sync."""
    require_plain(testbed, "tau", "n_step", "sync_period_updates")
    for period in TRAVEL_SYNC_PERIODS_UPDATES[:-1]:
        outcome = _travels(testbed, period)
        if outcome.holds:
            return outcome
    return _travels(testbed, TRAVEL_SYNC_PERIODS_UPDATES[-1])


def _travels(testbed: Testbed, period: int) -> Outcome:
    """Learns a chain of two states, and asks for the first one's value before and after a sync."""
    before_sync = period * TRAVEL_TRAIN_PERIOD_STEPS - EARLY_STEPS
    after_sync = 2 * period * TRAVEL_TRAIN_PERIOD_STEPS
    trial = testbed.trial(
        lambda _: WorldEnv(TWO_STEP, "vector"),
        gamma=GAMMA,
        learning_rate=4e-3,
        warmup_steps=TRAVEL_WARMUP_STEPS,
        train_period_steps=TRAVEL_TRAIN_PERIOD_STEPS,
        sync_period_updates=period,
        total_steps=after_sync,
    )
    shown = observations(TWO_STEP, "vector")
    solved = as_learned(TWO_STEP, testbed.traits).solve(GAMMA)
    synced = float(solved[0, 0])
    # Reward zero, and what the target network held when it was made: a copy of the online one.
    unsynced = GAMMA * float(trial.q_table(shown)[1].max())
    trial.train(before_sync)
    before, end = trial.q_table(shown)[:, 0].tolist()
    trial.train(after_sync - trial.steps)
    after = float(trial.q_table(shown)[0, 0])
    tolerance = abs(synced - unsynced) / 4
    holds: bool | None = abs(before - unsynced) <= tolerance and abs(after - synced) <= tolerance
    if not holds and abs(end - float(solved[1, 0])) > tolerance:
        holds = None  # what should travel is not there yet
    return Outcome(
        holds=holds,
        expected=f"Q(s0) = {unsynced:.2f} before the first sync, {synced:.2f} after it, "
        f"each ± {tolerance:.2f}",
        actual=f"{before:.2f}, then {after:.2f}",
        compared=2,
    )


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _equal(one: Vector, other: Vector) -> bool:
    # An update moves values a thousand times further than this.
    return bool(np.allclose(one, other, rtol=1e-6, atol=1e-6))


_MOVES: Final[dict[str, Any]] = {
    "component": Component.TARGET_NETWORK,
    "needs": ("target_values",),
    "what": "The target network changes every `sync_period_updates` updates and at no other time, "
    "to the online network of that moment.",
    "why": "Its lag is what keeps targets still while they are learned. Published scores were "
    "once reached with a period several times the one that was written down.",
    "experiment": "log the step of every sync, and compare the distances with the setting",
}

CHECKS: Final = (
    Check(
        code="target.begins-as-online",
        component=Component.TARGET_NETWORK,
        needs=("target_values",),
        what="Before the first update the target network has the values of the online network.",
        why="Until the first sync, or as long as a moving average takes, targets are otherwise "
        "those of another random network, and what is learned from them has to be unlearned.",
        causes=(
            "two networks are made, and the weights of one are not copied into the other",
            "weights are drawn or loaded after the copy was made",
        ),
        seen=(),
        experiment="print the values of both networks for one observation at the start",
        run=begins_as_online,
    ),
    Check(
        code="target.separate-storage",
        component=Component.TARGET_NETWORK,
        needs=("online_net", "target_net"),
        what="No parameter and no buffer of the target network shares memory with the online one.",
        why="What is shared moves with every update: the target then chases itself.",
        causes=(
            "the same module, or the same feature extractor, given to both networks",
            "a sync that assigns tensors instead of copying values",
        ),
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/issues/132",
            "https://github.com/datawhalechina/easy-rl/issues/140",
        ),
        experiment="build the target network with copy.deepcopy, sync it with load_state_dict",
        run=has_separate_storage,
    ),
    Check(
        code="target.moves-on-sync-only",
        causes=(
            "a sync that copies nothing, or not all",
            "a period in another unit: frames, steps or updates",
            "one network in two places: it moves with every update",
        ),
        seen=(
            "https://github.com/AgileRL/AgileRL/issues/464",
            "https://github.com/pfnet/pfrl/pull/200",
            "https://github.com/astooke/rlpyt/issues/150",
            "https://github.com/sebtheiler/tutorials/issues/6",
        ),
        variants=("tau",),
        run=partial(moves_on_sync_only, 1),
        **_MOVES,
    ),
    Check(
        code="target.period-with-two-environments",
        causes=(
            "the sync sits inside the branch that trains: it waits for a common multiple",
            "the period is divided by the number of environments once too often, or not at all",
        ),
        seen=(
            "https://github.com/vwxyzjn/cleanrl/pull/323",
            "https://github.com/DLR-RM/stable-baselines3/issues/1463",
        ),
        variants=("tau",),
        run=partial(moves_on_sync_only, 2),
        **_MOVES,
    ),
    Check(
        code="target.follows-the-average",
        component=Component.TARGET_NETWORK,
        needs=("online_net", "target_net"),
        what="A target network that is averaged takes over the declared share of the online one at "
        "each sync, of weights and of statistics alike.",
        why="Averaged the wrong way round it is the online network; averaged in part, it belongs "
        "to no network at all. Either way nothing crashes.",
        causes=(
            "tau and 1 - tau are swapped",
            "parameters are averaged, and buffers such as running means are left out",
            "the average is taken more or less often than was declared",
        ),
        seen=(
            "https://github.com/AgileRL/AgileRL/issues/464",
            "https://github.com/DLR-RM/stable-baselines3/issues/996",
        ),
        experiment="print one weight of both networks before and after a sync",
        run=follows_the_average,
    ),
    Check(
        code="target.values-travel-by-syncs",
        component=Component.TARGET_NETWORK,
        what="A value is seen one state further up after a sync, and not before.",
        why="A value that travels without a sync is bootstrapped from the online network; one that "
        "never travels belongs to a target network that is never synced.",
        causes=(
            "targets are taken from the online network, or from one that shares its weights",
            "the target network is never synced, or with another period",
        ),
        seen=(
            "https://github.com/pytorch/tutorials/issues/181",
            "https://github.com/facebookresearch/ReAgent/issues/88",
            "https://github.com/AgileRL/AgileRL/issues/464",
        ),
        experiment="make syncs very rare: values must stop one state before the end",
        variants=("tau", "n_step"),
        run=values_travel_by_syncs,
    ),
)
