"""Diagnosis on dictionaries made by hand, and what the stored one must deliver."""

from __future__ import annotations

import pytest

from probes.checks.check import Component
from probes.checks.registry import CHECKS
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern
from probes.diagnosis.fault_matrix import STORED, dictionary_text, judged
from probes.faults.catalogue import FAULTS
from reports.schema import Dictionary, DictionaryRow, Finding, FindingStatus

BY_COMPONENT = {check.component: check.code for check in reversed(CHECKS)}
TD, REPLAY = BY_COMPONENT[Component.TD_TARGET], BY_COMPONENT[Component.REPLAY]
SEEDING = BY_COMPONENT[Component.SEEDING]


def row(fault: str, component: Component, *red: str, ran: tuple[str, ...] = ()) -> DictionaryRow:
    every = ran or (TD, REPLAY, SEEDING)
    return DictionaryRow(
        fault=fault, component=component, what="", red=list(red), ran=list(every),
        wall_s=1.0,
    )  # fmt: skip


def dictionary(*rows: DictionaryRow) -> Dictionary:
    return Dictionary(
        schema_version=2, checks={}, seed=0, rows=list(rows), detected=1.0, named=1.0,
        named_unseen=1.0, wall_s=1.0,
    )  # fmt: skip


def red(**statuses: str) -> dict[str, bool]:
    codes = {"td": TD, "replay": REPLAY, "seeding": SEEDING}
    findings = [
        Finding(
            check=codes[name], component="", status=FindingStatus(status), expected="", actual="",
            compared=1, wall_s=0.0,
        )
        for name, status in statuses.items()
    ]  # fmt: skip
    return pattern(findings)


KNOWN = dictionary(
    row("mask", Component.TD_TARGET, TD),
    row("shift", Component.REPLAY, TD, REPLAY),
    row("key", Component.SEEDING, SEEDING),
)


@pytest.mark.parametrize(
    ("statuses", "component", "fault"),
    [
        ({"td": "red", "replay": "green", "seeding": "green"}, Component.TD_TARGET, "mask"),
        ({"td": "red", "replay": "red", "seeding": "green"}, Component.REPLAY, "shift"),
        ({"td": "green", "replay": "green", "seeding": "red"}, Component.SEEDING, "key"),
        ({"replay": "red", "seeding": "green"}, Component.REPLAY, "shift"),
    ],
)
def test_the_likeliest_component_is_that_of_the_matching_fault(statuses, component, fault):
    suspicions, experiment = diagnose(red(**statuses), KNOWN)
    assert suspicions[0].component == component
    assert suspicions[0].faults[0] == fault
    assert sum(suspicion.probability for suspicion in suspicions) == pytest.approx(1.0)
    assert experiment


def test_nothing_red_suspects_nothing():
    assert diagnose(red(td="green", replay="skip"), KNOWN) == ([], "")


def test_a_pattern_of_no_known_fault_is_named_by_its_checks():
    suspicions, _ = diagnose(red(td="green", replay="red", seeding="green"), dictionary())
    assert suspicions[0].component == Component.REPLAY


def test_a_component_whose_own_checks_were_tried_in_vain_is_not_suspected():
    evidence = red(td="red", replay="skip", seeding="green")
    suspicions, experiment = diagnose(evidence, KNOWN, tried=[TD, REPLAY, SEEDING])
    assert suspicions[0].component == Component.TD_TARGET
    assert Component.REPLAY not in {suspicion.component for suspicion in suspicions}
    assert REPLAY not in experiment
    assert sum(suspicion.probability for suspicion in suspicions) == pytest.approx(1.0)


def test_the_experiment_is_a_skipped_check_that_tells_the_two_likeliest_apart():
    _, experiment = diagnose(red(td="red", replay="skip", seeding="green"), KNOWN)
    assert experiment.startswith(f"run {REPLAY}")
    assert "mask (TD target and loss)" in experiment
    assert "shift (replay)" in experiment


def test_the_stored_dictionary_is_of_these_checks_and_faults():
    stored = load_dictionary()
    assert [row.fault for row in stored.rows] == [fault.name for fault in FAULTS]
    assert stored.checks == {check.code: check.version for check in CHECKS}
    for row_, fault in zip(stored.rows, FAULTS, strict=True):
        assert row_.component == fault.component
        assert set(fault.caught_by) <= set(row_.red), fault.name


def test_the_stored_dictionary_keeps_its_promises():
    stored = load_dictionary()
    assert judged(stored.seed, stored.rows, stored.wall_s) == stored  # by the ranking as it is now
    assert stored.detected == 1.0
    assert stored.named >= 0.9
    assert stored.named_unseen >= 0.75


def test_the_stored_dictionary_has_a_line_for_each_check_and_each_fault():
    text = STORED.read_text("utf-8")
    stored = load_dictionary()
    assert text == dictionary_text(stored)
    lines = text.splitlines()
    for code in stored.checks:
        assert sum(line.startswith(f'  "{code}": ') for line in lines) == 1
    for row_ in stored.rows:
        assert sum(line.startswith(f'  {{"fault": "{row_.fault}", ') for line in lines) == 1
    # One line a field besides, and the brackets of the whole and of the two tables.
    fields = len(stored.model_dump())
    assert len(lines) == len(stored.checks) + len(stored.rows) + fields + 4
