"""The learning curve of a stored run, and which properties of its records hold.

A run folder holds `curve.csv`, a row per window of steps. Entries are means over windows; bounds
of single values hold for their means, too. What was not recorded, or is not known of the run, is a
reason to skip a property.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import gymnasium
import numpy as np
import numpy.typing as npt

from dqn_core.recipes.schema import GymnasiumEnv, Recipe
from dqn_core.schedules import epsilon
from probes.checks.registry import check_named
from probes.outcome import Outcome
from probes.records.episodes import lengths_are_within_limit, returns_are_within_range
from probes.records.facts import SAME, Facts, Property, Range, Series, Vector
from probes.records.updates import (
    epsilon_follows_schedule,
    losses_are_within_bounds,
    numbers_are_finite,
    values_are_within_bounds,
)
from probes.subject import Records, Unsupported
from reports.schema import Finding, FindingStatus

CURVE_FILE: Final = "curve.csv"
COLUMNS: Final = (
    "step", "episodes", "episode_return", "episode_length", "loss", "q_mean", "epsilon",
)  # fmt: skip
# How a recipe's metric states what a return may be.
RANGE: Final = re.compile(r"in \[(-?[0-9.]+), (-?[0-9.]+)\]")


class StoredCurveError(ValueError):
    """A curve that cannot be read."""


@dataclass(frozen=True)
class Curve:
    """The windows of a stored run, W of them.

    Attributes:
        columns: [W] float64 each, those of `COLUMNS` that were recorded, `step` at least; nan where
            there was nothing.
        recipe: of the run, or None where it is not known.
    """

    columns: dict[str, Vector]
    recipe: Recipe | None

    @property
    def step(self) -> Vector:
        """[W], agent steps at the end of each window."""
        return self.columns["step"]

    def column(self, name: str) -> Vector:
        """A column, [W].

        Raises:
            Unsupported: if it was not recorded.
        """
        if name not in self.columns:
            raise Unsupported(f"not recorded: {name}")
        return self.columns[name]

    def run(self) -> Recipe:
        """The recipe.

        Raises:
            Unsupported: if it is not known.
        """
        if self.recipe is None:
            raise Unsupported("not known: the recipe, which comes with the first saved model")
        return self.recipe

    def learning(self) -> npt.NDArray[np.bool_]:
        """[W], windows with updates; without a recipe, those from the first loss on."""
        if self.recipe is None:
            losses = self.columns.get("loss", np.full(len(self.step), np.nan))
            return np.cumsum(~np.isnan(losses)) > 0
        loop = self.recipe.loop
        # Learning beside acting, a block sees the memory as it was when the block began.
        first = -(-self.recipe.replay.warmup_steps // loop.block_steps) + loop.overlap
        learning: npt.NDArray[np.bool_] = self.step >= first * loop.block_steps
        return learning


def read_curve(path: Path, recipe: Recipe | None) -> Curve:
    """A curve as it is stored; a last line that is still being written is left out.

    Args:
        path: of the file.
        recipe: of the run, if known.

    Raises:
        StoredCurveError: if it is none, naming the line.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise StoredCurveError(f"{path} cannot be read: {error}") from error
    header, *rows = list(csv.reader(text.splitlines()[: text.count("\n")])) or [[]]
    if "step" not in header:
        raise StoredCurveError(
            f"{path}: expected a column `step`, got {', '.join(header) or 'an empty file'}\n"
            f"  next      name a folder whose {CURVE_FILE} has columns such as {', '.join(COLUMNS)}"
        )
    chosen = {name: header.index(name) for name in COLUMNS if name in header}
    values: dict[str, list[float]] = {name: [] for name in chosen}
    for number, row in enumerate(rows, start=2):
        for name, index in chosen.items():
            try:
                cell = row[index]
                values[name].append(float(cell) if cell else float("nan"))
            except (IndexError, ValueError):
                raise StoredCurveError(
                    f"{path}, line {number}: expected a number as {name}, got {row}\n"
                    "  next      was the file edited, or cut while it was copied?"
                ) from None
    return Curve({name: np.array(column) for name, column in values.items()}, recipe)


def records_of(curve: Curve) -> tuple[Records, Facts]:
    """A curve as records of means, and what its recipe says of them."""
    ends, learning = curve.step, curve.learning()
    episodes = curve.columns.get("episodes", np.ones(len(ends))) > 0

    def chosen(name: str, windows: npt.NDArray[np.bool_]) -> Vector | None:
        return curve.columns[name][windows] if name in curve.columns else None

    records = Records(
        episode_return=chosen("episode_return", episodes),
        episode_length=chosen("episode_length", episodes),
        loss=chosen("loss", learning),
        q_mean=chosen("q_mean", learning),
        epsilon=curve.columns.get("epsilon"),
        epsilon_step=ends - 1,
    )
    window_ends: dict[Series, Vector] = {
        "episode_return": ends[episodes], "episode_length": ends[episodes],
        "loss": ends[learning], "q_mean": ends[learning],
    }  # fmt: skip
    recipe = curve.recipe
    if recipe is None:
        return records, Facts(window_ends=window_ends)
    return records, Facts(
        length_limit=_length_limit(recipe),
        return_range=_return_range(recipe),
        value_range=_value_range(recipe),
        epsilon=partial(_scheduled, recipe),
        window_ends=window_ends,
    )


