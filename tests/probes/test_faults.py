"""Every check is turned red by a planted fault, and no healthy agent turns one red."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from probes.checks.check import Check, Outcome
from probes.faults import FAULTS, UnknownFaultError, subject_with
from probes.ladder import CHECKS, run_check
from probes.subject import Subject
from reports.schema import FindingStatus

CODES = [check.code for check in CHECKS]


def expanded(network: str) -> list[tuple[str, str]]:
    return [
        (fault.name, code.replace("*", network))
        for fault in FAULTS
        for code in fault.caught_by
        if network == "mlp" or code.endswith("*")
    ]


# With frames a check takes seconds: one fault for each world is enough there.
WITH_FRAMES = {code: fault for fault, code in reversed(expanded("cnn"))}


@pytest.mark.parametrize(("fault", "code"), expanded("mlp"))
def test_a_fault_turns_its_checks_red(fault, code):
    finding = run_check(code, fault, seed=0)
    assert finding.status is FindingStatus.RED, finding
    assert finding.compared > 0
    assert finding.hint


@pytest.mark.parametrize(("code", "fault"), WITH_FRAMES.items())
def test_a_fault_turns_its_checks_red_with_frames(fault, code):
    assert run_check(code, fault, seed=0).status is FindingStatus.RED


def test_every_check_has_a_fault_that_turns_it_red():
    assert {code for network in ("mlp", "cnn") for _, code in expanded(network)} == set(CODES)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("code", [code for code in CODES if not code.endswith("cnn")])
def test_the_healthy_core_is_green(code, seed):
    finding = run_check(code, "", seed)
    assert finding.status is FindingStatus.GREEN, finding
    assert finding.compared > 0


def test_nothing_compared_is_red(monkeypatch):
    def compares_nothing(subject: Subject, seed: int) -> Outcome:
        del subject, seed
        return Outcome(holds=True, expected="", actual="", compared=0)

    vacuous = Check("vacuous", "nothing", "write the check", compares_nothing)
    monkeypatch.setattr("probes.ladder.CHECKS", (vacuous,))
    assert run_check("vacuous", "", seed=0).status is FindingStatus.RED


def test_faults_are_named_and_unknown_ones_refused():
    assert subject_with("").name == "dqn_core"
    assert subject_with("no-terminal-mask").name == "dqn_core with no-terminal-mask"
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.part.__doc__ for fault in FAULTS)
    with pytest.raises(UnknownFaultError, match=r"nearest +no-terminal-mask"):
        subject_with("no-terminal-masc")


def probes(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "probes", *arguments],
        env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "expected a non-negative integer, got '-1'"),
        (["--seed", "$(touch x)"], "expected a non-negative integer"),
        (["--fault", "nonsense"], "unknown fault 'nonsense'"),
        (["--what"], ""),
    ],
)
def test_bad_words_are_usage_errors(arguments, message):
    ran = probes(*arguments)
    assert ran.returncode == 4, ran.stderr
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_faults_can_be_listed():
    ran = probes("--list-faults")
    assert ran.returncode == 0
    assert all(fault.name in ran.stdout for fault in FAULTS)


def test_a_red_table_has_exit_code_one_and_names_the_component():
    ran = probes(HARNESS_FAULT="discount-missing", HARNESS_SEED="5")
    assert ran.returncode == 1
    assert "dqn_core with discount-missing: 14 checks, seed 5" in ran.stdout
    assert "world.two-step-discounting.mlp: suspect the TD target" in ran.stdout
    assert "14 of 14 checks ran, 2 red" in ran.stdout
