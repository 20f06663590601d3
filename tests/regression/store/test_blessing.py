"""What may be blessed: for a reason, whole, of this recipe, and learned."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from dqn_core.recipes.file import load_recipe
from regression.store.blessing import (
    MOST_SPREAD,
    BlessingError,
    refuse_degenerate,
    refuse_thoughtless,
)
from regression.store.units import StoreError
from tests.regression.finished_runs import SEEDS, digested, edited, finished, propose, replaced
from tests.regression.made import curves, result


@pytest.mark.parametrize("reason", ["", "because", "two words", "  spaced   out  "])
def test_no_reason_no_blessing(monkeypatch, reason):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(BlessingError, match="at least three words"):
        refuse_thoughtless(reason)


def test_nothing_is_blessed_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(BlessingError, match="never in CI"):
        refuse_thoughtless("a very good reason")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fault": "no-terminal-mask"}, "no-terminal-mask was planted"),
        ({"seeds": [digested(1000), digested(1001)]}, "at least 5 complete seeds, got 2"),
        ({"seeds": [result(s, "failed") for s in SEEDS]}, r"failed: \[1000, 1"),
        ({"seeds": [digested(1000), *map(digested, SEEDS)]}, "counts twice"),
        ({"recipe_hash": "0" * 64}, "of two recipes"),
        ({"seeds": [digested(s, weights_digest="0") for s in SEEDS]}, "other weights of seed 1000"),
    ],
)
def test_unfit_runs_are_never_blessed(store, tmp_path, changes, message):
    with pytest.raises(BlessingError, match=message):
        propose(finished(tmp_path / "run", **changes))
    assert not store.exists()


@pytest.mark.usefixtures("store")
def test_a_run_of_a_recipe_that_is_no_more_is_orphaned(tmp_path, monkeypatch):
    run = finished(tmp_path / "run")
    changed = load_recipe("cartpole").model_copy(update={"metric": "another"})
    monkeypatch.setattr("regression.store.blessing.load_recipe", lambda _: changed)
    with pytest.raises(
        BlessingError, match="orphaned: the recipe cartpole has changed since the run"
    ):
        propose(run)
    edited(run / "job.json", recipe_name="no-such-recipe")
    monkeypatch.undo()
    with pytest.raises(BlessingError, match="orphaned, nothing could be compared"):
        propose(run)


@pytest.mark.usefixtures("store")
def test_units_that_were_altered_or_lost_are_not_blessed(tmp_path):
    run = finished(tmp_path / "run")
    curve = run / "cartpole-cpu-seed-1002" / "curve.csv"
    replaced(curve, b"0.5", b"0.4")
    with pytest.raises(StoreError, match=r"curve\.csv: altered"):
        propose(run)
    shutil.rmtree(curve.parent)
    with pytest.raises(StoreError, match="not as it was sealed"):
        propose(run)


def with_cells(column: str, values: dict[tuple[int, int], float]) -> pd.DataFrame:
    """Healthy curves in which some cells, by seed and window, are replaced."""
    table = curves("reference", SEEDS, 108.0)
    for (seed, window), value in values.items():
        row = table.index[(table["seed"] == seed)][window]
        table.loc[row, column] = value
    return table


def test_healthy_curves_are_accepted():
    refuse_degenerate(curves("reference", SEEDS, 108.0))
    # Before the warm-up there is no loss, and not every window ends an episode.
    refuse_degenerate(with_cells("loss", {(1000, 0): np.nan, (1000, 1): np.nan}))
    refuse_degenerate(with_cells("episode_return", {(1000, 3): np.nan}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (with_cells("loss", {(1001, 4): np.inf}), "seed 1001 has an infinite value"),
        (with_cells("loss", {(1001, 4): np.nan}), "seed 1001 has a loss that is not a number"),
        (with_cells("q_mean", {(1001, 9): np.nan}), "seed 1001 has a q_mean that is not a number"),
        (with_cells("loss", {(1001, w): np.nan for w in range(10)}), "seed 1001 has a loss"),
        (
            with_cells("episode_return", {(1004, w): np.nan for w in range(10)}),
            "seed 1004 has no return",
        ),
        (
            with_cells("episode_return", {(1001, w): 118.0 + 10 * w for w in range(10)}),
            "same curve: was the seed used",
        ),
        (
            with_cells("episode_return", {(s, w): s % 7 for s in SEEDS for w in range(10)}),
            "no learning: the mean return is",
        ),
        (
            with_cells("episode_return", {(1001, w): 118.0 + 80 * w for w in range(10)}),
            "differ too much for a gate(.|\n)*expected(.|\n)*0.25 of the gain",
        ),
    ],
)
def test_degenerate_curves_are_refused(table, message):
    with pytest.raises(BlessingError, match=message):
        refuse_degenerate(table)


def test_seeds_of_one_area_have_no_spread_to_measure_in():
    table = curves("reference", SEEDS, 108.0)
    rising = 100.0 + 10.0 * np.arange(10)
    for index, seed in enumerate(SEEDS):
        bent = rising.copy()
        bent[4] += 2.0**index  # another curve, the same mean
        bent[5] -= 2.0**index
        table.loc[table["seed"] == seed, "episode_return"] = bent
    with pytest.raises(BlessingError, match="same area"):
        refuse_degenerate(table)


def test_the_spread_that_is_allowed_shows_half_of_the_learning_lost():
    # Two standard deviations, which the gate sees nearly always, are then at most half of the gain.
    assert 2 * MOST_SPREAD <= 0.5
