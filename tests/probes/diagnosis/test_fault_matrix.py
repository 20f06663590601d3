"""Planting faults and storing what they do, on two faults and two checks."""

from __future__ import annotations

import pytest

from probes.checks.registry import check_named
from probes.diagnosis import fault_matrix
from probes.diagnosis.docs_pages import checks_page, faults_page
from probes.faults.catalogue import fault_named
from reports.schema import Dictionary, ExitCode

CHECKS = tuple(map(check_named, ("td.rows-are-independent", "world.velocity.frames")))
CAUGHT = fault_named("maximum-over-batch")


@pytest.fixture
def few(monkeypatch, tmp_path):
    monkeypatch.setattr(fault_matrix, "CHECKS", CHECKS)

    def measured(*faults) -> tuple[ExitCode, Dictionary]:
        monkeypatch.setattr(fault_matrix, "FAULTS", faults)
        code = fault_matrix.measure(0, tmp_path / "dictionary.json", pages=tmp_path)
        stored = (tmp_path / "dictionary.json").read_text("utf-8")
        return code, Dictionary.model_validate_json(stored)

    return measured


def test_what_a_fault_turns_red_is_stored_and_frames_are_left_out_where_they_are_not_needed(
    few, tmp_path
):
    code, dictionary = few(CAUGHT)
    assert not (tmp_path / "checks.md").exists()
    (row,) = dictionary.rows
    assert code is ExitCode.OK
    assert row.red == row.ran == ["td.rows-are-independent"]
    assert (row.fault, row.component) == (CAUGHT.name, CAUGHT.component)
    assert (dictionary.detected, dictionary.named) == (1.0, 1.0)


def test_a_fault_that_no_check_catches_fails_the_measurement(few, monkeypatch):
    # A worker plants faults by name, so it is the check that is one which misses this fault.
    monkeypatch.setattr(fault_matrix, "CHECKS", (check_named("target.separate-storage"),))
    code, dictionary = few(CAUGHT)
    assert code is ExitCode.FAIL
    assert dictionary.detected == 0.0


def test_pages_are_renewed_where_there_are_some(few, tmp_path):
    (tmp_path / "checks.md").write_text("old", "utf-8")
    _, dictionary = few(CAUGHT)
    assert (tmp_path / "checks.md").read_text("utf-8") == checks_page(dictionary)
    assert (tmp_path / "faults.md").read_text("utf-8") == faults_page(dictionary)
