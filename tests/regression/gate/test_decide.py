"""The decision rule: the table of verdicts, and what they cannot depend on."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regression.gate.curves import Scores
from regression.gate.decide import (
    AREA,
    DEAD,
    FINAL,
    MARGIN_SD,
    STAGE_ONE_ALPHA,
    STAGE_TWO_SEEDS,
    Decision,
    _deaths,
    decide,
)
from regression.gate.permutation import smallest_p
from reports.schema import VerdictName

PASS, WATCH, FAIL = VerdictName.PASS, VerdictName.WATCH, VerdictName.FAIL
INCONCLUSIVE = VerdictName.INCONCLUSIVE


def normal(count: int, mean: float = 0.0, key: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=key)).normal(mean, 1.0, count)


def seeds(areas: np.ndarray) -> Scores:
    """Seeds that start at 0 and end at 100 and a little, with these areas besides 50."""
    return Scores(
        area=50 + areas, first_tenth=np.zeros(len(areas)), final_tenth=100 + areas, peak=100 + areas
    )


def judged(reference: Scores, one: Scores, two: Scores) -> Decision:
    """As a run does it: stage two only where it is wanted."""
    decision = decide("return", reference, one)
    return decide("return", reference, one, two) if decision.seeds_wanted else decision


def healthy(count: int = 5, key: int = 1) -> Scores:
    return seeds(normal(count, key=key))


REFERENCE = seeds(normal(20))


@pytest.mark.parametrize(
    ("one", "two", "verdict", "seeds_wanted", "stages"),
    [
        (0.0, None, PASS, 0, [1]),
        (-3.0, None, INCONCLUSIVE, STAGE_TWO_SEEDS, [1]),
        (-3.0, 0.0, WATCH, 0, [1, 2]),
        (-3.0, -3.0, FAIL, 0, [1, 2]),
        (3.0, None, VerdictName.BETTER, 0, [1]),
    ],
)
def test_the_table_of_verdicts(one, two, verdict, seeds_wanted, stages):
    later = None if two is None else seeds(normal(15, two, key=2))
    decision = decide("return", REFERENCE, seeds(normal(5, one, key=1)), later)
    assert (decision.verdict, decision.seeds_wanted) == (verdict, seeds_wanted)
    assert [c.stage for c in decision.criteria if c.decides] == stages
    assert [c.name for c in decision.criteria if c.stage == 1] == [AREA, FINAL, DEAD]


@pytest.mark.parametrize(
    ("two", "words"),
    [
        (None, "trip it (p = "),
        (None, "15 further fresh seeds must decide"),
        (-3.0, "below the reference (p = "),
        (-3.0, "at most 0.01)"),
        (0.0, "do not confirm it"),
    ],
)
def test_the_sentence_tells_both_stages(two, words):
    later = None if two is None else seeds(normal(15, two, key=2))
    decision = decide("return", REFERENCE, seeds(normal(5, -3, key=1)), later)
    assert words in decision.sentence
    assert "The 5 seeds of stage one lie" in decision.sentence


def test_stage_two_is_judged_by_its_own_seeds_alone():
    """However bad stage one was, quiet seeds of stage two are no FAIL."""
    ruined, later = seeds(normal(5, -1000, key=1)), healthy(15, key=2)
    assert decide("return", REFERENCE, ruined, later).verdict is WATCH


def test_a_quiet_stage_one_never_looks_at_stage_two():
    ruined = seeds(normal(15, -1000, key=2))
    assert decide("return", REFERENCE, healthy(), ruined) == decide("return", REFERENCE, healthy())


def test_a_drop_within_the_margin_is_no_drop():
    reference = seeds(np.arange(20.0))
    spread = reference.area.std(ddof=1)
    # The same values, lower by less than the margin: never worse than chance.
    shifted = decide("return", reference, seeds(np.arange(20.0) - 0.2 * spread))
    assert MARGIN_SD == 0.25
    assert shifted.criteria[0].p_value > 0.5


@given(zero=st.integers(-50, 50), power=st.integers(-6, 6), drop=st.sampled_from([0, 1, 2, 4]))
@settings(max_examples=30, deadline=None)
def test_verdicts_have_no_zero_and_no_unit(zero, power, drop):
    """Returns in other units, counted from another zero, give the same verdict at the same p."""
    unit = 2.0**power

    def changed(scores: Scores) -> Scores:
        return Scores(
            *(unit * (np.round(column * 64) / 64 + zero) for column in vars(scores).values())
        )

    groups = REFERENCE, seeds(normal(5, -drop, key=1)), seeds(normal(15, -drop, key=2))
    plain = judged(*(Scores(*(np.round(c * 64) / 64 for c in vars(g).values())) for g in groups))
    again = judged(*(changed(group) for group in groups))
    assert again.verdict == plain.verdict
    assert [c.p_value for c in again.criteria] == [c.p_value for c in plain.criteria]


@given(key=st.integers(0, 10_000), drops=st.lists(st.floats(0, 4), min_size=2, max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_larger_drop_is_never_judged_more_mildly(key, drops):
    order = [VerdictName.BETTER, PASS, WATCH, FAIL]
    reference, one, two = (normal(size, key=3 * key + i) for i, size in enumerate((12, 5, 15)))
    verdicts = [
        judged(seeds(reference), seeds(one - drop), seeds(two - drop)) for drop in sorted(drops)
    ]
    # What stands besides can turn PASS into WATCH, and falls with the area here.
    ranks = [order.index(decision.verdict) for decision in verdicts]
    assert ranks == sorted(ranks)


def test_a_late_collapse_that_the_area_does_not_see_is_watched_by_name():
    collapsed = replace(healthy(), final_tenth=np.full(5, 60.0))
    decision = decide("return", REFERENCE, collapsed)
    assert decision.verdict is WATCH
    assert "to be watched: return over the last tenth" in decision.sentence
    assert [c.name for c in decision.criteria if c.tripped] == [FINAL]


def test_dead_seeds_that_the_area_does_not_see_are_watched_by_name():
    """The curve of a dead seed stays below a fifth of what the reference gains: 20."""
    peak = np.array([19.0, 19.0, 19.0, 100.0, 100.0])
    decision = decide("return", REFERENCE, replace(healthy(), peak=peak))
    assert decision.verdict is WATCH
    tripped = [c for c in decision.criteria if c.tripped]
    assert [(c.name, c.candidate_mean, c.reference_mean) for c in tripped] == [(DEAD, 0.6, 0.0)]
    # Fisher's test by hand, twice for Holm: the three dead of 25 are all among the five.
    assert tripped[0].p_value == pytest.approx(2 * comb(5, 3) / comb(25, 3))
    alive = decide("return", REFERENCE, replace(healthy(), peak=peak + 2))
    assert alive.verdict is PASS


@given(n=st.integers(5, 40), k=st.integers(2, 20), dead=st.tuples(*[st.floats(0, 1)] * 2))
@settings(max_examples=50, deadline=None)
def test_deaths_are_compared_by_fishers_exact_test(n, k, dead):
    counts = [round(share * size) for share, size in zip(dead, (n, k), strict=True)]
    groups = (np.arange(n) < counts[0], np.arange(k) < counts[1])
    criterion = _deaths(*(group.astype(float) for group in groups))
    # Of all ways to choose which k seeds are the candidate's, those with as many dead ones.
    both = sum(counts)
    ways = sum(
        comb(both, found) * comb(n + k - both, k - found) for found in range(counts[1], k + 1)
    )
    assert criterion.p_value == pytest.approx(ways / comb(n + k, k))


def test_a_reference_that_learns_nothing_knows_no_dead_seeds():
    flat = replace(REFERENCE, final_tenth=REFERENCE.first_tenth - 1)
    assert [c.name for c in decide("return", flat, healthy()).criteria] == [AREA, FINAL]


def test_a_drop_of_the_area_outweighs_what_stands_besides():
    dead = Scores(*(np.zeros(5) for _ in range(4)))
    later = Scores(*(np.zeros(15) for _ in range(4)))
    decision = decide("return", REFERENCE, dead, later)
    assert decision.verdict is FAIL
    assert f"{FINAL}, " in decision.sentence
    assert f"{DEAD}, 0 in the reference and 1 here" in decision.sentence


@pytest.mark.parametrize(
    ("reference", "one", "words"),
    [
        (healthy(4), healthy(), "has 4 seeds and needs at least 5: 1 are missing"),
        (seeds(np.zeros(20)), healthy(), "have the same area under the training curve"),
        (REFERENCE, seeds(np.array([0, np.nan, 1.0])), "In 1 seeds of stage one no finite return"),
        (REFERENCE, seeds(np.array([0, np.inf, 1.0])), "In 1 seeds of stage one no finite return"),
        (seeds(np.append(normal(9), np.nan)), healthy(), "In 1 seeds of the reference no finite"),
        (healthy(6), healthy(1), "1 seeds against 6 cannot show anything in stage one"),
        (healthy(6), healthy(1), "2 seeds could, 1 are missing"),
        (REFERENCE, healthy(0), "0 seeds against 20 cannot show anything"),
    ],
)
def test_what_can_show_nothing_is_inconclusive_and_says_what_is_missing(reference, one, words):
    decision = decide("return", reference, one)
    assert (decision.verdict, decision.seeds_wanted) == (INCONCLUSIVE, 0)
    assert words in decision.sentence


def test_the_least_sizes_can_trip():
    assert smallest_p(6, 1) > STAGE_ONE_ALPHA >= smallest_p(6, 2)
    ruined = [seeds(normal(count, -100, key=1)) for count in (2, 15)]
    assert judged(healthy(6), *ruined).verdict is FAIL
    assert judged(healthy(5), *ruined).verdict is FAIL
    too_few_later = decide("return", healthy(6), ruined[0], seeds(normal(1, -100)))
    assert "cannot show anything in stage two" in too_few_later.sentence


def test_a_verdict_is_a_pure_function_of_its_inputs():
    groups = REFERENCE, seeds(normal(5, -1.2, key=1)), seeds(normal(15, -1.2, key=2))
    copies = [Scores(*(column.copy() for column in vars(group).values())) for group in groups]
    assert judged(*groups) == judged(*copies)


def test_false_alarms_and_power_by_simulation():
    """Against twenty, 300 healthy candidates and 100 that lost three deviations."""

    def verdicts(count: int, drop: float) -> list[VerdictName]:
        draws = [np.split(normal(40, key=key), [20, 25]) for key in range(count)]
        return [
            judged(seeds(ref), seeds(one - drop), seeds(two - drop)).verdict
            for ref, one, two in draws
        ]

    calm = verdicts(300, 0.0)
    # One in a thousand is called FAIL, one in twenty WATCH, one in two hundred BETTER.
    assert calm.count(FAIL) <= 2
    assert calm.count(WATCH) < 35
    assert calm.count(VerdictName.BETTER) < 8
    assert verdicts(100, 3.0).count(FAIL) > 96
