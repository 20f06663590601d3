"""The regression target of a script, read off what came back to its predictions.

A gradient g at a prediction p of a batch of B rows tells the target that was meant: p - g * B / 2
under a mean square, p - g * B under half of one, and so on. The target that fits every row as a sum
of what the rewards and the next values of that row were is the one that is used: residuals are
rounding then, and thousands of times as large for any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from probes.recordings.recording import UNKNOWN, Recording, Vector
from probes.recordings.updates import ReplayedRows

Mask = npt.NDArray[np.bool_]

GOES_ON, TERMINATED, TRUNCATED = 0, 1, 2
WHERE: Final = {GOES_ON: "goes on", TERMINATED: "is terminated", TRUNCATED: "is truncated"}
MOST_STEPS: Final = 12  # in a row that one transition is taken to span
FEWEST_ROWS: Final = 20
FEWEST_OF_A_KIND: Final = 8
# Residuals of a target that is used are float32's rounding; this is a hundred times as much.
EXPLAINED: Final = 1e-4
OUTLIERS: Final = 0.98  # of rows that a first fit keeps: some may be faulty
QUANTILE: Final = 0.995
SATURATED: Final = 0.999  # of the knee of Huber's loss

# By what a gradient is multiplied to give the error, of a batch of B rows.
LOSSES: Final[dict[str, Callable[[Vector], Vector]]] = {
    "mean squared error": lambda rows: rows / 2,
    "half the mean squared error": lambda rows: rows,
    "Huber": lambda rows: rows,
    "summed squared error": lambda rows: np.full_like(rows, 0.5),
    "half the summed squared error": np.ones_like,
    "summed Huber": np.ones_like,
}
NEXT_VALUES: Final[dict[str, Callable[[ReplayedRows, Vector], Vector]]] = {
    "the largest of the target network": lambda _, values: values.max(axis=1),
    "the target network's of the online network's choice (double)": lambda rows, values: np.where(
        rows.chosen >= 0, values[np.arange(len(values)), np.maximum(rows.chosen, 0)], 0.0
    ),
    "the mean of all actions": lambda _, values: values.mean(axis=1),
    "the least of all actions": lambda _, values: values.min(axis=1),
    "that of the action just taken": lambda rows, values: values[
        np.arange(len(values)), rows.action
    ],
}


@dataclass(frozen=True)
class Spans:
    """The steps that each replayed row stands for, by the log of its environment.

    Attributes:
        rewards: [N, K], of these steps, zero after the last.
        length: [N], how many steps; 0 where the row is no transition of the environment.
        end: [N], how the last of them ended the episode, if it did.
        actions: [N], the first action.
    """

    rewards: Vector
    length: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    actions: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Target:
    """A target and a loss that were fitted to what came back.

    Attributes:
        loss: which loss.
        next_value: where the bootstrapped value is from.
        weights: of the next value, by how the transition ended and how many steps it spans.
        rewards: what a reward is learned as, by its size, where one step is a transition; else
            empty.
        reward_weights: of the first, second, ... reward of a transition of several.
        residual: of 99.5 % of the rows at most.
        rows: that said something.
        saturated: share of rows whose error was beyond the knee of Huber's loss.
        largest_error: that was seen; below the knee Huber's loss is half the squared error.
    """

    loss: str = ""
    next_value: str = ""
    weights: dict[tuple[int, int], float] = field(default_factory=dict)
    rewards: dict[float, float] = field(default_factory=dict)
    reward_weights: tuple[float, ...] = ()
    residual: float = np.inf
    rows: int = 0
    saturated: float = 0.0
    largest_error: float = 0.0

    @property
    def explained(self) -> bool:
        """Whether it is the target that is used."""
        return self.residual <= EXPLAINED


def spans_of(recording: Recording, rows: ReplayedRows) -> Spans:
    """Which steps each row stands for."""
    by_tag = {int(step[2]): step for step in recording.steps}
    follows = {int(tag) for _, _, tag in recording.resets}
    number = len(rows.tag)
    rewards = np.zeros((number, MOST_STEPS))
    length, end, actions = (np.zeros(number, np.int64) for _ in range(3))
    for place, (tag, next_tag) in enumerate(zip(rows.tag, rows.next_tag, strict=True)):
        found = _span(by_tag, follows, int(tag), int(next_tag))
        if found:
            length[place] = len(found)
            rewards[place, : len(found)] = [step[6] for step in found]
            end[place], actions[place] = int(found[-1][7]), int(found[0][5])
    return Spans(rewards, length, end, actions)


def _span(by_tag: dict[int, Vector], starts: set[int], tag: int, next_tag: int) -> list[Vector]:
    """The steps from one observation to another; none if they are no such steps.

    After an end the next observation may be that of the next episode, or none at all: whether it
    is bootstrapped from is another question.
    """
    found: list[Vector] = []
    while tag in by_tag and len(found) < MOST_STEPS:
        step = by_tag[tag]
        found.append(step)
        tag = int(step[3])
        if tag == next_tag:
            return found
        if step[7]:
            begins = next_tag in starts and next_tag > tag
            return found if next_tag == UNKNOWN or begins else []
    return []


def fitted_target(rows: ReplayedRows, spans: Spans) -> Target | None:
    """The target and the loss that explain most; None if there is too little to tell."""
    usual = _usual_length(spans)
    use = (spans.length > 0) & (spans.length <= usual) & (rows.gradient != 0)
    fits = [fit for fit in _fits(rows, spans, use, usual) if fit.rows >= FEWEST_ROWS]
    if not fits:
        return None

    def better(fit: Target) -> tuple[bool, float, float]:
        # Of those that explain, the one that explains most rows: Huber's where some saturate, and
        # the square where none needs to.
        return (not fit.explained, -fit.rows if fit.explained else 0.0, fit.residual)

    return min(fits, key=better)


def _usual_length(spans: Spans) -> int:
    lengths, counts = np.unique(spans.length[spans.length > 0], return_counts=True)
    if not len(lengths):
        return 1
    return int(max(lengths[counts > 0.05 * counts.sum()]))


def _fits(rows: ReplayedRows, spans: Spans, use: Mask, usual: int) -> Iterator[Target]:
    batch = rows.batch.astype(np.float64)
    for loss, scale in LOSSES.items():
        error = -rows.gradient * scale(batch)
        free = use.copy()
        if "Huber" in loss:
            free &= np.abs(error) < SATURATED
        for next_value, of in NEXT_VALUES.items():
            if "double" in next_value and not (rows.chosen >= 0).any():
                continue
            value = of(rows, rows.next_values)
            saturated = 1.0 - float(free.sum() / max(use.sum(), 1)) if "Huber" in loss else 0.0
            yield replace(
                _fit(rows.predicted + error, value, spans, free, usual),
                loss=loss,
                next_value=next_value,
                saturated=saturated,
                largest_error=float(np.abs(error[use]).max(initial=0.0)),
            )


def _fit(target: Vector, value: Vector, spans: Spans, free: Mask, usual: int) -> Target:
    """Least squares of targets [N] by rewards and next values, with few outliers left out.

    Returns:
        What it found, of a loss that is not named yet.
    """
    if free.sum() < FEWEST_ROWS:
        return Target()
    kinds = sorted(set(zip(spans.end[free].tolist(), spans.length[free].tolist(), strict=True)))
    columns = [
        np.where((spans.end == end) & (spans.length == length), value, 0.0) for end, length in kinds
    ]
    levels = sorted(set(spans.rewards[free, 0].tolist())) if usual == 1 else []
    if usual == 1:
        columns += [(spans.rewards[:, 0] == level).astype(np.float64) for level in levels]
    else:
        columns += [spans.rewards[:, step] for step in range(usual)]
    matrix, y = np.stack(columns, axis=1)[free], target[free]
    found = np.linalg.lstsq(matrix, y)[0]
    residual = np.abs(matrix @ found - y)
    kept = residual <= np.quantile(residual, OUTLIERS) + 1e-9
    found = np.linalg.lstsq(matrix[kept], y[kept])[0]
    residual = np.abs(matrix @ found - y)
    seen = (np.abs(matrix[kept]) > 1e-3).sum(axis=0) >= FEWEST_OF_A_KIND
    weights = {kind: float(found[i]) for i, kind in enumerate(kinds) if seen[i]}
    rest = found[len(kinds) :]
    return Target(
        weights=weights,
        rewards={level: float(rest[i]) for i, level in enumerate(levels) if seen[len(kinds) + i]},
        reward_weights=tuple(map(float, rest)) if usual > 1 else (),
        residual=float(np.quantile(residual, QUANTILE)),
        rows=len(y),
    )
