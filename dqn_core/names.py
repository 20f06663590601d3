"""Names that people type: the known ones nearest to an unknown one, and dotted names of fields."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Any


def nearest(name: str, known: Iterable[str], count: int) -> list[str]:
    """The known names that are most like a name, the most alike first, at most `count`."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.0)


def unknown(
    kind: str, name: str, known: Collection[str], *, expected: str = "", like: str = ""
) -> str:
    """The message about a name that means nothing: what, what was expected, and the nearest.

    Args:
        kind: what the name should be one of, such as "recipe".
        name: as typed.
        known: names that mean something, one at least.
        expected: what may be given; the message then names the nearest three. If "", it lists all
            known names, and names the nearest one.
        like: what is compared with the known names, if not the name as typed.
    """
    near = nearest(like or name, known, 3 if expected else 1)
    return (
        f"unknown {kind} {name[:80]!r}\n"
        f"  expected  {expected or 'one of ' + ', '.join(known)}\n"
        f"  nearest   {', '.join(near)}"
    )


def dotted(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as one level: {"loop": {"num_envs": 1}} becomes {"loop.num_envs": 1}."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found |= dotted(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
