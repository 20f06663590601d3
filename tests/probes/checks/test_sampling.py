"""Which steps must be sampled, and the power to see a bias."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from examples.dqn import DQN
from probes.checks import sampling
from probes.checks.registry import check_named
from probes.checks.support.replay_audit import CAPACITY
from probes.checks.support.testbed import Testbed
from probes.running.run_check import run_check
from probes.subjects.core import make
from probes.worlds.stamped_env import LENGTHS, Stamp
from reports.schema import FindingStatus
from tests.probes.played import played


def test_the_newest_step_may_wait_and_the_oldest_may_give_way_to_final_observations():
    ledger, _ = played(episodes=60)
    due, allowed = sampling._recent(ledger, set(), 1)
    newest_first = list(reversed(ledger.taken))
    assert newest_first[0] not in due
    assert newest_first[1] in due
    assert due < allowed
    assert allowed == set(newest_first[:CAPACITY])
    mean = np.mean(LENGTHS)  # steps for each final observation
    assert len(due) == pytest.approx(CAPACITY * mean / (mean + 1) - 3, abs=2)


@pytest.mark.parametrize(
    ("more", "status"), [(0, FindingStatus.GREEN), (-1, FindingStatus.RED), (1, FindingStatus.RED)]
)
def test_a_memory_of_transitions_holds_exactly_as_many_as_asked_for(more, status):
    def make_with(make_env, settings):
        subject = DQN([make_env()], settings)
        subject.memory = deque(maxlen=settings.capacity + more)
        return subject

    found = run_check(check_named("replay.exactly-the-recent"), make_with, 0)
    assert found.status is status, found


class Biased:
    """Draws of which every second transition is so much likelier than the others."""

    def __init__(self, ratio, seed):
        self.chance = np.where(np.arange(CAPACITY) % 2, ratio, 1.0)
        self.chance /= self.chance.sum()
        self.rng = np.random.Generator(np.random.Philox(key=seed))

    def __call__(self, trial, size):
        del trial
        rows = self.rng.choice(CAPACITY, size, p=self.chance)
        return (Stamp(0, int(row), 0) for row in rows)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("ratio", "holds"), [(1.0, True), (1.5, False)])
def test_a_bias_of_a_half_is_seen(monkeypatch, ratio, holds, seed):
    monkeypatch.setattr(sampling, "sampled_stamps", Biased(ratio, seed))
    assert sampling.sampled_uniformly(Testbed(make, seed=0)).holds is holds
