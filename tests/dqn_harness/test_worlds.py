"""The probe worlds have names in Gymnasium, whichever package is imported first."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from dqn_harness.worlds import NAMES, identity
from probes.worlds.tables import FLICKER, VELOCITY, WORLDS

MADE = "print(gymnasium.make('dqn_harness/TwoStepDiscounting-v0').unwrapped.world.solve(0.5)[0])"


@pytest.mark.parametrize(
    "order", ["import dqn_harness, gymnasium", "import gymnasium, dqn_harness"]
)
def test_they_are_known_as_soon_as_both_are_imported(order, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", f"{order}\n{MADE}"], cwd=tmp_path, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert ran.stdout == "[2.]\n"


def test_our_import_alone_imports_no_other_package(tmp_path):
    code = "import sys, dqn_harness; print({'gymnasium', 'numpy', 'probes'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "set()\n"


def test_all_worlds_of_vectors_have_a_name():
    assert set(NAMES) == {world.name for world in WORLDS} - {VELOCITY.name, FLICKER.name}


@pytest.mark.parametrize("name", NAMES)
def test_a_world_is_played_under_its_name(name):
    env = gymnasium.make(identity(name))
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    values = env.unwrapped.world.solve(gamma=0.5)
    assert values.shape[1] == env.action_space.n
    rewards = []
    for _ in range(40):
        obs, reward, terminated, truncated, _ = env.step(0)
        rewards.append(reward)
        if terminated or truncated:
            obs, _ = env.reset()
    assert np.isfinite(rewards).all()


def test_a_world_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="branching"):
        gymnasium.make(identity("branching"), name="branchin")
