"""What a check is, and how its outcome becomes a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probes.subject import Subject


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


@dataclass(frozen=True)
class Check:
    """A property of any correct DQN.

    Attributes:
        code: stable name.
        component: what is broken when it does not hold.
        hint: the likeliest causes.
        run: the check itself, of a subject and a seed.
    """

    code: str
    component: str
    hint: str
    run: Callable[[Subject, int], Outcome]
