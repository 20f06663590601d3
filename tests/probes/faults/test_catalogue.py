"""Every check is turned red by a planted fault, and no healthy agent turns one red."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from probes.checks.check import Component
from probes.checks.registry import CHECKS, UnknownCheckError, check_named, select
from probes.faults import target_network
from probes.faults.catalogue import ABSENT, FAULTS, UnknownFaultError, fault_named
from probes.faults.target_network import TAU
from probes.running.run_check import run_check
from probes.subjects import core
from probes.subjects.core import CoreSubject, Parts
from probes.traits import Traits, read_traits
from reports.schema import FindingStatus

CODES = [check.code for check in CHECKS]
# What says something of a variant alone, and the core as this variant.
VARIANTS = {
    "target.follows-the-average": (Parts(agent=target_network.Averages).make, Traits(tau=TAU))
}
# Proven on agents that the core is not: see tests/probes/checks/support/test_variants.py.
OF_OTHER_AGENTS = {
    "loss.bends-as-declared",
    "network.advantages-are-centred",
    "network.noise-is-drawn-anew",
    "optimizer.clips-as-declared",
    "replay.draws-new-rows",
    "replay.follows-priorities",
    "replay.weighs-by-share",
    "replay.weights-enter-the-loss",
}
OF_LEARNING = [
    check.code
    for check in CHECKS
    if check.code.startswith(("world.", "td.", "loss.", "target.", "optimizer.", "cadence."))
    and not check.shows_frames
    and check.code not in {*VARIANTS, *OF_OTHER_AGENTS}
]
PAIRS = [(fault.name, code) for fault in FAULTS for code in fault.caught_by]


def sampled() -> Iterator[tuple[str, str]]:
    """Every fault once, and every check; `make faults` runs all pairs, and stores what is red."""
    seen: set[str] = set()
    for fault in FAULTS:
        for number, code in enumerate(fault.caught_by):
            if number == 0 or code not in seen:
                seen.add(code)
                yield fault.name, code


@pytest.mark.parametrize(("fault", "code"), list(sampled()))
def test_a_fault_turns_its_checks_red(fault, code):
    planted = fault_named(fault)
    traits = read_traits(planted.traits)
    finding = run_check(check_named(code), planted.parts.make, seed=0, traits=traits)
    due = FindingStatus.ADVICE if check_named(code).advises else FindingStatus.RED
    assert finding.status is due, finding
    assert finding.compared > 0
    assert finding.expected
    assert finding.actual
    assert finding.hint


def test_every_check_has_a_fault_that_turns_it_red():
    assert {code for _, code in PAIRS} | OF_OTHER_AGENTS == set(CODES)


@pytest.mark.parametrize(
    ("code", "seed"),
    [(code, number % 3) for number, code in enumerate(CODES) if code not in OF_OTHER_AGENTS],
)
def test_the_healthy_core_is_green(code, seed):
    factory, traits = VARIANTS.get(code, (core.make, Traits()))
    finding = run_check(check_named(code), factory, seed, traits=traits)
    assert finding.status is FindingStatus.GREEN, finding
    assert finding.compared > 0


@pytest.mark.parametrize("code", OF_LEARNING)
def test_another_loss_optimizer_and_target_are_green_too(code):
    def make(make_env, settings):
        if settings.double is None:
            settings = replace(settings, double=True)
        return CoreSubject(make_env, settings, Parts(), "mse", "centred_rmsprop")

    finding = run_check(check_named(code), make, seed=3)
    assert finding.status is FindingStatus.GREEN, finding


def test_faults_and_checks_are_well_described():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len(set(CODES)) == len(CODES)
    for check in CHECKS:
        assert all([check.what, check.why, check.causes, check.experiment]), check.code
    for fault in FAULTS:
        assert fault.what.endswith(".")
    assert {fault.component for fault in FAULTS} == set(Component)
    assert {absent.name for absent in ABSENT}.isdisjoint(fault.name for fault in FAULTS)
    assert all(absent.what.endswith(".") and absent.reason.endswith(".") for absent in ABSENT)


def test_where_something_was_seen_is_told_by_links():
    page = re.compile(r"https://openai\.com/[\w/-]+")
    github = re.compile(
        r"https://github\.com/[\w.-]+/[\w.-]+"
        r"/((issues|pull)/[1-9]\d*|commit/[0-9a-f]{7,40}|blob/[\w./-]+)"
    )
    for named in (*CHECKS, *FAULTS, *ABSENT):
        assert len(set(named.seen)) == len(named.seen), named
        assert all(github.fullmatch(link) or page.fullmatch(link) for link in named.seen), named


def test_what_was_seen_elsewhere_is_planted_or_told_to_be_absent():
    planted = {link for fault in FAULTS for link in fault.seen}
    absent = {link for fault in ABSENT for link in fault.seen}
    assert planted.isdisjoint(absent)
    assert all(fault.seen for fault in ABSENT)
    assert sum(bool(fault.seen) for fault in FAULTS) > len(FAULTS) / 2


def test_names_are_matched_and_unknown_ones_refused():
    assert select("") == CHECKS
    assert {check.code for check in select("world.*.vector")} <= set(OF_LEARNING)
    with pytest.raises(UnknownCheckError, match=r"nearest +world.constant-reward"):
        select("world.constant-rewards")
    with pytest.raises(UnknownFaultError, match=r"nearest +no-terminal-mask"):
        fault_named("no-terminal-masc")
