"""Where two windows part: the first event that differs, its first element, the first other action.

Events are aligned by name within a moment, so that an event that only one run has, or that comes
elsewhere in the other, is reported as what it is.
"""

from __future__ import annotations

import difflib
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from regression.divergence.event_windows import EventWindow
from regression.divergence.events import EventSection, chains
from reports.schema import Artifact

NEAR_TIE_ULPS: Final = 64  # a gap between Q-values that rounding can close

Array = npt.NDArray[Any]
Kind = Literal["values", "missing in a", "missing in b", "order"]


class Difference(Artifact):
    """The first event that differs; element and below are None where values were not kept."""

    kind: Kind
    step: int
    phase: str
    update: int  # 0 outside updates
    event: str
    shapes: list[list[int]]  # of a and b
    dtypes: list[str]
    element: list[int] | None = None  # index of the first differing one
    value_a: str | None = None
    value_b: str | None = None
    ulps: int | None = None  # between the two; None also where they are not floats
    max_ulps: int | None = None  # over all elements
    differing: int | None = None  # how many elements differ
    elements: int | None = None  # of how many


class Flip(Artifact):
    """The first action that differs."""

    step: int
    env: int
    action_a: int
    action_b: int
    greedy_a: bool  # whether the action has the largest Q-value
    greedy_b: bool
    gap_a: str | None = None  # between the two largest Q-values; None where none were asked for
    gap_b: str | None = None
    gap_ulps_a: int | None = None
    gap_ulps_b: int | None = None
    distance_ulps: int | None = None  # largest between Q-values of a and b
    near_tie: bool | None = None


def first_difference(a: EventWindow, b: EventWindow) -> Difference | None:
    """The first event in which two windows of the same blocks differ; None where they are equal."""
    pairs = zip(chains(a.sections), chains(b.sections), strict=False)
    shared = min(len(a.sections), len(b.sections))
    index = next((n for n, (mine, theirs) in enumerate(pairs) if mine != theirs), shared)
    if index == shared:
        return _missing_section(a.sections, b.sections, index)
    mine, theirs = a.sections[index], b.sections[index]
    if mine.moment != theirs.moment:
        return _missing_section(a.sections, b.sections, index)
    return _within(a, b, index)


def first_flip(a: EventWindow, b: EventWindow) -> Flip | None:
    """The first tick at which an environment is given another action."""
    theirs = {section.moment: number for number, section in enumerate(b.sections)}
    for number, section in enumerate(a.sections):
        other = theirs.get(section.moment)
        if section.moment.phase != "act" or other is None:
            continue
        actions = [_named(a, number, "action"), _named(b, other, "action")]
        if actions[0] is None or actions[1] is None or (actions[0] == actions[1]).all():
            continue
        env = int((actions[0] != actions[1]).argmax())
        q_a, q_b = _named(a, number, "acting Q-values"), _named(b, other, "acting Q-values")
        chosen = (int(actions[0][env]), int(actions[1][env]))
        rows = (None if q_a is None else q_a[env], None if q_b is None else q_b[env])
        return _flip(section.moment.step, env, chosen, rows)
    return None


def ulp_distance(a: Array, b: Array) -> Array:
    """Representable numbers between floats of one type, element by element, uint64.

    Minus zero and zero are neighbours.
    """
    bits: Any = {2: np.uint16, 4: np.uint32, 8: np.uint64}[a.dtype.itemsize]
    sign = bits(1 << (8 * a.dtype.itemsize - 1))
    x, y = (np.where(v & sign, ~v, v | sign) for v in (a.view(bits), b.view(bits)))
    distance: Array = (np.maximum(x, y) - np.minimum(x, y)).astype(np.uint64)
    return distance


def _within(a: EventWindow, b: EventWindow, index: int) -> Difference:
    """The first difference between two sections of one moment."""
    mine, theirs = a.sections[index], b.sections[index]
    names = [[event.name for event in section.events] for section in (mine, theirs)]
    matcher = difflib.SequenceMatcher(None, names[0], names[1], autojunk=False)
    for change, first, last, other, other_last in matcher.get_opcodes():
        if change != "equal":
            kind = _control_flow(names[0][first:last], names[1][other:other_last], names)
            section, at = (mine, first) if first < last else (theirs, other)
            return _difference(kind, section, at)
        for at_a, at_b in zip(range(first, last), range(other, other_last), strict=True):
            if mine.events[at_a] != theirs.events[at_b]:
                return _of_values(a, b, index=index, at_a=at_a, at_b=at_b)
    raise AssertionError("sections with other chains have other events")


