"""What an agent cannot do is skipped, with the reason; what it leaves out is told once."""

from __future__ import annotations

import pytest

from probes.checks.registry import CHECKS, check_named
from probes.checks.support.testbed import ROUNDING_STEPS, Testbed
from probes.running.run_check import run_check
from probes.subject import Unsupported
from probes.worlds.env import WorldEnv
from probes.worlds.tables import TWO_STEP
from reports.schema import FindingStatus
from tests.probes import limited_subjects
from tests.probes.faults.test_catalogue import OF_OTHER_AGENTS

EVERY = "cadence.steps-every-environment"
LENGTH = "cadence.takes-the-steps-asked-for"
WITH_SEVERAL = {
    "target.period-with-two-environments": 2,
    "replay.environments-stay-apart": 3,
    "exploration.random-action-for-each-environment": 3,
    "cadence.updates-every-period.3-envs": 3,
    "seeding.environments-are-seeded": 3,
}
WITH_FRAMES = ["frames.scaled-once", "frames.every-level-counts"]
WITH_VECTORS = ["loss.averages-over-rows", "optimizer.remembers", "cadence.learns-after-warmup"]


def found(code, subject):
    return run_check(check_named(code), getattr(limited_subjects, subject), seed=0)


@pytest.mark.parametrize("subject", ["one_environment", "one_environment_declared"])
@pytest.mark.parametrize(("code", "asked"), WITH_SEVERAL.items())
def test_an_agent_of_one_environment_is_skipped_where_several_are_asked_for(subject, code, asked):
    finding = found(code, subject)
    assert finding.status is FindingStatus.SKIP, finding
    assert finding.actual == f"agent plays one environment; settings.num_envs = {asked}"


@pytest.mark.parametrize("subject", ["one_environment", "one_environment_declared"])
def test_with_one_environment_it_is_judged(subject):
    assert found("cadence.updates-every-period.1-env", subject).status is FindingStatus.GREEN


@pytest.mark.parametrize(
    ("subject", "played"), [("one_environment", "1 of 3"), ("two_of_three", "2 of 3")]
)
def test_environments_left_out_are_red_once_with_what_to_declare(subject, played):
    finding = found(EVERY, subject)
    assert finding.status is FindingStatus.RED
    assert f"steps in {played} environments" in finding.actual
    assert "max_envs = 1" in finding.actual


def test_declared_it_is_no_fault():
    assert found(EVERY, "one_environment_declared").status is FindingStatus.SKIP


def test_of_more_environments_than_two_it_is_told_how_many_are_played():
    assert found("seeding.environments-differ", "two_of_three").actual == (
        "agent plays 2 environments; settings.num_envs = 3"
    )


@pytest.mark.parametrize(
    ("subject", "unfit", "fit", "reason"),
    [
        ("vectors_only", WITH_FRAMES, WITH_VECTORS, "vectors only"),
        ("frames_only", WITH_VECTORS, WITH_FRAMES, "frames only"),
    ],
)
def test_what_a_factory_refuses_is_skipped_with_its_words(subject, unfit, fit, reason):
    for code in unfit:
        finding = found(code, subject)
        assert (finding.status, finding.actual) == (FindingStatus.SKIP, reason)
    assert all(found(code, subject).status is FindingStatus.GREEN for code in fit)


OF_A_MEMORY = [c.code for c in CHECKS if c.needs == ("sample",) and c.code not in OF_OTHER_AGENTS]


@pytest.mark.parametrize("code", OF_A_MEMORY)
def test_without_a_replay_memory_its_checks_are_skipped(code):
    finding = found(code, "without_replay")
    assert (finding.status, finding.actual) == (FindingStatus.SKIP, "not offered: sample")


def test_without_a_replay_memory_the_rest_is_judged():
    codes = ["loss.aims-at-target", "cadence.one-update-per-period", "target.moves-on-sync-only"]
    assert all(found(code, "without_replay").status is FindingStatus.GREEN for code in codes)


def test_long_rollouts_are_red_once_and_skipped_elsewhere():
    finding = found(LENGTH, "in_rollouts")
    assert finding.status is FindingStatus.RED
    assert finding.actual == "it took 512, 512, 512"
    finding = found("cadence.learns-after-warmup", "in_rollouts")
    assert finding.status is FindingStatus.SKIP
    assert finding.actual == f"agent takes over {ROUNDING_STEPS} steps more than asked for"


def test_a_rollout_more_is_allowed_and_no_longer_one(monkeypatch):
    def trial():
        testbed = Testbed(limited_subjects.in_rollouts, seed=0)
        return testbed.trial(lambda _: WorldEnv(TWO_STEP, "vector"), warmup_steps=2_000)

    kind = limited_subjects.InRollouts
    monkeypatch.setattr(kind, "rollout_steps", ROUNDING_STEPS + 1)
    trial().train(1)
    monkeypatch.setattr(kind, "rollout_steps", ROUNDING_STEPS + 2)
    too_long = trial()
    with pytest.raises(Unsupported, match="more than asked for"):
        too_long.train(1)
    assert too_long.steps == ROUNDING_STEPS + 1  # it is stopped there, not waited for
