"""Exploration, cadence, seeding: their checks on an agent of another kind, healthy and faulty."""

from __future__ import annotations

import numpy as np
import pytest

from probes.checks import cadence, exploration, seeding
from probes.checks.support.testbed import Testbed
from probes.running.run_check import run_check
from probes.subject import Settings, Unsupported
from reports.schema import FindingStatus
from tests.probes.linear import Linear

CHECKS = (*exploration.CHECKS, *cadence.CHECKS, *seeding.CHECKS)
BLACK_BOX = [check for check in CHECKS if "sample" not in check.needs]


@pytest.mark.parametrize("check", BLACK_BOX, ids=lambda check: check.code)
def test_a_healthy_agent_of_another_kind_is_green(check):
    for seed in range(2):
        finding = run_check(check, Linear, seed)
        assert finding.status is FindingStatus.GREEN, finding


class Stuck(Linear):
    """Its random action is drawn only every five steps."""

    kept = 0

    def choose(self, values) -> int:
        if self.steps % 5 == 0:
            self.kept = int(self.rng.integers(self.num_actions))
        warm = self.steps >= self.settings.warmup_steps
        greedy = warm and self.rng.random() >= self.epsilon()
        return int(values.argmax()) if greedy else self.kept


class TwoChangesLate(Linear):
    """It acts with the values of two updates ago."""

    def update(self) -> None:
        before = self.acting
        super().update()
        self.acting, self.next_acting = getattr(self, "next_acting", before), self.acting


class Careless(Linear):
    """It seeds one global generator and draws from another."""

    def __init__(self, make_env, settings: Settings) -> None:
        super().__init__(make_env, settings)
        np.random.seed(settings.seed)  # noqa: NPY002, TID251  # what is to be found
        import torch

        torch.rand(1)


@pytest.mark.parametrize(
    ("subject", "code", "told"),
    [
        (Stuck, "exploration.uniform-when-epsilon-is-one", ""),
        (TwoChangesLate, "exploration.greedy-when-epsilon-is-zero", "was taken at Q-values"),
        (
            Careless,
            "seeding.leaves-global-generators-alone",
            "numpy.random was seeded, torch was drawn from",
        ),
    ],
)
def test_what_no_planted_fault_does_is_found_too(subject, code, told):
    check = next(check for check in CHECKS if check.code == code)
    finding = run_check(check, subject, seed=0)
    assert finding.status is (FindingStatus.ADVICE if check.advises else FindingStatus.RED)
    assert told in finding.actual


class OneEnvironment(Linear):
    """It plays one environment, however many are asked for."""

    def __init__(self, make_env, settings: Settings) -> None:
        super().__init__(make_env, settings)
        self.envs = self.envs[:1]


@pytest.mark.parametrize(
    "run",
    [exploration.coins_differ, seeding.environments_differ, seeding.environments_are_seeded],
)
def test_fewer_environments_than_asked_for_show_nothing_of_several(run):
    with pytest.raises(Unsupported, match=r"plays one environment; settings.num_envs = 3"):
        run(Testbed(OneEnvironment, 0))
