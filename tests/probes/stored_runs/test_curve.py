"""What must hold of a stored curve, and one wrong window seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probes.stored_runs.curve import COLUMNS, STORED, Curve, findings, read_curve
from reports.schema import FindingStatus
from tests.dqn_core.small import small

# An environment with a limit of 200 steps, in one segment, whose rewards are clipped.
RECIPE = small(
    env={"id": "MountainCar-v0"}, td={"clip_reward": True}, loop={"segment_steps": 800}
).model_copy(update={"metric": "return, in [-2, 2]"})


def healthy_curve(recipe=RECIPE) -> Curve:
    """Twenty windows of 40 steps in which four episodes of ten steps end."""
    steps = 40.0 * np.arange(1, 21)
    columns = dict.fromkeys(COLUMNS, np.full(20, 0.5))
    columns |= {"step": steps, "episodes": np.full(20, 4.0), "episode_length": np.full(20, 10.0)}
    columns["loss"] = columns["q_mean"] = np.where(steps < 64, np.nan, 0.5)
    exploration = RECIPE.exploration
    fall = (exploration.initial - exploration.final) * (steps - 1 - 64) / 400
    chances = np.clip(exploration.initial - fall, exploration.final, 1.0)
    columns["epsilon"] = np.where(steps - 1 < 64, 1.0, chances)
    return Curve(columns, recipe)


def statuses(curve: Curve) -> dict[str, FindingStatus]:
    return {finding.check: finding.status for finding in findings(curve)}


def test_a_healthy_curve_has_every_property():
    assert statuses(healthy_curve()) == dict.fromkeys(STORED, FindingStatus.GREEN)


@pytest.mark.parametrize(
    ("column", "window", "value", "codes"),
    [
        ("loss", 9, np.nan, {"numbers-are-finite"}),
        ("loss", 9, -0.1, {"numbers-are-finite", "losses-are-within-bounds"}),
        ("loss", 9, 1e9, {"losses-are-within-bounds"}),
        ("loss", 0, 0.0, {"one-loss-per-update"}),
        ("q_mean", 9, np.inf, {"numbers-are-finite", "values-are-within-bounds"}),
        ("q_mean", 9, 250.0, {"values-are-within-bounds"}),
        ("episode_return", 9, 2.5, {"returns-are-within-range"}),
        ("episode_return", 9, np.nan, {"numbers-are-finite"}),
        ("episode_length", 9, 40.0, {"every-episode-once"}),
        ("episode_length", 9, 201.0, {"every-episode-once", "lengths-are-within-limit"}),
        ("episodes", slice(0, None), 1.0, {"every-episode-once"}),
        ("epsilon", 9, 1.0, {"epsilon-follows-schedule"}),
        (
            "step",
            9,
            390.0,
            {"counts-are-those-taken", "every-episode-once", "epsilon-follows-schedule"},
        ),
    ],
)
def test_one_wrong_window_is_seen_and_nothing_else(column, window, value, codes):
    curve = healthy_curve()
    changed = curve.columns[column].copy()
    changed[window] = value
    found = statuses(Curve(curve.columns | {column: changed}, curve.recipe))
    red = {code for code, status in found.items() if status is FindingStatus.RED}
    assert red == {f"records.{code}" for code in codes}


def test_the_window_of_the_first_bad_loss_is_named():
    curve = healthy_curve()
    curve.columns["loss"] = np.where(curve.step >= 320, np.nan, curve.columns["loss"])
    (red,) = [each for each in findings(curve) if each.status is FindingStatus.RED]
    assert red.actual == ("loss is nan in the window that ends at step 320, the first of 13 of 19")


def test_without_a_recipe_what_it_would_tell_is_skipped_by_name():
    found = {each.check: each for each in findings(healthy_curve(recipe=None))}
    skipped = {code for code, each in found.items() if each.status is FindingStatus.SKIP}
    assert skipped == set(STORED) - {"records.numbers-are-finite", "records.every-episode-once"}
    assert found["records.values-are-within-bounds"].actual == "not known: value_range"
    assert "the recipe" in found["records.counts-are-those-taken"].actual


def test_a_column_that_is_not_there_is_skipped_and_an_empty_curve_too():
    curve = healthy_curve()
    bare = Curve({"step": curve.step}, curve.recipe)
    kept = {code for code, status in statuses(bare).items() if status is FindingStatus.GREEN}
    assert kept == {"records.counts-are-those-taken"}
    nothing = Curve({name: column[:0] for name, column in curve.columns.items()}, curve.recipe)
    assert set(statuses(nothing).values()) == {FindingStatus.SKIP}


def test_overlap_learns_a_block_later(run):
    curve = read_curve(run / "curve.csv", small())
    first = int(curve.learning().argmax())
    assert curve.step[first] == 80  # of windows of 40, the first with step 64 in it
    loop = small().loop.model_copy(update={"overlap": True, "block_steps": 40})
    later = replace(curve, recipe=small().model_copy(update={"loop": loop}))
    assert curve.step[int(later.learning().argmax())] == 120
