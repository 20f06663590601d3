"""What a run has recorded of itself, held against what is known of it from outside.

Each property is a pure function of `Records` and `Facts`, and asks nothing of an implementation. A
field that was not recorded, or a fact that is not known, is a reason to skip it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from probes.outcome import Outcome
from probes.subject import BrokenProtocol, Records, Unsupported

Vector = npt.NDArray[np.float64]
Range = tuple[float, float]
Series = Literal["episode_return", "episode_length", "loss", "q_mean", "epsilon"]

# Relative rounding of numbers that were computed in float32.
SAME: Final = 1e-3


class Episode(NamedTuple):
    """An episode: its undiscounted raw return, and its length in agent steps."""

    episode_return: float
    length: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a run from outside; None where it is not.

    Attributes:
        steps: agent steps taken.
        updates: the least and the most that can have been made.
        paid: the whole episodes, in the order in which they ended.
        length_limit: agent steps after which every episode has ended.
        return_range: the lowest and the highest return that there can be.
        value_range: the lowest and the highest Q-value that there can be.
        target: of every row of every update, where it is one and the same.
        predicted: Q-value of every row just before each update, where all rows are alike.
        epsilon: from agent steps [K] to the lowest and the highest probability there, both [K].
        window_ends: of each series whose entries are means over windows, the agent steps [...] at
            the ends of these; entries of others are those of single episodes or updates.
    """

    steps: int | None = None
    updates: tuple[int, int] | None = None
    paid: tuple[Episode, ...] | None = None
    length_limit: int | None = None
    return_range: Range | None = None
    value_range: Range | None = None
    target: float | None = None
    predicted: Vector | None = None
    epsilon: Callable[[Vector], tuple[Vector, Vector]] | None = None
    window_ends: Mapping[Series, Vector] = field(default_factory=dict)

    def place(self, series: Series, index: int) -> str:
        """Where an entry of a series belongs, in words."""
        if series in self.window_ends:
            return f"the window that ends at step {int(self.window_ends[series][index]):,}"
        return f"{'episode' if series.startswith('episode') else 'update'} {index + 1:,}"


Property = Callable[[Records, Facts], Outcome]


def read_records(given: Any) -> Records:
    """Records as an implementation hands them out, held to the protocol.

    Args:
        given: `Records`, or anything with some members of these names.

    Raises:
        BrokenProtocol: for columns that are not vectors, or do not fit together.
    """
    found: dict[str, Any] = {}
    for name in (each.name for each in fields(Records)):
        value = getattr(given, name, None)
        if value is None or name in {"steps", "updates"}:
            found[name] = value
            continue
        found[name] = np.asarray(value, np.float64)
        if found[name].ndim != 1:
            raise BrokenProtocol(
                "shapes", f"records().{name} of one dimension", f"it has {found[name].ndim}"
            )
    for one, other in (("episode_return", "episode_length"), ("epsilon", "epsilon_step")):
        if found[one] is not None and found[other] is not None:
            lengths = len(found[one]), len(found[other])
            if lengths[0] != lengths[1]:
                raise BrokenProtocol(
                    "shapes", f"records() of as many {one} as {other}", f"there are {lengths}"
                )
    return Records(**found)


def within(records: Records, facts: Facts, name: Series, bounds: Range) -> Outcome:
    """Whether a series stays within bounds; nan is left to another property.

    Raises:
        Unsupported: if the series was not recorded.
    """
    values, (low, high) = column(records, name), bounds
    off = np.maximum(low - values, values - high)
    slack = np.where(values < low, 1.0 + abs(low), 1.0 + abs(high))
    outside = np.flatnonzero(off > SAME * slack)
    actual = f"{values.min(initial=np.inf):.4g} to {values.max(initial=-np.inf):.4g}"
    if len(outside):
        first, worst = int(outside[0]), int(np.nanargmax(off))
        actual = (
            f"{name} leaves it in {len(outside)} of {len(values)}, first in "
            f"{facts.place(name, first)}; furthest off is {values[worst]:.4g}"
        )
    return Outcome(
        holds=not len(outside),
        expected=f"{name} from {low:.4g} to {high:.4g}",
        actual=actual,
        compared=len(values),
    )


def column(records: Records, name: Series) -> Vector:
    """A series that was recorded, [...] float64.

    Raises:
        Unsupported: if it was not.
    """
    values = getattr(records, name)
    if values is None:
        raise Unsupported(f"not recorded: {name}")
    return np.asarray(values, np.float64)


def known(facts: Facts, name: str) -> Any:
    """A fact.

    Raises:
        Unsupported: if it is not known.
    """
    value = getattr(facts, name)
    if value is None:
        raise Unsupported(f"not known: {name}")
    return value
