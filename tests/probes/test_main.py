"""`python -m probes`, as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

import pytest

from probes.__main__ import main
from probes.faults.catalogue import ABSENT, FAULTS


@pytest.fixture
def probes(called):
    return partial(called, main)


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
def test_bad_words_are_usage_errors(probes, arguments, message):
    code, _, errors = probes(*arguments)
    assert code == 4, errors
    assert message in errors
    assert "Traceback" not in errors


def test_faults_can_be_listed(probes):
    code, told, _ = probes("--list-faults")
    assert code == 0
    assert all(fault.name in told for fault in FAULTS)
    assert all(absent.name in told for absent in ABSENT)


def test_a_red_table_has_exit_code_one_and_names_the_component():
    ran = subprocess.run(
        [sys.executable, "-m", "probes", "-k", "discounting.vector"],
        env=os.environ | {"HARNESS_FAULT": "discount-missing", "HARNESS_SEED": "5"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "core:make with discount-missing: 1 check, seed 5" in ran.stdout
    assert "1 of 1 check ran, 1 red" in ran.stdout
    assert "1. TD target and loss" in ran.stdout
    assert "next: " in ran.stdout


def test_findings_as_json(probes):
    code, told, _ = probes("--json", "-k", "world.constant-reward.vector")
    assert code == 0
    report = json.loads(told)
    assert report["subject"] == "probes.subjects.core:make"
    assert [finding["status"] for finding in report["findings"]] == ["green"]
    assert report["suspicions"] == []


def test_nothing_ran_has_a_code_of_its_own(probes):
    code, told, _ = probes(
        "--agent", "tests.probes.bad_subjects:Idle", "-k", "target.separate-storage"
    )
    assert code == 5
    assert "0 of 1 check ran" in told
    assert "not offered: online_net" in told


def test_a_check_is_explained(probes):
    code, told, _ = probes("explain", "world.constant-reward.vector")
    assert code == 0
    for part in ("likely causes", "seen in", "next experiment", "needs       train, q_values"):
        assert part in told
    assert "no-terminal-mask" in told
