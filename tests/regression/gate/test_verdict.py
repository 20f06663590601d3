"""The verdict follows the evidence, and says what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regression.gate.verdict import judge
from reports.schema import VerdictName
from tests.regression.made import evidence


def test_a_note_is_told_and_decides_nothing():
    note = "Seed 1003: loss is nan."
    told, quiet = judge(evidence(108, notes=[note])), judge(evidence(108))
    assert [each for each in told.notes if each not in quiet.notes] == [note]
    assert told.model_copy(update={"notes": quiet.notes}) == quiet


def test_verdicts_follow_the_curves():
    # Reference areas spread from 155 to 174, candidates over five of a level.
    assert judge(evidence(108)).verdict is VerdictName.PASS
    seeds = range(1000, 1020)
    failed = judge(evidence(20, seeds=seeds, stage_two=seeds[5:]))
    assert failed.verdict is VerdictName.FAIL
    first, second = (criterion for criterion in failed.criteria if criterion.decides)
    assert first.tripped
    assert second.tripped
    assert first.candidate_mean == pytest.approx(20 + 55 + 2)  # of the first five of twenty
    assert second.candidate_mean == pytest.approx(20 + 55 + 12)
    tripped = judge(evidence(20))
    assert tripped.verdict is VerdictName.INCONCLUSIVE
    assert "15 further fresh seeds must decide" in tripped.sentence
    assert judge(evidence(300)).verdict is VerdictName.BETTER


def test_no_reference_or_shared_seeds_are_inconclusive_never_a_pass():
    nothing = judge(evidence(108, reference=False))
    assert nothing.verdict is VerdictName.INCONCLUSIVE
    assert "there is none" in nothing.sentence
    shared = judge(evidence(108, seeds=(19, 1000, 1001, 1002, 1003)))
    assert shared.verdict is VerdictName.INCONCLUSIVE
    assert "Seeds [19] are in the reference too" in shared.sentence


def test_a_failed_seed_is_infrastructure_and_named():
    verdict = judge(evidence(108, failed=(1001,)))
    assert verdict.verdict is VerdictName.INFRA
    assert verdict.sentence == "Seed 1001 did not finish: MemoryError: out of memory"


def test_seeds_that_are_one_run_fail_however_well_they_learn():
    healthy = evidence(108)
    twins = [
        one.model_copy(update={"weights_digest": "0badcafe"}) if one.seed in {1001, 1003} else one
        for one in healthy.results
    ]
    verdict = judge(replace(healthy, results=twins))
    assert verdict.verdict is VerdictName.FAIL
    assert "Seeds [1001, 1003] ended with the same weights, bit for bit" in verdict.sentence
    of_logs = [one.model_copy(update={"weights_digest": ""}) for one in healthy.results]
    assert judge(replace(healthy, results=of_logs)).verdict is VerdictName.PASS


def test_a_verdict_is_a_pure_function_of_its_evidence():
    assert judge(evidence(99)) == judge(evidence(99))
