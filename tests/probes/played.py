"""Play in the counter world by rote, and what it must have left."""

from __future__ import annotations

import numpy as np

from probes.subject import Transitions
from probes.worlds.stamped_env import Ledger, Stamp, StampedEnv


def played(view="vector", env=1, episodes=10):
    """A ledger of some episodes, and the true transitions in it."""
    ledger = Ledger()
    world = StampedEnv(env, view, ledger)
    for episode in range(episodes):
        world.reset()
        for age in range(Stamp(env, episode, 0).length):
            world.step((episode + age) % 5)
    stamps = list(ledger.taken)
    steps = list(ledger.taken.values())
    true = Transitions(
        obs=np.stack([ledger.shown[stamp] for stamp in stamps]),
        action=np.array([step.action for step in steps]),
        reward=np.array([step.reward for step in steps], np.float32),
        next_obs=np.stack([ledger.shown[stamp.following] for stamp in stamps]),
        terminated=np.array([step.terminated for step in steps]),
    )
    return ledger, true
