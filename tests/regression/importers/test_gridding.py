"""Episodes on the grid of windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regression.importers.episodes import LogError
from regression.importers.gridding import on_grid
from tests.regression.importers.logs import HERE, records

EPISODES = st.lists(
    st.tuples(st.integers(0, 130), st.floats(-1e6, 1e6), st.integers(1, 50)), min_size=1
).map(lambda rows: [*rows, (100, 0.5, 3)])


@given(EPISODES, st.randoms(use_true_random=False))
def test_windows_keep_the_sum_of_returns_and_forget_the_order(rows, shuffler):
    grid = on_grid(records(*zip(*rows, strict=True)), 10, 100, HERE)
    inside = [row for row in rows if row[0] <= 100]
    total = np.nansum(grid.episodes * grid.returns)
    assert total == pytest.approx(sum(row[1] for row in inside), rel=1e-9, abs=1e-3)
    assert grid.episodes.sum() == len(inside) == len(rows) - grid.beyond
    assert np.isnan(grid.returns).tolist() == (grid.episodes == 0).tolist()
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    again = on_grid(records(*zip(*shuffled, strict=True)), 10, 100, HERE)
    for name in ("steps", "episodes", "returns", "lengths"):
        assert getattr(again, name).tobytes() == getattr(grid, name).tobytes()


@given(st.integers(0, 100))
def test_an_episode_belongs_to_the_window_in_which_it_ends(step):
    grid = on_grid(records([step, 100], [7.0, 1.0]), 10, 100, HERE)
    window = next(k for k, end in enumerate(range(10, 101, 10)) if step <= end)
    assert grid.steps.tolist() == list(range(10, 101, 10))
    assert (7.0 in (grid.returns[window], 2 * grid.returns[window] - 1)) is True
    assert grid.episodes[window] == (2 if window == 9 else 1)


def test_an_early_end_is_refused_by_more_than_a_window_only():
    assert on_grid(records([5, 90], [1, 2]), 10, 100, HERE).episodes[-1] == 0
    with pytest.raises(LogError, match=r"ends too early\n(.|\n)*ends at step 89"):
        on_grid(records([5, 89], [1, 2]), 10, 100, HERE)
