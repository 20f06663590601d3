"""Q-values, as functions of observed tables."""

from __future__ import annotations

import numpy as np
import pytest

from probes.properties.values import advantages_are_relative, functions_of_one_row

TABLE = np.random.default_rng(0).normal(0, 3, (8, 4))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_rounding_is_no_difference_at_any_scale(scale):
    other = (scale * TABLE).astype(np.float32).astype(np.float64)
    assert functions_of_one_row(scale * TABLE, {"together": other}).holds


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_row_that_differs_is_named_with_the_way_it_was_asked(scale):
    other = TABLE.copy()
    other[3] += 0.1
    outcome = functions_of_one_row(
        scale * TABLE, {"together": scale * TABLE, "again": scale * other}
    )
    assert not outcome.holds
    assert outcome.actual.startswith("1 of 8 rows differ again, by up to")
    assert outcome.compared == 2 * TABLE.size


def test_advantages_are_relative_to_each_other():
    value, advantage = TABLE[:, :1], TABLE

    def dueling(value, advantage, centre=np.mean):
        return value + advantage - centre(advantage, axis=1, keepdims=True)

    for centre in (np.mean, np.max):
        shown = (dueling(value, advantage, centre), dueling(value + 1, advantage, centre))
        assert advantages_are_relative(*shown, dueling(value, advantage + 1, centre)).holds
    for centre in (np.sum, lambda a, **_: 0 * a):
        shown = (dueling(value, advantage, centre), dueling(value + 1, advantage, centre))
        assert not advantages_are_relative(*shown, dueling(value, advantage + 1, centre)).holds
    plain = dueling(value, advantage)
    assert not advantages_are_relative(plain, plain, dueling(value, advantage + 1)).holds
