"""Tables show the worst and the deciding first."""

from __future__ import annotations

import pytest

from reports.rows import (
    criteria_by_weight,
    difference_sd,
    fingerprint_rows,
    operating_rows,
    quartiles,
    seeds_worst_first,
    sight,
)
from reports.schema import Fingerprint, OperatingPoint


def test_seeds_start_with_the_failed_and_end_with_the_best(verdict, seed_result):
    better = seed_result.model_copy(update={"seed": 7, "auc": 0.9})
    mixed = verdict.model_copy(update={"seeds": [better, *verdict.seeds]})
    assert [seed.seed for seed in seeds_worst_first(mixed)] == [4, 3, 7]


def test_criteria_start_with_the_deciding_and_the_least_likely(verdict, criterion):
    changes = [("c", False, 0.0), ("b", True, 0.5), ("a", True, 0.1)]
    criteria = [
        criterion.model_copy(update={"name": name, "decides": decides, "p_value": p})
        for name, decides, p in changes
    ]
    mixed = verdict.model_copy(update={"criteria": criteria})
    assert [one.name for one in criteria_by_weight(mixed)] == ["a", "b", "c"]


def test_the_later_stage_comes_first(verdict, criterion):
    first = criterion.model_copy(update={"stage": 1, "p_value": 0.0})
    second = criterion.model_copy(update={"stage": 2, "p_value": 0.5})
    both = verdict.model_copy(update={"criteria": [first, second]})
    assert [one.stage for one in criteria_by_weight(both)] == [2, 1]


def test_operating_rows_give_drops_in_deviations_and_in_returns(verdict):
    rows = operating_rows(verdict)
    assert [row.drop_sd for row in rows] == [0, 1, 2]
    assert [row.drop for row in rows] == pytest.approx([0, 0.1, 0.2])  # SD is 0.1
    assert rows[1].shares == [(0.31, 0.04), (0.42, 0.04)]
    bare = verdict.model_copy(update={"criteria": []})
    assert [row.drop for row in operating_rows(bare)] == [None] * 3


def seeing(verdict, *fails):
    """What is said of a gate with these shares of FAIL, one list for each shape, by drop."""
    curves = [
        verdict.operating[0].model_copy(
            update={
                "points": [
                    OperatingPoint(drop_sd=drop, fail=fail, watch=0.0)
                    for drop, fail in enumerate(shape)
                ]
            }
        )
        for shape in fails
    ]
    return sight(verdict.model_copy(update={"operating": curves}))


def test_sight_names_the_drop_that_is_seen_and_the_one_that_is_not(verdict):
    assert sight(verdict) == (
        "At these sizes the gate calls FAIL at least 95% of candidates that lost 2 SD (0.2 in "
        "returns) or more; of those that lost 1 SD (0.1 in returns) or less it misses more than "
        "half."
    )


def test_sight_is_that_of_the_worst_shape(verdict):
    assert "lost more than 2 SD (0.2 in returns), if any" in seeing(
        verdict, (0.0, 0.3, 0.96), (0.0, 0.3, 0.9)
    )
    # One shape sees 1 SD in most cases, so it cannot be said to be missed, nor to be seen.
    assert seeing(verdict, (0.0, 0.3, 0.96), (0.0, 0.6, 0.96)).endswith("(0.2 in returns) or more.")


def test_nothing_is_said_of_an_unknown_gate(verdict):
    assert seeing(verdict) == ""
    assert seeing(verdict, ()) == ""


def test_difference_is_in_reference_standard_deviations(criterion):
    assert difference_sd(criterion) == pytest.approx(-2.0)  # (0.3 - 0.5) / 0.1


def test_difference_is_unknown_without_spread(criterion):
    assert difference_sd(criterion.model_copy(update={"reference_sd": 0.0})) is None


def test_fingerprints_are_compared_field_by_field_with_what_depends_on_each(verdict):
    here = Fingerprint.model_validate({"cpu": "x86", "gpu": "H200", "source digest": "b"})
    changed = verdict.model_copy(update={"recipe_hash": "bbbb", "fingerprint": here})
    differing, equal = fingerprint_rows(changed)
    assert [(*row, row.kind) for row in differing] == [
        ("recipe digest", "aaaa", "bbbb", "distribution"),
        ("source digest", None, "b", "distribution"),
        ("gpu", None, "H200", "bits"),
        ("torch", "2.11", None, "informative"),
    ]
    assert equal == [("cpu", "x86", "x86")]


def test_without_reference_nothing_differs(verdict):
    differing, equal = fingerprint_rows(verdict.model_copy(update={"reference": None}))
    assert differing == []
    assert [(row.field, row.here) for row in equal] == [
        ("recipe digest", "aaaa"),
        ("cpu", "x86"),
        ("torch", "2.12"),
    ]


def test_quartiles_are_over_the_seeds_with_a_value(curves):
    training = quartiles(curves, "episode_return")
    assert training.loc[(200, "reference")].tolist() == [3, 1.5, 2.0, 3.5]  # of 1, 2, 5
    assert training.loc[(100, "candidate")].tolist() == [2, 0.125, 0.25, 0.375]  # of 0, 0.5
    assert {step for step, _ in quartiles(curves, "evaluation_return").index} == {200}
