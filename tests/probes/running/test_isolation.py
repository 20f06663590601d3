"""A subject that misbehaves costs the check at hand only, and is told plainly what it did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.checks.registry import check_named
from probes.running import isolation
from probes.running.isolation import CheckJob, Loaded, Waiting, run_jobs
from probes.running.run_check import run_check
from probes.subject import SubjectError
from reports.schema import FindingStatus
from tests.probes import bad_subjects

CHECK = replace(check_named("world.constant-reward.vector"), limit_s=3.0)


@pytest.mark.parametrize(
    ("subject", "expected", "actual"),
    [
        ("Raises", "no exception", "RuntimeError: no gradient today"),
        ("TakesNoSteps", "to take 264 steps", "it took 0"),
        ("WrongShape", "q_values of shape [1, number of actions]", "it returned [1]"),
        ("WholeNumbers", "of a floating type", "it returned int64"),
        ("NotANumber", "finite q_values", "it returned nan"),
        ("ChangesObservations", "observations left as they are", "q_values changed them in place"),
        ("ChangesTheEnvironmentsObservation", "left as they are", "one was changed in place"),
        ("TakesActionsThereAreNot", "actions from 0 to 0", "it took 99"),
        ("StepsAfterTheEnd", "reset() after the end of an episode", "step() was called"),
        ("Idle", "Q(s0, a0) = 2.000 ± 0.500", "0.000"),
    ],
)
def test_misbehaviour_is_told_with_expected_and_actual(subject, expected, actual):
    finding = run_check(CHECK, getattr(bad_subjects, subject), seed=0)
    behaves = subject in {"Idle", "NotANumber"}  # and shows something of the property
    assert finding.status is (FindingStatus.RED if behaves else FindingStatus.ERROR)
    assert expected in finding.expected
    assert actual in finding.actual
    assert bool(finding.hint) is behaves
    assert finding.place.startswith("tests/probes/bad_subjects.py:") or behaves or not finding.place


def of(subject: str, count: int = 1) -> list[CheckJob]:
    check = CHECK if subject == "Hangs" else replace(CHECK, limit_s=60.0)
    return [
        CheckJob(check, f"tests.probes.bad_subjects:{subject}", "", seed) for seed in range(count)
    ]


@pytest.mark.parametrize(
    ("subject", "actual"),
    [
        ("Hangs", "no answer within 3 s"),
        ("EndsItsProcess", "its process ended with signal SIGKILL"),
        ("Exits", "its process ended with exit code 7"),
        ("Leaks", "its process grew to "),
        ("Talks", "0.000"),
        ("BreaksTheCore", "0.000"),
    ],
)
def test_a_lost_process_costs_one_check_and_the_next_gets_a_new_one(subject, actual, monkeypatch):
    monkeypatch.setattr(isolation, "MEMORY_LIMIT_GB", 1.5)
    monkeypatch.setattr(isolation, "available_cores", lambda: 1)
    healthy = CheckJob(CHECK, "probes.subjects.core:make", "", 0)
    results = run_jobs([*of(subject), healthy])
    findings = [result[1] for result in results if not isinstance(result, Loaded)]
    lost = subject not in {"Talks", "BreaksTheCore"}
    first = FindingStatus.ERROR if lost else FindingStatus.RED
    assert [finding.status for finding in findings] == [first, FindingStatus.GREEN]
    assert actual in findings[0].actual


def test_whoever_serves_a_subject_keeps_to_it_and_helps_when_all_are_served():
    a, b, c = ([CheckJob(CHECK, name, "", seed) for seed in range(3)] for name in "abc")
    waiting = Waiting([*a, *b, *c])
    first, second = waiting.take(None), waiting.take(None)
    assert (first, second) == (a[0], b[0])
    assert [waiting.take(("a", "")) for _ in range(3)] == [*a[1:], c[0]]
    assert [waiting.take(("b", "")) for _ in range(3)] == [*b[1:], c[1]]
    assert [waiting.take(("a", "")), waiting.take(("b", ""))] == [c[2], None]


def test_a_subject_that_is_none_ends_the_run():
    with pytest.raises(SubjectError, match="has no function 'Nothing'"):
        list(run_jobs(of("Nothing", count=3)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os; os._exit(3)", "could not be loaded: its process ended with exit code 3"),
        ("raise RuntimeError('no licence')", "exit code 1: RuntimeError: no licence"),
        ("import time; time.sleep(600)", "could not be loaded: no answer within 9 s"),
    ],
)
def test_a_subject_that_breaks_while_it_is_loaded_ends_the_run(
    body, message, tmp_path, monkeypatch
):
    (tmp_path / "broken_subject.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(isolation, "START_LIMIT_S", 9.0)
    monkeypatch.setattr(isolation, "available_cores", lambda: 1)
    with pytest.raises(SubjectError, match=message):
        list(run_jobs([CheckJob(CHECK, "broken_subject:make", "", seed) for seed in range(3)]))
