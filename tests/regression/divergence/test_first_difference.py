"""Thirty planted single-bit and single-event perturbations, each to be found where it struck."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqn_core.device import prepare_device
from dqn_core.recipes.schema import Recipe
from dqn_core.train import TrainingRun
from probes.subjects.core import Parts
from regression.divergence.diff import compare_runs
from regression.divergence.first_difference import ulp_distance
from regression.divergence.rerun import read_run
from tests.dqn_core.small import small, small_pong
from tests.regression.divergence import planting

SHORT = {
    "total_steps": 240, "segment_steps": 120, "window_steps": 40, "block_steps": 8,
    "sync_period_updates": 10,
}  # fmt: skip
EVALUATED = {"period_steps": 120, "episodes": 2, "num_envs": 2, "rolling_episodes": 2}
RECIPES = {
    "cartpole": small(loop=SHORT, evaluation=EVALUATED),
    "cartpole-two": small(loop=SHORT | {"num_envs": 2}, evaluation=EVALUATED),
    "pong": small_pong(
        loop=SHORT
        | {"num_envs": 1, "total_steps": 80, "segment_steps": 80, "sync_period_updates": 6},
        replay={"capacity_rows": 600, "warmup_steps": 24, "batch_size": 16},
        evaluation={"period_steps": 80, "episodes": 1, "num_envs": 1, "rolling_episodes": 1},
    ),
}
# Of each kind: when it may strike, from and to, in the unit that it counts in.
KINDS = {
    planting.weights: (2, 40),
    planting.gradient: (2, 40),
    planting.optimizer: (2, 40),
    planting.target_q_values: (2, 40),
    planting.td_target: (2, 40),
    planting.q_values: (2, 40),
    planting.sync_skipped: (1, 4),
    planting.sync_added: (21, 29),
    planting.learning_rate: (2, 40),
    planting.reward: (10, 60),
    planting.action: (10, 60),
    planting.next_obs: (10, 60),
    planting.explore_draws: (0, 7),
    planting.dropped_transition: (10, 40),
    planting.stored_reward: (10, 40),
    planting.batch_reward: (1, 10),
    planting.batch_obs: (1, 10),
    planting.index_off_by_one: (1, 10),
}
PONG = [
    planting.weights, planting.gradient, planting.optimizer, planting.sync_skipped, planting.action,
    planting.next_obs, planting.dropped_transition, planting.batch_obs, planting.td_target,
]  # fmt: skip
CASES = (
    [("cartpole", kind) for kind in KINDS]
    + [("cartpole-two", kind) for kind in (planting.reward, planting.next_obs, planting.weights)]
    + [("pong", kind) for kind in PONG]
)


def train(recipe: Recipe, folder: Path, parts: Parts) -> None:
    for _ in TrainingRun(parts.make_trainer(recipe, 3, prepare_device("cpu")), folder).windows():
        pass


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folders: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            train(RECIPES[name], folders[name], Parts())
        return folders[name]

    return of


def test_thirty_cases() -> None:
    assert len(CASES) == 30


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=[pytest.mark.atari] if name == "pong" else [],
                     id=f"{number}-{name}-{kind.__name__}")
        for number, (name, kind) in enumerate(CASES)
    ],
)  # fmt: skip
def test_a_planted_perturbation_is_named_exactly(number, healthy, tmp_path):
    name, kind = CASES[number]
    draw = np.random.default_rng(number)
    first, last = KINDS[kind]
    if name == "pong":
        last = first + (last - first) // 2  # a shorter run
    plant = planting.Plant(
        RECIPES[name],
        at=int(draw.integers(first, last)),
        pick=int(draw.integers(10_000)),
        bit=int(draw.integers(12, 23)),
    )
    parts = kind(plant)
    train(RECIPES[name], tmp_path, parts)
    assert len(plant.struck) == 1
    (expected,) = plant.struck
    found = compare_runs(
        read_run(healthy(name)), replace(read_run(tmp_path), parts=parts)
    ).difference
    actual = (found.kind, found.step, found.update, found.event, found.element)
    assert actual == expected


FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(FLOATS, st.integers(0, 50))
def test_ulps_count_the_steps_between_neighbouring_floats(value, steps):
    start = np.array([value], np.float32)
    reached = start.copy()
    with np.errstate(over="ignore"):
        for _ in range(steps):
            reached = np.nextafter(reached, np.float32(np.inf))
    if np.isfinite(reached).all():
        # nextafter passes over one of the two zeros.
        crossed = int(np.signbit(start[0]) and not np.signbit(reached[0]) and steps > 0)
        assert int(ulp_distance(start, reached)[0]) in {steps, steps + crossed}
        assert int(ulp_distance(reached, start)[0]) == int(ulp_distance(start, reached)[0])
