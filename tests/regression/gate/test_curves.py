"""What a run's own records say is told with the verdict, and decides nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dqn_core.train import TrainingRun
from regression.gate.curves import record_notes
from regression.gate.verdict import judge
from tests.dqn_core.small import small, trainer
from tests.regression.made import evidence


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a finished run of 800 steps, in windows of 40."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    for _ in TrainingRun(trainer(small()), folder).windows():
        pass
    return folder


def test_a_healthy_run_is_worth_no_note(run):
    assert record_notes(run, 1003, small()) == []


def test_a_loss_that_is_no_number_is_named_with_its_seed_and_step(run, tmp_path):
    curve = pd.read_csv(run / "curve.csv", dtype={"weights_digest": str})
    curve.loc[curve["step"] >= 480, "loss"] = np.nan
    curve.to_csv(tmp_path / "curve.csv", index=False)
    assert record_notes(tmp_path, 1003, small()) == [
        "Seed 1003: loss is nan in the window that ends at step 480, the first of 9 of 19; "
        "expected finite returns, losses and Q-values, and no loss below zero "
        "(records.numbers-are-finite)."
    ]


def test_a_note_is_told_and_decides_nothing():
    note = "Seed 1003: loss is nan."
    told, quiet = judge(evidence(108, notes=[note])), judge(evidence(108))
    assert [each for each in told.notes if each not in quiet.notes] == [note]
    assert told.model_copy(update={"notes": quiet.notes}) == quiet
