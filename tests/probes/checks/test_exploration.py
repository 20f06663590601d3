"""The schedule of exploration, and the power to see a faulty one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from probes.checks.exploration import DECAY, EDGES, WARMUP, scheduled
from probes.checks.support.chance import ChanceTally, weigh


def test_the_schedule_begins_ends_and_may_start_early_or_late():
    assert scheduled(0) == (1.0, 1.0)
    assert scheduled(WARMUP) == (1.0 - 0.9 * WARMUP / DECAY, 1.0)
    assert scheduled(WARMUP + DECAY) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    "faulty",
    [
        lambda _: 0.1,  # pinned
        lambda _: 1.0,  # never decays
        lambda step: scheduled(2 * step)[0],  # twice as fast, from the first step
        lambda step: scheduled(step // 2)[1],  # half as fast, from the end of the warm-up
        lambda step: scheduled(step // 3)[1],  # by ticks of three environments
        lambda step: 0.5 * scheduled(step)[0],  # half of what was asked for
        lambda step: scheduled(step % 20)[1],  # anew in each episode
    ],
)
def test_a_faulty_schedule_cannot_pass_by_luck(faulty):
    passing = 1.0
    for first, last in pairwise(EDGES):
        right = np.array([scheduled(step) for step in range(first, last)]).mean(axis=0)
        least, most = (right * 7 / 8).tolist()
        chance = float(np.mean([faulty(step) for step in range(first, last)])) * 7 / 8
        trials = last - first
        # Binomial odds of the mean chance: those of unequal chances are narrower still.
        passing *= sum(
            float(binom.pmf(count, trials, chance))
            for count in range(trials + 1)
            if weigh([ChanceTally("", count, trials, least, most)]).holds
        )
    assert passing < 1e-3
