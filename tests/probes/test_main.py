"""`python -m probes`, as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from probes.faults.catalogue import ABSENT, FAULTS


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
        (["-k", "nonsense"], "unknown check 'nonsense'"),
        (["--agent", "nowhere:make"], "cannot import 'nowhere'"),
        (["--agent", "$(touch x)"], "expected module:factory"),
        (["--agent", "a:b", "--fault", "no-terminal-mask"], "leave --agent out"),
        (["explain", "world.constant"], "unknown check 'world.constant'"),
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
    assert all(absent.name in ran.stdout for absent in ABSENT)


def test_a_red_table_has_exit_code_one_and_names_the_component():
    ran = probes("-k", "discounting.vector", HARNESS_FAULT="discount-missing", HARNESS_SEED="5")
    assert ran.returncode == 1
    assert "core:make with discount-missing: 1 check, seed 5" in ran.stdout
    assert "1 of 1 check ran, 1 red" in ran.stdout
    assert "1. TD target and loss" in ran.stdout
    assert "next: " in ran.stdout


def test_findings_as_json():
    ran = probes("--json", "-k", "world.constant-reward.vector")
    assert ran.returncode == 0
    report = json.loads(ran.stdout)
    assert report["subject"] == "probes.subjects.core:make"
    assert [finding["status"] for finding in report["findings"]] == ["green"]
    assert report["suspicions"] == []


def test_nothing_ran_has_a_code_of_its_own():
    ran = probes("--agent", "tests.probes.bad_subjects:Idle", "-k", "target.separate-storage")
    assert ran.returncode == 5
    assert "0 of 1 check ran" in ran.stdout
    assert "not offered: online_net" in ran.stdout


def test_a_check_is_explained():
    ran = probes("explain", "world.constant-reward.vector")
    assert ran.returncode == 0
    for part in ("likely causes", "seen in", "next experiment", "needs       train, q_values"):
        assert part in ran.stdout
    assert "no-terminal-mask" in ran.stdout