def _control_flow(only_a: list[str], only_b: list[str], names: list[list[str]]) -> Kind:
    if sorted(names[0]) == sorted(names[1]):
        return "order"
    return "missing in b" if only_a and not only_b else "missing in a" if not only_a else "order"


def _missing_section(a: list[EventSection], b: list[EventSection], index: int) -> Difference | None:
    """A moment that only one run has; None where both have come to their end."""
    if index == len(a) == len(b):
        return None
    later = {section.moment for section in b[index:]}
    if index < len(a) and a[index].moment not in later:
        return _difference("missing in b", a[index], 0)
    return _difference("missing in a", b[index], 0)


def _difference(kind: Kind, section: EventSection, at: int) -> Difference:
    event, moment = section.events[at], section.moment
    return Difference(
        kind=kind,
        step=moment.step,
        phase=moment.phase,
        update=moment.update,
        event=event.name,
        shapes=[list(event.shape)] * 2,
        dtypes=[event.dtype] * 2,
    )


def _of_values(a: EventWindow, b: EventWindow, *, index: int, at_a: int, at_b: int) -> Difference:
    """What differs in an event that both have."""
    event, other = a.sections[index].events[at_a], b.sections[index].events[at_b]
    found = _difference("values", a.sections[index], at_a).model_copy(
        update={
            "shapes": [list(event.shape), list(other.shape)],
            "dtypes": [event.dtype, other.dtype],
        }
    )
    mine, theirs = a.values(index, at_a), b.values(index, at_b)
    if mine is None or theirs is None:
        return found
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        return found
    x, y = np.atleast_1d(mine).ravel(), np.atleast_1d(theirs).ravel()
    width = x.dtype.itemsize
    differs = (x.view(np.uint8) != y.view(np.uint8)).reshape(-1, width).any(axis=1)
    where = int(differs.argmax())
    update: dict[str, Any] = {
        "element": [int(n) for n in np.unravel_index(where, mine.shape)] if mine.shape else [],
        "value_a": repr(x[where].item()),
        "value_b": repr(y[where].item()),
        "differing": int(differs.sum()),
        "elements": len(x),
    }
    if x.dtype.kind == "f" and np.isfinite(x).all() and np.isfinite(y).all():
        ulps = ulp_distance(x, y)
        update |= {"ulps": int(ulps[where]), "max_ulps": int(ulps.max())}
    return found.model_copy(update=update)


def _named(window: EventWindow, section: int, name: str) -> Array | None:
    """Values of the first event of a name in a section."""
    names = [event.name for event in window.sections[section].events]
    return window.values(section, names.index(name)) if name in names else None


def _flip(
    step: int, env: int, actions: tuple[int, int], rows: tuple[Array | None, Array | None]
) -> Flip:
    greedy = [
        row is not None and int(row.argmax()) == action
        for action, row in zip(actions, rows, strict=True)
    ]
    flip = Flip(
        step=step,
        env=env,
        action_a=actions[0],
        action_b=actions[1],
        greedy_a=greedy[0],
        greedy_b=greedy[1],
    )
    if rows[0] is None or rows[1] is None:
        return flip
    tops = [np.sort(row)[-2:] for row in rows if row is not None]
    gap_ulps = [int(ulp_distance(top[:1], top[1:])[0]) for top in tops]
    return flip.model_copy(
        update={
            "gap_a": repr(float(tops[0][1] - tops[0][0])),
            "gap_b": repr(float(tops[1][1] - tops[1][0])),
            "gap_ulps_a": gap_ulps[0],
            "gap_ulps_b": gap_ulps[1],
            "distance_ulps": int(ulp_distance(rows[0], rows[1]).max()),
            "near_tie": max(gap_ulps) <= NEAR_TIE_ULPS,
        }
    )
