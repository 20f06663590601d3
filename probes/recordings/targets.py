"""The regression target of a script, read off what came back to its predictions.

A gradient g at a prediction p of a batch of B rows tells the target that was meant, y = p - s g B,
where s is one half under a mean square, one under half of it, and so on. So p is a sum of what the
rewards and the next values of its row were, each with a weight, and of g B with the weight s. The
form of target under which this holds for every row is the one that is used: residuals are rounding
then, and thousands of times as large for any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.recordings.games import SUM
from probes.recordings.recording import Vector
from probes.recordings.spans import Spans
from probes.recordings.updates import ReplayedRows

Mask = npt.NDArray[np.bool_]

FEWEST_ROWS: Final = 20
FEWEST_OF_A_KIND: Final = 8
# Residuals of a target that is used are float32's rounding; this is a hundred times as much.
EXPLAINED: Final = 1e-4
OUTLIERS: Final = 0.98  # of rows that a first fit keeps: some may be faulty
REFITS: Final = 2
QUANTILE: Final = 0.995
AT_THE_LIMIT: Final = 1 - 5e-7  # of the largest gradient: all that a bent loss lets through
FEWEST_AT_THE_LIMIT: Final = 3  # different rows
ALL_AT_THE_LIMIT: Final = 0.95
SAME_SCALE: Final = 2e-3

NEXT_VALUES: Final[dict[str, Callable[[ReplayedRows, Vector], Vector]]] = {
    "the largest of the target network": lambda _, values: values.max(axis=1),
    "the target network's of the online network's choice (double)": lambda rows, values: _at(
        values, rows.chosen
    ),
    "the online network's of the target network's choice (double, exchanged)": lambda rows, of: _at(
        rows.online_values, of.argmax(axis=1)
    ),
    "the mean of all actions": lambda _, values: values.mean(axis=1),
    "the least of all actions": lambda _, values: values.min(axis=1),
    "that of the action just taken": lambda rows, values: _at(values, rows.action),
}


def _at(values: Vector, actions: npt.NDArray[np.int64]) -> Vector:
    """Of each row the value of an action; 0 where there is none."""
    return np.where(actions >= 0, values[np.arange(len(values)), np.maximum(actions, 0)], 0.0)


@dataclass(frozen=True)
class Target:
    """A target and a loss that were fitted to what came back.

    Attributes:
        loss: which loss, in words.
        next_value: where the bootstrapped value is from.
        weights: of the next value, by how the transition ended and how many steps it spans.
        rewards: what a reward is learned as, by its size, where one step is a transition; else
            empty.
        reward_weights: of the first, second, ... reward of a transition of several.
        paid: what of its frames' rewards a step of a game is learned to pay.
        residual: of 99.5 % of the rows at most.
        rows: that said something.
        saturated: share of rows whose gradient was as large as a bent loss lets it become.
        largest_error: of the others.
        errors: [N], what each row was meant to be, less its prediction; NaN where it is no
            transition.
    """

    loss: str = ""
    next_value: str = ""
    weights: dict[tuple[int, int], float] = field(default_factory=dict)
    rewards: dict[float, float] = field(default_factory=dict)
    reward_weights: tuple[float, ...] = ()
    paid: str = SUM
    residual: float = np.inf
    rows: int = 0
    saturated: float = 0.0
    largest_error: float = 0.0
    errors: Vector = field(default_factory=lambda: np.zeros(0))

    @property
    def explained(self) -> bool:
        """Whether it is the target that is used."""
        return self.residual <= EXPLAINED


def fitted_target(rows: ReplayedRows, spans: Spans) -> Target | None:
    """The target and the loss that explain most; None if there is too little to tell."""
    best = min(_fits(rows, spans), key=lambda fit: fit.residual, default=None)
    for paid, rewards in spans.other_rewards.items():
        if best is None or best.explained:
            break
        other = min(_fits(rows, replace(spans, rewards=rewards)), key=lambda fit: fit.residual)
        if other.residual < best.residual:
            best = replace(other, paid=paid)
    return best


def pull_of(rows: ReplayedRows) -> Vector:
    """[N], the gradient of each row times the rows of its batch."""
    return rows.gradient * rows.batch


def limit_of(rows: ReplayedRows, pull: Vector) -> float:
    """The size that no gradient exceeds, and several rows have; infinite if there is none."""
    size = np.abs(pull)
    largest = float(size.max(initial=0.0))
    reached = set(rows.tag[size >= AT_THE_LIMIT * largest].tolist())
    return largest if len(reached) >= FEWEST_AT_THE_LIMIT else np.inf


def all_pull_alike(rows: ReplayedRows) -> bool:
    """Whether gradients are of one size, as those of an absolute error."""
    pull = np.abs(pull_of(rows)[rows.gradient != 0])
    return bool(len(pull)) and bool((pull >= AT_THE_LIMIT * pull.max()).mean() >= ALL_AT_THE_LIMIT)


def _fits(rows: ReplayedRows, spans: Spans) -> Iterator[Target]:
    usual = _usual_length(spans)
    use = (spans.length > 0) & (spans.length <= usual) & (rows.gradient != 0)
    pull = pull_of(rows)
    limit = limit_of(rows, pull)
    free = use & (np.abs(pull) < AT_THE_LIMIT * limit)
    if free.sum() < FEWEST_ROWS:
        return
    for next_value, of in NEXT_VALUES.items():
        if "double" in next_value and not (rows.chosen >= 0).any():
            continue
        fit, scale = _fit(rows.predicted, pull, of(rows, rows.next_values), spans, free, usual)
        yield replace(
            fit,
            loss=_loss(scale, limit, float(np.median(rows.batch)), rows.next_values.shape[1]),
            next_value=next_value,
            saturated=1.0 - float(free.sum() / max(use.sum(), 1)),
            largest_error=float(np.abs(scale * pull[free]).max()),
        )


def _usual_length(spans: Spans) -> int:
    lengths, counts = np.unique(spans.length[spans.length > 0], return_counts=True)
    if not len(lengths):
        return 1
    return int(max(lengths[counts > 0.05 * counts.sum()]))


def _fit(
    predicted: Vector, pull: Vector, value: Vector, spans: Spans, free: Mask, usual: int
) -> tuple[Target, float]:
    """Least squares of predictions [N] by rewards, next values and pulls, few outliers left out.

    Returns:
        What it found, of a loss that is not named yet, and by what a pull is multiplied to give
        the error.
    """
    kinds = sorted(set(zip(spans.end[free].tolist(), spans.length[free].tolist(), strict=True)))
    columns = [
        np.where((spans.end == end) & (spans.length == length), value, 0.0) for end, length in kinds
    ]
    levels = sorted(set(spans.rewards[free, 0].tolist())) if usual == 1 else []
    if usual == 1:
        columns += [(spans.rewards[:, 0] == level).astype(np.float64) for level in levels]
    else:
        columns += [spans.rewards[:, step] for step in range(usual)]
    whole = np.stack([*columns, pull], axis=1)
    matrix, y = whole[free], predicted[free]
    found = np.linalg.lstsq(matrix, y)[0]
    residual = np.abs(matrix @ found - y)
    for _ in range(REFITS):
        kept = residual <= np.quantile(residual, OUTLIERS) + 1e-9
        found = np.linalg.lstsq(matrix[kept], y[kept])[0]
        residual = np.abs(matrix @ found - y)
    kept = residual <= np.quantile(residual, OUTLIERS) + 1e-9
    seen = (np.abs(matrix[kept]) > 1e-3).sum(axis=0) >= FEWEST_OF_A_KIND
    weights = {kind: float(found[i]) for i, kind in enumerate(kinds) if seen[i]}
    rest = found[len(kinds) : -1]
    known = np.any([(spans.end == end) & (spans.length == length) for end, length in kinds], axis=0)
    return Target(
        weights=weights,
        rewards={level: float(rest[i]) for i, level in enumerate(levels) if seen[len(kinds) + i]},
        reward_weights=tuple(map(float, rest)) if usual > 1 else (),
        residual=float(np.quantile(residual, QUANTILE)),
        rows=len(y),
        errors=np.where(known, whole[:, :-1] @ found[:-1] - predicted, np.nan),
    ), float(found[-1])


def _loss(scale: float, limit: float, batch: float, actions: int) -> str:
    """The loss whose gradient, times the rows of a batch and this scale, is the error.

    Args:
        scale: one half for a mean of squares, one for half of it or for Huber's loss.
        limit: the largest gradient times the rows of a batch; infinite if there is none.
        batch: rows of it.
        actions: over which a mean may have been taken too.
    """
    knee = scale * limit
    for rows, of_rows in ((1.0, ""), (batch, "summed ")):
        for each, of_actions in ((1, ""), (actions, " over all actions")):
            share = scale * rows / each
            if np.isfinite(knee) and _alike(share, 1.0):
                at = "" if _alike(knee, 1.0) else f", with a knee at {knee:.3g}"
                return f"{of_rows}Huber{of_actions}{at}"
            if np.isfinite(knee) and _alike(share, knee):
                return f"{of_rows}Huber{of_actions}, with a knee at {knee:.3g}"
            if np.isinf(knee) and _alike(share, 0.5):
                mean = "squared error" if of_rows else "mean squared error"
                return f"{of_rows}{mean}{of_actions}"
            if np.isinf(knee) and _alike(share, 1.0):
                mean = "summed squared error" if of_rows else "mean squared error"
                return f"half the {mean}{of_actions}"
    bent = f", its gradient cut at an error of {knee:.3g}" if np.isfinite(knee) else ""
    return f"{0.5 / scale:.3g} times the mean squared error{bent}"


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_SCALE * abs(other)
