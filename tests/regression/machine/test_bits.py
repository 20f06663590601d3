"""Bits compared window by window, and seeds of the reference trained again for it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from regression.job.job import resolve_job
from regression.machine.bits import bits_notes, compare_bits, with_bits
from regression.runs import stages
from regression.store.units import unit_folder
from reports.schema import BitsCheck, Fingerprint, VerdictName
from tests.regression.machine.test_levels import FLAT

STORED = {0: ["a", "b", "c"], 1: ["a", "d", "e"], 2: ["a", "f", "g"]}
STEPS = [64, 128, 192]


def repeated(tmp_path, monkeypatch, again, *, here=FLAT, fault="", bits=2):
    """What comes of training the first reference seeds again, where they come to `again`."""
    job = resolve_job("cartpole", seeds="1", device="cpu", fault=fault)
    table = pd.concat(
        pd.DataFrame({"seed": seed, "step": STEPS, "weights_digest": digests})
        for seed, digests in STORED.items()
    )

    class Runner:
        def __init__(self, job, folder, *_, **__):
            self.job, self.folder = job, folder

        def run(self):
            for seed in self.job.seeds:
                folder = unit_folder(self.folder, self.job, seed)
                folder.mkdir(parents=True)
                curve = pd.DataFrame({"step": STEPS, "weights_digest": again[seed]})
                curve.to_csv(folder / "curve.csv", index=False)
            statuses = {
                seed: "complete" if again[seed][-1] else "failed" for seed in self.job.seeds
            }
            return [SimpleNamespace(seed=s, status=status) for s, status in statuses.items()]

    monkeypatch.setattr(stages, "Runner", Runner)
    monkeypatch.setattr(stages, "load_reference", lambda *_: (None, table))
    reference = SimpleNamespace(seeds=list(STORED), fingerprint=Fingerprint.model_validate(FLAT))
    evidence = stages.Evidence(
        job=job,
        results=["fresh"],
        curves=pd.DataFrame(),
        reference=None,
        no_reference="",
        fingerprint=here,
        started_utc="2026-01-01",
        wall_s=0.0,
        notes=["old"],
    )
    console = Console(quiet=True)
    run = stages.Regression(job, tmp_path, console, datetime.now(UTC), bits=bits)
    return run._with_bits(evidence, reference)


def test_the_first_seeds_are_compared_and_are_no_candidates(tmp_path, monkeypatch):
    again = STORED | {1: ["a", "d", "x"]}
    made = repeated(tmp_path, monkeypatch, again)
    assert made.bits == [
        BitsCheck(seed=0, windows=3, first_difference=None, promised=True),
        BitsCheck(seed=1, windows=3, first_difference=192, promised=True),
    ]
    assert (made.results, made.notes, made.stage_two) == (["fresh"], ["old"], [])


@pytest.mark.parametrize(
    "change", [{"here": FLAT | {"cpu family": "x"}}, {"fault": "no-terminal-mask"}]
)
def test_nothing_is_promised_to_another_machine_or_to_a_planted_fault(
    tmp_path, monkeypatch, change
):
    made = repeated(tmp_path, monkeypatch, STORED, bits=1, **change)
    assert [check.promised for check in made.bits] == [False]


def test_a_seed_that_fails_counts_as_failed_and_stored_blanks_are_told(tmp_path, monkeypatch):
    broken = repeated(tmp_path / "a", monkeypatch, STORED | {0: ["a", "b", ""]})
    assert [(one.seed, one.status) for one in broken.results[1:]] == [(0, "failed")]
    assert [check.seed for check in broken.bits] == [1]
    monkeypatch.setitem(STORED, 0, [None, None, None])
    blank = repeated(tmp_path / "b", monkeypatch, {0: ["a", "b", "c"]}, bits=1)
    assert blank.bits == []
    assert blank.notes == ["old", "The reference stores no bits of seed 0."]


def curve(*digests, first=64):
    steps = range(first, first * (len(digests) + 1), first)
    return pd.DataFrame({"step": steps, "weights_digest": digests})


@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("abc"), min_size=1))
def test_bits_part_at_the_first_window_that_differs(here, there):
    check = compare_bits(3, curve(*here), curve(*there), promised=True)
    pairs = list(itertools.zip_longest(here, there))
    parted = [64 * n for n, (one, other) in enumerate(pairs, 1) if one != other]
    assert (check.seed, check.windows) == (3, len(pairs))
    assert check.first_difference == (parted[0] if parted else None)


def test_curves_without_digests_cannot_be_compared():
    whole = curve("a", "b")
    without = [whole.drop(columns="weights_digest"), whole.assign(weights_digest=None)]
    for bare in without:
        assert compare_bits(0, whole, bare, promised=True) is None
        assert compare_bits(0, bare, whole, promised=True) is None


@pytest.mark.parametrize("name", list(VerdictName))
def test_a_broken_promise_turns_a_pass_into_a_watch_and_is_told_in_any_verdict(name):
    broken = compare_bits(3, curve("a", "b"), curve("a", "c"), promised=True)
    verdict, sentence = with_bits(name, "So.", [broken])
    assert verdict is (VerdictName.WATCH if name is VerdictName.PASS else name)
    assert sentence.endswith("where equal ones are promised: seed 3 from step 128 on.")


def test_kept_promises_and_none_change_no_verdict_and_are_noted():
    kept = compare_bits(3, curve("a"), curve("a"), promised=True)
    free = compare_bits(4, curve("a"), curve("b"), promised=False)
    assert with_bits(VerdictName.PASS, "So.", [kept, free]) == (VerdictName.PASS, "So.")
    assert bits_notes([kept, free]) == [
        "Reference seed 3, trained again: bits equal in all 1 windows.",
        "Reference seed 4, trained again: bits differ from step 64 on; "
        "equal bits were not promised.",
    ]
