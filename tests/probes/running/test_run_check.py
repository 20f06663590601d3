"""One check, run: what shows nothing is red, what is not offered a skip."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from probes.checks.check import Check
from probes.checks.registry import CHECKS
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.running.run_check import run_check
from probes.subjects import core
from probes.subjects.core import CoreSubject
from reports.schema import FindingStatus


def test_nothing_compared_is_red():
    def compares_nothing(testbed: Testbed) -> Outcome:
        del testbed
        return Outcome(holds=True, expected="", actual="", compared=0)

    vacuous = replace(CHECKS[0], run=compares_nothing)
    assert run_check(vacuous, core.make, seed=0).status is FindingStatus.RED


def test_a_missing_capability_is_a_skip_that_names_it():
    class Blind(CoreSubject):
        sample = None  # type: ignore[assignment]

    def asks(testbed: Testbed) -> Outcome:
        testbed.trial(partial(pytest.fail, "no environment is needed"))
        return Outcome(holds=True, expected="", actual="", compared=1)

    needy = Check(**{**vars(CHECKS[0]), "needs": ("sample", "update"), "run": asks})
    factory = partial(_without_environment, Blind)
    finding = run_check(needy, factory, seed=0)
    assert finding.status is FindingStatus.SKIP
    assert finding.actual == "not offered: sample"


def _without_environment(kind, make_env, settings):
    del make_env, settings
    return kind.__new__(kind)
