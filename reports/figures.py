"""Draws curves; the only module that knows seaborn and matplotlib.

Frame and axis in, axis out. Nothing here writes a file or touches pyplot's global state.
"""

from __future__ import annotations

import io
import warnings
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from reports.schema import OperatingCurve
from reports.text import one_line

_STYLE: Final = {
    "svg.hashsalt": "dqn-harness",  # element ids are random otherwise
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a9099",
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "figure.constrained_layout.hspace": 0.06,
    "axes.grid": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.color": "#4a5058",
    "ytick.color": "#4a5058",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}
_TITLES: Final = {
    "episode_return": "Training: mean episode return per window",
    "evaluation_return": "Evaluation: mean episode return per window",
}
_REFERENCE_COLOUR: Final = "#3c434d"
# The colour-blind-safe colours that also show on white, those easiest to distinguish first.
_SEED_COLOURS: Final = ("#d55e00", "#0173b2", "#029e73", "#cc78bc", "#de8f05", "#56b4e9")
_PANEL_INCHES: Final = (10.5, 3.9)


def drawn_columns(curves: pd.DataFrame) -> list[str]:
    """The return columns that hold at least one value, in drawing order."""
    return [column for column in _TITLES if curves[column].notna().any()]


def draw_figure(curves: pd.DataFrame, metric: str) -> str:
    """One panel per return column, as SVG text that is the same whenever it is drawn again.

    Args:
        curves: as read by `read_curves`, with at least one drawn column.
        metric: label of the vertical axes: what a return is.

    Returns:
        An `<svg>` element, to be placed inside an HTML page.
    """
    columns = drawn_columns(curves)
    # Neither the user's matplotlibrc nor an earlier plot may change a single byte.
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # The reader's browser draws the text and may well have the glyphs that are missing here.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        width, height = _PANEL_INCHES
        figure = Figure(figsize=(width, height * len(columns)), layout="constrained")
        axes = figure.subplots(len(columns), squeeze=False, sharex=True)[:, 0]
        for axis, column in zip(axes, columns, strict=True):
            draw_reference(curves, axis, column)
            draw_candidates(curves, axis, column)
            axis.set(title=_TITLES[column], xlabel="", ylabel=one_line(metric, limit=60))
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3)
        axes[-1].set_xlabel("agent steps")
        return _svg(figure)


def draw_operating(curves: list[OperatingCurve]) -> str:
    """How often the gate calls FAIL, and how often stage one trips, against the drop.

    Args:
        curves: one for each shape, at least one.

    Returns:
        An `<svg>` element that is the same whenever it is drawn again.
    """
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(7.5, 3.0), layout="constrained")
        axis = figure.subplots()
        for curve, colour in zip(curves, _SEED_COLOURS, strict=False):
            drops = [point.drop_sd for point in curve.points]
            fails = [point.fail for point in curve.points]
            trips = [point.fail + point.watch for point in curve.points]
            axis.plot(
                drops, fails, color=colour, marker="o", markersize=4, label=f"FAIL, {curve.shape}"
            )
            axis.plot(
                drops,
                trips,
                color=colour,
                linestyle="--",
                linewidth=1,
                label=f"or WATCH, {curve.shape}",
            )
        axis.set(xlabel="drop of the mean area, in standard deviations", ylim=(-0.02, 1.02))
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        figure.legend(loc="outside right center")
        return _svg(figure)


def _svg(figure: Figure) -> str:
    svg = io.StringIO()
    metadata = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    figure.savefig(svg, format="svg", metadata=metadata)
    return svg.getvalue()[svg.getvalue().index("<svg") :]


def draw_reference(curves: pd.DataFrame, axis: Axes, column: str) -> Axes:
    """Adds the reference seeds' median, and a band from their first to their third quartile."""
    frame = curves[curves["group"] == "reference"].dropna(subset=[column])
    if frame.empty:
        return axis
    sns.lineplot(
        data=frame,
        x="step",
        y=column,
        estimator="median",
        errorbar=("pi", 50),
        color=_REFERENCE_COLOUR,
        linewidth=2,
        zorder=3,
        **_markers(frame),
        err_kws={"alpha": 0.18, "linewidth": 0, "label": "its interquartile range"},
        label=f"reference, median of {frame['seed'].nunique()} seeds",
        legend=False,
        ax=axis,
    )
    return axis


def draw_candidates(curves: pd.DataFrame, axis: Axes, column: str) -> Axes:
    """Adds one thin line per candidate seed, named at its end."""
    frame = curves[curves["group"] == "candidate"].dropna(subset=[column]).sort_values("step")
    if frame.empty:
        return axis
    seeds = sorted(frame["seed"].unique())
    colours = {seed: _SEED_COLOURS[i % len(_SEED_COLOURS)] for i, seed in enumerate(seeds)}
    sns.lineplot(
        data=frame,
        x="step",
        y=column,
        hue="seed",
        palette=colours,
        estimator=None,
        linewidth=1.1,
        **_markers(frame),
        legend=False,
        ax=axis,
    )
    axis.plot([], [], color=_SEED_COLOURS[0], linewidth=1.1, label="candidate, one line per seed")
    ends = frame.groupby("seed").last().sort_values(column)
    heights = _spread(ends[column].to_numpy(), *axis.get_ylim())
    for seed, step, value, height in zip(
        ends.index, ends["step"], ends[column], heights, strict=True
    ):
        axis.annotate(
            f"seed {seed}",
            xy=(step, value),
            xytext=(1.02, height),
            textcoords=axis.get_yaxis_transform(),
            color=colours[seed],
            fontsize=9,
            verticalalignment="center",
            arrowprops={"arrowstyle": "-", "color": colours[seed], "linewidth": 0.6, "alpha": 0.6},
        )
    return axis


def _markers(frame: pd.DataFrame) -> dict[str, object]:
    """Shows which points were measured, where there are few enough to distinguish them."""
    few = frame["step"].nunique() <= 30
    return {"marker": "o", "markersize": 4, "markeredgewidth": 0} if few else {}


def _spread(values: npt.NDArray[np.float64], bottom: float, top: float) -> npt.NDArray[np.float64]:
    """Moves sorted label heights apart so that none hides another, within [bottom, top].

    Where too many labels share the axis they close up evenly instead of leaving it.
    """
    slots = np.arange(len(values)) * (top - bottom) * min(0.06, 1 / max(1, len(values) - 1))
    spread = np.maximum.accumulate(values - slots) + slots
    spread += values.mean() - spread.mean()
    within: npt.NDArray[np.float64] = np.clip(spread, bottom + slots, top - slots[::-1])
    return within
