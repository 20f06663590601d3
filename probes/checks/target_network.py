"""The target network: apart from the online one, and moved by syncs alone, in time."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed
from probes.checks.support.white_box import Vector, target_table
from probes.outcome import Outcome
from probes.worlds.env import WorldEnv, observations
from probes.worlds.tables import REWARD_BY_OBS_AND_ACTION, TWO_STEP

# Coprime, to each other and to two environments: periods in another unit, or counted only where
# two of them meet, then differ from the right one.
TRAIN_PERIOD_STEPS: Final = 3
SYNC_PERIOD_UPDATES: Final = 7
WARMUP_STEPS: Final = 24
SYNCS: Final = 5

# Values travel one state per sync. Before the first sync those of the end are learned, and must
# not be seen further up; before the second one they must.
GAMMA: Final = 0.5
TRAVEL_WARMUP_STEPS: Final = 32
TRAVEL_TRAIN_PERIOD_STEPS: Final = 2
TRAVEL_SYNC_PERIOD_UPDATES: Final = 150
# A period may be counted from the first step or from the first update: we look a little before
# the earliest first sync, and again when the latest has been followed by as many updates.
BEFORE_SYNC_STEPS: Final = 290
AFTER_SYNC_STEPS: Final = 600


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
    """Looks for memory that a tensor of one network shares with one of the other."""
    subject = testbed.trial(lambda _: WorldEnv(TWO_STEP, "vector")).subject
    online, target = _tensors(subject.online_net), _tensors(subject.target_net)
    shared = [
        name
        for name, mine in target.items()
        if any(shared_bytes(mine, theirs) for theirs in online.values())
    ]
    return Outcome(
        holds=not shared,
        expected="no memory in common",
        actual=f"{len(shared)} of {len(target)} tensors shared"
        + (f": {', '.join(shared[:3])}" if shared else ""),
        compared=len(target),
    )


def moves_on_sync_only(num_envs: int, testbed: Testbed) -> Outcome:
    """Follows the target's values step by step, and measures the distances between its moves."""
    period = TRAIN_PERIOD_STEPS * SYNC_PERIOD_UPDATES
    total = WARMUP_STEPS + (SYNCS + 1) * period
    trial = testbed.trial(
        lambda _: WorldEnv(REWARD_BY_OBS_AND_ACTION, "vector"),
        num_envs=num_envs,
        batch_size=16,
        train_period_steps=TRAIN_PERIOD_STEPS,
        sync_period_updates=SYNC_PERIOD_UPDATES,
        warmup_steps=WARMUP_STEPS,
        total_steps=total,
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
        f"({TRAIN_PERIOD_STEPS} for each of {SYNC_PERIOD_UPDATES} updates)",
        actual=f"moved {len(at)} times in {len(steps)} steps"
        + (f": after {first}" if at else "")
        + ("" if copies else "; not to the online values of the moment"),
        compared=len(steps),
    )


def values_travel_by_syncs(testbed: Testbed) -> Outcome:
    """Learns a chain of two states, and asks for the first one's value before and after a sync."""
    trial = testbed.trial(
        lambda _: WorldEnv(TWO_STEP, "vector"),
        gamma=GAMMA,
        learning_rate=4e-3,
        warmup_steps=TRAVEL_WARMUP_STEPS,
        train_period_steps=TRAVEL_TRAIN_PERIOD_STEPS,
        sync_period_updates=TRAVEL_SYNC_PERIOD_UPDATES,
        total_steps=AFTER_SYNC_STEPS,
    )
    shown = observations(TWO_STEP, "vector")
    synced = float(TWO_STEP.solve(GAMMA)[0, 0])
    # Reward zero, and what the target network held when it was made: a copy of the online one.
    unsynced = GAMMA * float(trial.q_table(shown)[1].max())
    trial.train(BEFORE_SYNC_STEPS)
    before = float(trial.q_table(shown)[0, 0])
    trial.train(AFTER_SYNC_STEPS - trial.steps)
    after = float(trial.q_table(shown)[0, 0])
    tolerance = abs(synced - unsynced) / 4
    return Outcome(
        holds=abs(before - unsynced) <= tolerance and abs(after - synced) <= tolerance,
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
        run=partial(moves_on_sync_only, 2),
        **_MOVES,
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
        run=values_travel_by_syncs,
    ),
)
