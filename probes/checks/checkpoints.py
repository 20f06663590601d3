"""What was saved is there again right after loading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch

from probes.checks.check import Check, Component
from probes.checks.support.replay_audit import CAPACITY, DRAWS, sampled_stamps
from probes.checks.support.testbed import Testbed, Trial
from probes.outcome import Outcome
from probes.subject import Array, BrokenProtocol, Env
from probes.worlds.env import WorldEnv, observations
from probes.worlds.stamped_env import Ledger, StampedEnv
from probes.worlds.tables import CONSTANT_REWARD, REWARD_BY_ACTION

HALF: Final = 100  # steps before saving, and after
# One state, cut by a limit after each step: its value feeds on itself through the target network.
LOOP: Final = replace(CONSTANT_REWARD, terminated=np.array([[False]]), truncated=np.array([[True]]))
# Far above the rounding of a float of 32 bits, far below a step of any optimizer: those move a
# value by about the learning rate.
ROUNDING: Final = 1e-5


def resumed(
    testbed: Testbed, make_env: Callable[[int], Env], steps: int = HALF, **settings: Any
) -> tuple[Trial, Trial]:
    """Trains a subject, saves it, and loads what it saved into a fresh one.

    Args:
        testbed: what the check is run on.
        make_env: from the number of an environment to the environment.
        steps: before saving.
        settings: fields of `Settings`.

    Returns:
        The run that was saved, and the one that was loaded.
    """
    defaults = {
        "total_steps": 2 * steps,
        "save_period_steps": steps,
        "warmup_steps": 30,
        "batch_size": 16,
        "sync_period_updates": 14,
        "learning_rate": 2e-3,
    }
    saved = testbed.trial(make_env, **(defaults | settings))
    saved.train(steps)
    loaded = testbed.trial(make_env, **(defaults | settings))
    with TemporaryDirectory() as folder:
        saved.subject.save(Path(folder))
        loaded.subject.load(Path(folder))
    return saved, loaded


def values_return(testbed: Testbed) -> Outcome:
    """Compares Q-values right after loading."""
    both = resumed(testbed, lambda _: WorldEnv(REWARD_BY_ACTION, "vector"))
    shown = observations(REWARD_BY_ACTION, "vector")
    saved, loaded = (trial.q_table(shown) for trial in both)
    return Outcome(
        holds=bool(np.abs(loaded - saved).max() <= ROUNDING),
        expected=f"Q-values {values_text(saved[0])} as saved",
        actual=values_text(loaded[0]),
        compared=saved.size,
    )


def optimizer_returns(testbed: Testbed) -> Outcome:
    """Compares everything the optimizer remembers, right after loading."""
    both = resumed(testbed, lambda _: WorldEnv(LOOP, "vector"))
    saved, loaded = (_memories(trial.subject.optimizer) for trial in both)
    lost = [
        name
        for name, values in saved.items()
        if name not in loaded or not torch.equal(values, loaded[name])
    ]
    return Outcome(
        holds=not lost,
        expected=f"all {len(saved)} entries of the optimizer as saved",
        actual=f"{len(lost)} lost, such as {lost[0]}" if lost else "as saved",
        compared=len(saved),
    )


def _memories(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Moments by parameter, and learning rates by group."""
    state = optimizer.state_dict()
    return {
        f"{name} of parameter {index}": torch.as_tensor(values)
        for index, entries in state["state"].items()
        for name, values in entries.items()
        if values is not None
    } | {
        f"learning rate of group {index}": torch.as_tensor(group["lr"])
        for index, group in enumerate(state["param_groups"])
    }


def memory_returns(testbed: Testbed) -> Outcome:
    """Compares which transitions can be sampled, right after loading."""
    ledger = Ledger()
    both = resumed(
        testbed,
        lambda number: StampedEnv(number, "vector", ledger),
        capacity=CAPACITY, learning_rate=1e-4,
    )  # fmt: skip
    saved = set(sampled_stamps(both[0], DRAWS * CAPACITY))
    try:
        loaded = set(sampled_stamps(both[1], DRAWS * CAPACITY))
    except BrokenProtocol:
        raise
    except Exception as error:  # noqa: BLE001  # the same call was answered before
        actual = f"sample raised {type(error).__name__} after loading"
        return Outcome(False, f"{len(saved)} transitions, as saved", actual, len(saved))  # noqa: FBT003
    return Outcome(
        holds=saved == loaded,
        expected=f"{len(saved)} transitions to sample from, as saved",
        actual=f"{len(saved & loaded)} of them, and {len(loaded - saved)} others",
        compared=len(saved),
    )


def values_text(values: Array) -> str:
    """Values for a user to read."""
    return ", ".join(f"{value:.5f}" for value in values.ravel())


CHECKS: Final = (
    Check(
        code="checkpoints.values-return",
        component=Component.CHECKPOINTS,
        needs=("save", "load"),
        what="Right after loading, Q-values are those that were saved.",
        why="Everything else that a checkpoint holds is of no use without them.",
        causes=(
            "weights are loaded into another object than the one that acts",
            "the online network is saved before the last updates",
        ),
        seen=(
            "https://github.com/astooke/rlpyt/pull/175",
            "https://github.com/sfujim/TD3/issues/20",
        ),
        experiment="compare all weights before saving and after loading",
        run=values_return,
    ),
    Check(
        code="checkpoints.optimizer-returns",
        component=Component.CHECKPOINTS,
        needs=("save", "load", "optimizer"),
        what="Right after loading, the optimizer remembers what it did when it was saved.",
        why="Without its moments the first steps after loading are as large as the first ones of "
        "a new run, and can undo much learning.",
        causes=(
            "the state of the optimizer is not saved",
            "the optimizer is made anew after its state was loaded",
            "the optimizer loaded is not the one that is stepped",
        ),
        seen=(
            "https://github.com/google/dopamine/commit/1028f63",
            "https://github.com/google/brax/issues/655",
            "https://github.com/hill-a/stable-baselines/issues/301",
        ),
        experiment="print optimizer.state_dict() before saving and after loading",
        run=optimizer_returns,
    ),
    Check(
        code="checkpoints.memory-returns",
        component=Component.CHECKPOINTS,
        needs=("save", "load", "sample"),
        what="Right after loading, the same transitions can be sampled as when they were saved.",
        why="A run that resumes with an empty memory learns from its few newest steps alone, and "
        "forgets.",
        causes=(
            "the replay memory is not saved",
            "its write position or fill level is not saved",
        ),
        seen=(
            "https://github.com/ray-project/ray/issues/8151",
            "https://github.com/Kaixhin/Rainbow/pull/58",
        ),
        experiment="print length and write position of the memory before saving and after loading",
        run=memory_returns,
    ),
)
