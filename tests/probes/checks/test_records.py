"""The checks of records, live."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from probes.checks import records as check_episodes
from probes.checks import update_records as check_updates
from probes.checks.registry import CHECKS
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.records import episodes as of_episodes
from probes.records import updates as of_updates
from probes.records.facts import Facts, Property
from probes.running.run_check import run_check
from probes.subject import Records
from probes.subjects import core
from probes.subjects.core import CoreSubject, Parts
from reports.schema import FindingStatus

OURS = [check for check in CHECKS if check.code.startswith("records.")]
CODES = [check.code for check in OURS]


def all_of(*proven: Property) -> Property:
    """All these properties of one and the same run."""

    def prove(records: Records, facts: Facts) -> Outcome:
        outcomes = [each(records, facts) for each in proven]
        assert all(outcome.compared for outcome in outcomes)
        return next((each for each in outcomes if not each.holds), outcomes[0])

    return prove


OF_EPISODES = all_of(
    of_episodes.returns_are_raw,
    of_episodes.episodes_count_once,
    of_episodes.lengths_are_agent_steps,
    of_episodes.environments_are_kept_apart,
    of_episodes.lengths_are_within_limit,
    of_episodes.returns_are_within_range,
)
OF_UPDATES = all_of(
    of_updates.one_loss_per_update,
    of_updates.losses_are_of_their_updates,
    of_updates.losses_are_within_bounds,
    of_updates.values_are_of_their_updates,
    of_updates.values_are_within_bounds,
    of_updates.numbers_are_finite,
    of_updates.counts_are_those_taken,
)


# The first three seeds are those of `tests/probes/faults/test_catalogue.py`.
@pytest.mark.parametrize("seed", range(3, 10))
def test_the_healthy_core_is_green_over_many_seeds(seed):
    testbed = Testbed(core.make, seed)
    for outcome in (
        check_episodes.of_episodes(OF_EPISODES, 1, testbed),
        check_episodes.of_episodes(OF_EPISODES, 3, testbed),
        check_updates.of_updates(OF_UPDATES, testbed),
        check_updates.nan_is_shown(testbed),
        check_episodes.epsilon_is_that_of_its_step(testbed),
    ):
        assert outcome.holds, outcome


class Silent(CoreSubject):
    """It counts, and records nothing else."""

    def records(self):
        return SimpleNamespace(steps=super().records().steps)


@pytest.mark.parametrize("check", OURS, ids=CODES)
def test_a_field_that_is_not_recorded_is_a_skip_that_names_it(check):
    finding = run_check(check, Parts(subject=Silent).make, seed=0)
    if check.code == "records.counts-are-those-taken":
        assert finding.status is FindingStatus.GREEN
    else:
        assert finding.status is FindingStatus.SKIP
        assert finding.actual.startswith("not recorded: ")


class Stops(CoreSubject):
    """It stops at a reward that is no number."""

    def train(self, steps):
        super().train(steps)
        if np.isnan(self.records().episode_return).any():
            raise FloatingPointError("a reward is nan")


def test_to_stop_at_a_reward_of_nan_is_right_too():
    (check,) = [check for check in OURS if check.code == "records.nan-is-shown"]
    finding = run_check(check, Parts(subject=Stops).make, seed=0)
    assert finding.status is FindingStatus.GREEN
    assert finding.actual == "the run stopped: FloatingPointError"
