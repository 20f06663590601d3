"""Checks as tests, as a user's test suite meets them."""

from __future__ import annotations

import pytest

from dqn_harness import check_agent
from probes.subjects import core
from reports.schema import FindingStatus
from tests.probes import bad_subjects

SUITE = """
    from dqn_harness import parametrize_with_checks
    {imported}

    @parametrize_with_checks({arguments})
    def test_dqn(check):
        check()
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    # The session under test runs in a process of its own, as a user's does.
    monkeypatch.setenv("PYTHONPATH", str(pytest.importorskip("probes").__path__[0]) + "/..")

    def run(*arguments: str, imported: str = "") -> pytest.RunResult:
        """Of a file for each; a session takes seconds to import what it tests."""
        for number, of_one in enumerate(arguments):
            text = SUITE.format(arguments=of_one, imported=imported)
            pytester.makepyfile(**{f"test_{number}": text})
        return pytester.runpytest_subprocess("-v", "-rA", "-p", "no:cacheprovider")

    return run


def test_every_check_is_a_test_named_by_its_code(suite):
    result = suite('"probes.subjects.core:make", checks="constant-reward.vector"')
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*::test_dqn?world.constant-reward.vector? PASSED*", "*1 of 1 check ran, 0 red*"]
    )


def test_a_red_check_says_what_is_wrong_and_the_component_is_named(suite):
    result = suite(
        'fault_named("discount-missing").parts.make, checks="two-step-discounting.vector"',
        imported="from probes.faults.catalogue import fault_named",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*world.two-step-discounting.vector (TD target and loss)*",
            "*expected  Q(s0, a0) = 2.000*",
            "*next      dqn-harness explain world.two-step-discounting.vector*",
            "*1 of 1 check ran, 1 red*",
            "*1. TD target and loss*",
        ]
    )


def test_an_expected_failure_turns_red_when_it_starts_to_pass(suite):
    code = "world.constant-reward.vector"
    arguments = f'"{{}}", checks="{code}", expected_failures={{{{"{code}": "known"}}}}'
    failing, passing = "tests.probes.bad_subjects:Idle", "probes.subjects.core:make"
    result = suite(arguments.format(failing), arguments.format(passing))
    result.assert_outcomes(xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["XFAIL test_0.py*", "FAILED test_1.py*XPASS(strict)*known*"])


def test_a_missing_capability_is_a_skip_that_names_it(suite):
    result = suite('"tests.probes.bad_subjects:Idle", checks="td."')
    assert result.parseoutcomes()["skipped"] >= 2
    result.stdout.fnmatch_lines(["*0 of * checks ran, 0 red*", "*not offered: td_targets*"])


def test_unknown_codes_are_refused(suite):
    result = suite('"probes.subjects.core:make", expected_failures={"world.constant": "?"}')
    result.stdout.fnmatch_lines(["*unknown check 'world.constant'*", "*nearest*constant-reward*"])


def test_check_agent_returns_findings_or_raises_with_all_of_them():
    findings = check_agent(core.make, checks="constant-reward.vector")
    assert [finding.status for finding in findings] == [FindingStatus.GREEN]
    with pytest.raises(AssertionError, match=r"expected  Q\(s0, a0\) = 2.000(.|\n)*\n1. .*%"):
        check_agent(bad_subjects.Idle, checks="constant-reward.vector")
    code = "world.constant-reward.vector"
    assert check_agent(bad_subjects.Idle, checks=code, expected_failures={code: "known"})
    with pytest.raises(AssertionError, match=r"red, as documented: known\n  actual    it passes"):
        check_agent(core.make, checks=code, expected_failures={code: "known"})
