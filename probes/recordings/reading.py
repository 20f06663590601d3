"""A line of the table of what a script does."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """A line of the table.

    Attributes:
        name: of what was looked for.
        found: as observed, in words and numbers; "not seen" with why, if it was not.
        published: the value of Mnih et al. 2015, extended data table 1; "" where it has none.
        seen: whether it was.
    """

    name: str
    found: str
    published: str = ""
    seen: bool = True
