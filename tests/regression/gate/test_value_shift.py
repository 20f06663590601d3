"""Values and losses: a shift that returns do not show is confirmed by fresh seeds, or is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regression.gate.value_shift import ALPHA, QUANTITIES, value_criteria
from regression.gate.verdict import judge, weigh
from regression.runs.device_matrix import judge_matrix
from reports.schema import VerdictName
from tests.regression.made import evidence

STAGE_ONE, STAGE_TWO = range(1000, 1005), range(1005, 1020)


def noted(curves: pd.DataFrame, shifts: dict[str, float], of: range) -> pd.DataFrame:
    """Curves with values and losses of mean 10 and SD 1, shifted for some candidates, in SD."""
    draws = np.random.Generator(np.random.Philox(key=5))
    curves = curves.copy()
    seeds = sorted(curves["seed"].unique())
    for column in QUANTITIES:
        level = pd.Series(draws.normal(10.0, 1.0, len(seeds)), index=seeds)
        curves[column] = curves["seed"].map(level)
        moved = (curves["group"] == "candidate") & curves["seed"].isin(of)
        curves.loc[moved, column] += shifts.get(column, 0.0)
    return curves


def seen(shifts: dict[str, float], of: range = STAGE_ONE, *, both: bool = False):
    """Evidence of healthy returns with such values and losses."""
    seeds = [*STAGE_ONE, *STAGE_TWO] if both else [*STAGE_ONE]
    made = evidence(108, seeds=seeds, stage_two=seeds[5:])
    return replace(made, curves=noted(made.curves, shifts, of))


EVERYWHERE = range(1000, 1020)


@pytest.mark.parametrize("column", QUANTITIES)
@pytest.mark.parametrize("shift", [-4.0, 4.0])
def test_a_shift_either_way_wants_stage_two_and_fails_where_that_confirms_it(column, shift):
    wanted = weigh(seen({column: shift}))
    assert (wanted.verdict, wanted.seeds_wanted) == (VerdictName.INCONCLUSIVE, 15)
    assert f"the {QUANTITIES[column]} lies" in wanted.sentence
    verdict = judge(seen({column: shift}, EVERYWHERE, both=True))
    assert verdict.verdict is VerdictName.FAIL
    assert "above" in verdict.sentence if shift > 0 else "below" in verdict.sentence
    assert "What is learned is not what it was" in verdict.sentence
    tripped = {one.name for one in verdict.criteria if one.tripped}
    assert tripped == {QUANTITIES[column]}


def test_a_shift_of_stage_one_alone_is_to_be_watched():
    verdict = judge(seen({"loss": 4.0}, STAGE_ONE, both=True))
    assert verdict.verdict is VerdictName.WATCH
    assert "stage two does not confirm it" in verdict.sentence


def test_opposite_shifts_do_not_confirm_each_other():
    made = seen({"q_mean": 4.0}, STAGE_ONE, both=True)
    later = made.curves["seed"].isin(STAGE_TWO) & (made.curves["group"] == "candidate")
    made.curves.loc[later, "q_mean"] -= 4.0
    assert judge(made).verdict is VerdictName.WATCH


def test_healthy_values_change_nothing():
    verdict = judge(seen({}))
    assert verdict.verdict is VerdictName.PASS
    inside = [one for one in verdict.criteria if one.name in QUANTITIES.values()]
    assert [one.tripped for one in inside] == [False, False]
    assert {one.alpha for one in inside} == {ALPHA}


def test_within_the_margin_nothing_trips_however_many_seeds_agree():
    made = seen({"q_mean": 0.2, "loss": -0.2}, EVERYWHERE, both=True)
    assert not any(one.tripped for one in value_criteria(made.curves, STAGE_TWO, stage=2))


@pytest.mark.parametrize("value", [None, np.nan, np.inf])
def test_what_was_not_recorded_or_is_no_number_is_not_compared(value):
    made = seen({"loss": 4.0})
    made.curves.loc[made.curves["seed"] == 1002, "loss"] = value
    (only,) = value_criteria(made.curves, STAGE_ONE, stage=1)
    assert only.name == QUANTITIES["q_mean"]


@pytest.mark.parametrize("column", QUANTITIES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_stop_being_numbers_fail_at_once(column, value):
    made = seen({})
    candidate = (made.curves["group"] == "candidate") & (made.curves["seed"] == 1002)
    steps = sorted(made.curves["step"].unique())
    early = candidate & (made.curves["step"] == steps[0])
    made.curves.loc[early, column] = np.nan  # before the first update
    assert judge(made).verdict is VerdictName.PASS
    made.curves.loc[candidate & (made.curves["step"] >= steps[-2]), column] = value
    verdict = judge(made)
    assert verdict.verdict is VerdictName.FAIL
    assert "In seeds [1002] Q-values or losses ended as nan or inf" in verdict.sentence


def test_over_cells_a_shift_is_corrected_like_a_drop_and_one_run_is_not():
    shifted = judge(seen({"q_mean": 4.0}, EVERYWHERE, both=True))
    healthy = judge(seen({}))
    whole, worst = judge_matrix({"a": healthy, "b": shifted}, [])
    assert (whole.verdict, worst) == (VerdictName.FAIL, "b")
    many = {f"cell {number}": healthy for number in range(40)} | {"b": shifted}
    assert judge_matrix(many, [])[0].verdict is VerdictName.WATCH
    made = evidence(108)
    twins = [one.model_copy(update={"weights_digest": "0badcafe"}) for one in made.results]
    one_run = judge(replace(made, results=twins))
    whole, _ = judge_matrix({"a": healthy, "b": one_run}, [])
    assert whole.verdict is VerdictName.FAIL
