"""The power of the checks of evaluation."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from probes.checks import evaluation
from probes.worlds.stamped_env import Stamp


def test_a_common_epsilon_passes_and_a_large_one_does_not():
    most = int(evaluation.MOST_STRAY * evaluation.CHOICES)
    assert binom.sf(most, evaluation.CHOICES, 0.1 / 2) < 1e-6
    assert binom.sf(most, evaluation.CHOICES, 0.5 / 2) > 1 - 1e-5


def test_evaluated_episodes_are_told_apart_by_their_returns():
    stamps = [Stamp(env, episode, 0) for env in range(6) for episode in range(35)]
    returns = {}
    for start in stamps:
        total = sum(evaluation.big_and_small(start._replace(age=a)) for a in range(start.length))
        returns.setdefault(round(total, 4), []).append(start)
    assert len(returns) == len(stamps)


@pytest.mark.parametrize(
    ("reported", "gaps"), [([], 0), ([1.0], 0), ([1.0, 2.0], 0), ([3.0], 2), ([1.0, 3.0], 1)]
)
def test_gaps_are_what_was_left_out_before_the_last_reported(reported, gaps):
    assert evaluation._gaps([1.0, 2.0, 3.0], reported) == gaps
