"""The figure shows the stored numbers, and is the same whenever it is drawn."""

from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reports.figures import (
    draw_candidates,
    draw_figure,
    draw_operating,
    draw_reference,
    drawn_columns,
)
from reports.rows import quartiles
from reports.schema import CURVE_COLUMNS
from reports.text import one_line


class Elements(HTMLParser):
    """Lists start tags with their attributes' names, and the text outside of comments."""

    def __init__(self, page):
        super().__init__()
        self.structure, self.text = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.structure.append((tag, [name for name, _ in attrs]))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def axis():
    return Figure().subplots()


def test_band_and_median_are_those_of_the_table(curves, axis):
    draw_reference(curves, axis, "episode_return")
    table = quartiles(curves, "episode_return").xs("reference", level="group")
    (median,) = axis.lines
    assert median.get_xdata().tolist() == [100, 200]
    assert median.get_ydata().tolist() == table["50%"].tolist() == [1.0, 2.0]
    (band,) = axis.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices}
    assert corners == {(100, 0.5), (100, 1.5), (200, 1.5), (200, 3.5)}
    assert table["25%"].tolist() == [0.5, 1.5]
    assert table["75%"].tolist() == [1.5, 3.5]


def test_every_candidate_seed_has_its_own_named_line(curves, axis):
    draw_candidates(curves, axis, "episode_return")
    lines = {tuple(line.get_ydata()) for line in axis.lines if len(line.get_xdata())}
    assert lines == {(0.0, 0.5), (0.5, 1.0)}
    assert [text.get_text() for text in axis.texts] == ["seed 0", "seed 1"]
    assert [text.xy for text in axis.texts] == [(200, 0.5), (200, 1.0)]


@pytest.mark.parametrize("ends", [[1.0] * 12, [0.0] * 12, [0.0, 0.5, 0.5, 1.0], [0.3] * 50, [2.0]])
def test_names_of_seeds_never_overlap_or_leave_the_panel(axis, ends):
    frame = pd.DataFrame(
        [
            ("candidate", seed, step, 1, end * step, 1.0, end, 0, 0)
            for seed, end in enumerate(ends)
            for step in (0, 1)
        ],
        columns=list(CURVE_COLUMNS),
    )
    draw_candidates(frame, axis, "episode_return")
    bottom, top = axis.get_ylim()
    heights = [text.xyann[1] for text in axis.texts]
    assert len(heights) == len(ends)
    assert bottom - 1e-9 <= min(heights)
    assert max(heights) <= top + 1e-9
    gap = (top - bottom) * min(0.06, 1 / max(1, len(ends) - 1))
    assert all(high - low >= gap * 0.999 for low, high in pairwise(heights))


@pytest.mark.parametrize("draw", [draw_reference, draw_candidates])
def test_a_group_without_values_draws_nothing(curves, axis, draw):
    draw(curves.iloc[:0], axis, "episode_return")
    assert not axis.has_data()


def test_only_columns_with_values_get_a_panel(curves):
    assert drawn_columns(curves) == ["episode_return", "evaluation_return"]
    without = curves.assign(evaluation_return=np.nan)
    assert drawn_columns(without) == ["episode_return"]
    assert "Evaluation" in draw_figure(curves, "return")
    assert "Evaluation" not in draw_figure(without, "return")


def test_drawing_ignores_and_leaves_alone_the_global_style(curves):
    first = draw_figure(curves, "return")
    with mpl.rc_context({"axes.facecolor": "black", "font.family": "serif"}):
        before = dict(mpl.rcParams)
        assert draw_figure(curves, "return") == first
        assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


@settings(max_examples=15, deadline=None)
@given(metric=st.text(min_size=1).filter(one_line))
@example(metric=r"$\frac{_^$")
@example(metric="</text></svg><script>alert(1)</script>--><!--")
@example(metric="日本語 \u202e 🦆")
def test_metric_is_only_ever_text(metric):
    frame = pd.DataFrame(
        [("candidate", 0, 1, 1, 0.5, 1.0, np.nan, 0, 0)], columns=list(CURVE_COLUMNS)
    )
    drawn, plain = (Elements(draw_figure(frame, label)) for label in (metric, "plain"))
    assert drawn.structure == plain.structure
    assert one_line(metric, limit=60) in drawn.text


def test_figure_of_a_long_run_stays_small():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["reference", "candidate"], range(20), range(500)])
    values = rng.normal(size=len(index))
    frame = index.to_frame(index=False, name=["group", "seed", "step"]).assign(
        episodes=1,
        episode_return=values,
        episode_length=1.0,
        evaluation_return=values,
        loss=0.0,
        q_mean=0.0,
    )
    assert 100_000 < len(draw_figure(frame, "return").encode()) < 1_000_000


def test_the_operating_curve_is_drawn_the_same_again_and_names_its_lines(operating):
    svg = draw_operating(operating)
    assert draw_operating(operating) == svg
    text = "".join(Elements(svg).text)
    for curve in operating:
        assert f"FAIL, {curve.shape}" in text
        assert f"or WATCH, {curve.shape}" in text
    assert draw_operating(operating[:1]) != svg
