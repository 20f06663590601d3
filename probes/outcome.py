"""What a look at one property of a subject brings back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a check saw.

    Attributes:
        holds: whether the property holds.
        expected: in words and numbers.
        actual: likewise.
        compared: how many values were compared; nothing compared is nothing proven, hence red.
    """

    holds: bool
    expected: str
    actual: str
    compared: int
