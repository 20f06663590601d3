"""Curves become scores in the order of their seeds, and notes that decide nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dqn_core.train import TrainingRun
from regression.gate.curves import record_notes, returns_of, scores
from tests.dqn_core.small import small, trainer
from tests.regression.made import curves


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


def test_areas_carry_the_last_return_over_windows_without_an_episode():
    table = curves("candidate", [1], 0)
    table.loc[[0, 4], "episode_return"] = None
    # 20 (first known), 20, 30, 40, 40 (carried), 60, ... 100
    expected = (20 + 20 + 30 + 40 + 40 + 60 + 70 + 80 + 90 + 100) / 10
    found = scores(returns_of(table, "candidate"))
    assert [found.area, found.first_tenth, found.final_tenth, found.peak] == [
        [expected],
        [20.0],
        [100.0],
        [100.0],
    ]


def test_curves_come_in_the_order_of_the_seeds_asked_for():
    table = curves("candidate", [7, 3, 5], 0)
    assert returns_of(table, "candidate")[:, 0].tolist() == [11.0, 12.0, 10.0]  # 3, 5, 7
    assert returns_of(table, "candidate", [5, 7])[:, 0].tolist() == [12.0, 10.0]
    table.loc[table["seed"] == 3, "episode_return"] = None
    assert np.isnan(returns_of(table, "candidate")).sum(axis=1).tolist() == [10, 0, 0]