def _length_limit(recipe: Recipe) -> int | None:
    """Agent steps; None where there is no limit, or a game of several limited lives."""
    env = recipe.env
    if isinstance(env, GymnasiumEnv):
        registered = gymnasium.registry.get(env.id)
        return registered.max_episode_steps if registered else None
    return None if env.episode == "life" else env.episode_limit_steps


def _return_range(recipe: Recipe) -> Range | None:
    stated = RANGE.search(recipe.metric)
    return (float(stated[1]), float(stated[2])) if stated else None


def _value_range(recipe: Recipe) -> Range | None:
    """Known where the learner's rewards are clipped to [-1, 1]."""
    if not recipe.td.clip_reward or recipe.td.gamma == 1.0:
        return None
    highest = 1.0 / (1.0 - recipe.td.gamma)
    return -highest, highest


def _scheduled(recipe: Recipe, steps: Vector) -> tuple[Vector, Vector]:
    chances = epsilon(steps.astype(np.int64), recipe.exploration, recipe.replay.warmup_steps)
    return chances, chances


def windows_follow_each_other(curve: Curve) -> Outcome:
    """Each window is there once, and none goes beyond the end of the run."""
    loop = curve.run().loop
    due = loop.window_steps * np.arange(1.0, len(curve.step) + 1)
    wrong = np.flatnonzero((curve.step != due) | (curve.step > loop.total_steps))
    actual = (
        f"row {wrong[0] + 1} is of step {curve.step[wrong[0]]:,.0f}"
        if len(wrong)
        else "as expected"
    )
    return Outcome(
        holds=not len(wrong),
        expected=f"windows of {loop.window_steps:,} steps, one after the other, "
        f"up to {loop.total_steps:,}",
        actual=actual,
        compared=len(curve.step),
    )


def episodes_fill_the_steps(curve: Curve) -> Outcome:
    """Lengths of all episodes add up to the steps, but for those that have not ended."""
    count, length = curve.column("episodes"), curve.column("episode_length")
    ended = np.cumsum(np.where(count > 0, count * length, 0.0))
    missing = curve.step - ended
    most = curve.step
    if curve.recipe is not None:
        loop = curve.recipe.loop
        # An episode that a new segment cuts is not recorded.
        longest = min(_length_limit(curve.recipe) or np.inf, loop.segment_steps / loop.num_envs)
        most = loop.num_envs * longest * np.ceil(curve.step / loop.segment_steps)
    slack = SAME * curve.step
    wrong = np.flatnonzero((missing < -slack) | (missing > most + slack))
    first = int(wrong[0]) if len(wrong) else -1
    return Outcome(
        holds=not len(wrong),
        expected="episodes whose lengths add up to the agent steps"
        + (f", but for at most {most[first]:,.0f} of unfinished ones" if len(most) else ""),
        actual=f"{ended[first]:,.0f} of {curve.step[first]:,.0f} steps by then"
        if len(ended)
        else "",
        compared=len(ended),
    )


def losses_where_updates(curve: Curve) -> Outcome:
    """Windows before the first update have no loss."""
    losses = curve.column("loss")
    curve.run()
    early = ~curve.learning()
    invented = np.flatnonzero(early & ~np.isnan(losses))
    actual = "as expected"
    if len(invented):
        actual = f"a loss of {losses[invented[0]]:.4g} at step {curve.step[invented[0]]:,.0f}"
    return Outcome(
        holds=not len(invented),
        expected=f"no loss in the {early.sum()} windows before the first update",
        actual=actual,
        compared=len(losses),
    )


def _of_means(prove: Property) -> Callable[[Curve], Outcome]:
    return lambda curve: prove(*records_of(curve))


# By the check that states the same of a run that is watched.
STORED: Final[dict[str, Callable[[Curve], Outcome]]] = {
    "records.counts-are-those-taken": windows_follow_each_other,
    "records.every-episode-once": episodes_fill_the_steps,
    "records.lengths-are-within-limit": _of_means(lengths_are_within_limit),
    "records.returns-are-within-range": _of_means(returns_are_within_range),
    "records.numbers-are-finite": _of_means(numbers_are_finite),
    "records.one-loss-per-update": losses_where_updates,
    "records.losses-are-within-bounds": _of_means(losses_are_within_bounds),
    "records.values-are-within-bounds": _of_means(values_are_within_bounds),
    "records.epsilon-follows-schedule": _of_means(epsilon_follows_schedule),
}


def findings(curve: Curve) -> Iterator[Finding]:
    """What each property makes of a curve; skipped if there is nothing to hold it against yet."""
    for code, prove in STORED.items():
        check = check_named(code)
        started = time.monotonic()
        try:
            outcome = prove(curve)
            status = FindingStatus.GREEN if outcome.holds else FindingStatus.RED
        except Unsupported as unsupported:
            outcome = Outcome(holds=False, expected="", actual=str(unsupported), compared=0)
            status = FindingStatus.SKIP
        if not outcome.compared and status is not FindingStatus.SKIP:
            outcome = Outcome(holds=False, expected="", actual="nothing recorded yet", compared=0)
            status = FindingStatus.SKIP
        yield Finding(
            check=code,
            component=check.component,
            status=status,
            expected=outcome.expected,
            actual=outcome.actual,
            compared=outcome.compared,
            wall_s=time.monotonic() - started,
            hint="; ".join(check.causes) if status is FindingStatus.RED else "",
        )
