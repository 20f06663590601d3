"""What checking one property of a subject found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a check saw.

    Attributes:
        holds: whether the property holds; None where too little was seen to say so.
        expected: what a correct subject does, in words and numbers.
        actual: what this one did, in words and numbers.
        compared: how many values were compared; nothing compared is nothing proven, hence red.
    """

    holds: bool | None
    expected: str
    actual: str
    compared: int
