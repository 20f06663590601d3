"""Tables show the worst and the deciding first."""

import pytest

from reports.rows import (
    criteria_by_weight,
    difference_sd,
    fingerprint_rows,
    quartiles,
    seeds_worst_first,
)


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


def test_difference_is_in_reference_standard_deviations(criterion):
    assert difference_sd(criterion) == pytest.approx(-2.0)  # (0.3 - 0.5) / 0.1


def test_difference_is_unknown_without_spread(criterion):
    assert difference_sd(criterion.model_copy(update={"reference_sd": 0.0})) is None


def test_fingerprints_are_compared_field_by_field(verdict):
    changed = verdict.model_copy(
        update={"recipe_hash": "bbbb", "fingerprint": {"cpu": "x86", "gpu": "H200"}}
    )
    differing, equal = fingerprint_rows(changed)
    assert differing == [
        ("recipe_hash", "aaaa", "bbbb"),
        ("gpu", None, "H200"),
        ("torch", "2.11", None),
    ]
    assert equal == [("cpu", "x86", "x86")]


def test_without_reference_nothing_differs(verdict):
    differing, equal = fingerprint_rows(verdict.model_copy(update={"reference": None}))
    assert differing == []
    assert [(row.field, row.here) for row in equal] == [
        ("recipe_hash", "aaaa"),
        ("cpu", "x86"),
        ("torch", "2.12"),
    ]


def test_quartiles_are_over_the_seeds_with_a_value(curves):
    training = quartiles(curves, "episode_return")
    assert training.loc[(200, "reference")].tolist() == [3, 1.5, 2.0, 3.5]  # of 1, 2, 5
    assert training.loc[(100, "candidate")].tolist() == [2, 0.125, 0.25, 0.375]  # of 0, 0.5
    assert {step for step, _ in quartiles(curves, "evaluation_return").index} == {200}
