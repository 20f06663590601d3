"""Which raw frames of a game are in what a network was shown, whatever was made of them.

A script cuts, shrinks, greys and stacks pictures as it likes. Where the bands of numbers are in its
rows is where they change; a row of pixels or a column outside of them never does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from probes.observer.screens import (
    BANDS_BOTTOM,
    BANDS_TOP,
    DIVISORS,
    PATCH_BOTTOM,
    PATCH_TOP,
    PATCHES,
    edges,
)

Integers = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.float64]

Bounds = tuple[int, int, int, int]

NO_FRAME: Final = -1  # of a plane that shows none that can be read
EMPTY: Final = -2  # of a plane with nothing on it
MOST_PLANES: Final = 16
# Each cell of the bands is lit in one of 7 to 13 pictures. A pixel is in them if it changes as
# often as that, and at least half as far as the one that changes most.
OFTEN: Final = 0.05
CHANGES: Final = 0.5
MOST_ROWS: Final = 400  # in which bands are looked for
LIT_SHARE: Final = 0.35  # of the brightest cell: a mean of two frames shows half of it
MOST_APART: Final = 64  # frames between two that one plane shows


@dataclass(frozen=True)
class Layout:
    """How rows of one shape hold planes.

    Attributes:
        planes: of a row.
        height: of a plane, in pixels.
        width: of it.
        channels_last: whether the plane is the last index of a row.
        bounds: first and last row of pixels of the bands, and first and last column.
        turned: whether rows and columns of the picture are exchanged.
    """

    planes: int
    height: int
    width: int
    channels_last: bool
    bounds: Bounds
    turned: bool


@dataclass(frozen=True)
class ShownPlanes:
    """What N rows of one shape show in their P planes.

    Attributes:
        layout: of these rows.
        newest: [N, P], number of the newest frame; EMPTY or NO_FRAME where there is none.
        oldest: [N, P], of the oldest frame in the same plane.
        patches: [N, P, 11], brightness of what is always the same, between the row's smallest and
            largest number; NaN where it was cut off.
    """

    layout: Layout
    newest: Integers
    oldest: Integers
    patches: Pixels


def shown_planes(
    rows: npt.NDArray[Any], shown: int, bounds: Bounds | None = None
) -> ShownPlanes | None:
    """Reads rows [N, ...] of one shape; None if they are no pictures of the game.

    Args:
        rows: of any type.
        shown: how many frames the game showed.
        bounds: of the bands, where they are known: few rows do not show all of them.
    """
    best: ShownPlanes | None = None
    for planes, channels_last in _planes(rows):
        for turned in (False, True):
            found = _read(planes, shown, bounds, channels_last=channels_last, turned=turned)
            if found is not None and (best is None or _known(found) > _known(best)):
                best = found
        if best is not None and _known(best) > 0.5:  # nothing reads better
            break
    return best


def _known(found: ShownPlanes) -> float:
    return float((found.newest >= 0).mean())


def _planes(rows: npt.NDArray[Any]) -> Iterator[tuple[Pixels, bool]]:
    """The rows as [N, P, H, W], in every way in which they may be meant."""
    number = len(rows)
    shape = tuple(size for size in rows.shape[1:] if size != 1)
    flat = rows.reshape(number, *shape).astype(np.float64)
    if len(shape) == 1:
        for count in range(1, 5):
            side = math.isqrt(shape[0] // count)
            if count * side * side == shape[0]:
                yield flat.reshape(number, count, side, side), False
                if count > 1:
                    yield np.moveaxis(flat.reshape(number, side, side, count), 3, 1), True
    elif len(shape) == 2:
        yield flat[:, None], False
    elif len(shape) == 3 and shape[0] <= MOST_PLANES:
        yield flat, False
    elif len(shape) == 3 and shape[2] <= MOST_PLANES:
        yield np.moveaxis(flat, 3, 1), True
    elif len(shape) == 4 and shape[3] <= MOST_PLANES:
        yield np.moveaxis(flat, 4, 2).reshape(number, -1, *shape[1:3]), True
    elif len(shape) == 4 and shape[1] <= MOST_PLANES:
        yield flat.reshape(number, -1, *shape[2:]), False


def _read(
    planes: Pixels, shown: int, known: Bounds | None, *, channels_last: bool, turned: bool
) -> ShownPlanes | None:
    number, count = planes.shape[:2]
    upright = np.swapaxes(planes, 2, 3) if turned else planes
    whole = upright.reshape(number * count, *upright.shape[2:])
    bounds = known or _bounds(upright)
    if bounds is None:
        return None
    newest, oldest = _frames(whole, bounds, shown)
    layout = Layout(count, planes.shape[2], planes.shape[3], channels_last, bounds, turned)
    form = number, count
    return ShownPlanes(
        layout, newest.reshape(form), oldest.reshape(form),
        _patches(whole, bounds).reshape(*form, len(PATCHES)),
    )  # fmt: skip


def _bounds(planes: Pixels) -> Bounds | None:
    """The rows and columns of pixels, of planes [N, P, H, W], in which pictures change."""
    some = planes[:: max(1, len(planes) // MOST_ROWS)]
    # Planes with nothing on them, as those before a game begins, would make all of it change.
    shows = np.ptp(some, axis=(2, 3)) > 0
    changes = np.max(
        [_changing(some[shows[:, plane], plane]) for plane in np.flatnonzero(shows.any(axis=0))]
        or [np.zeros(planes.shape[2:])],
        axis=0,
    )
    inside = changes > CHANGES * changes.max(initial=0.0)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if len(rows) < 2 * len(DIVISORS) or len(columns) < 2 * max(DIVISORS):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _changing(pictures: Pixels) -> Pixels:
    """For each pixel of pictures [N, H, W], how far from what it usually is it often comes."""
    usual = np.median(pictures, axis=0)
    found: Pixels = np.quantile(np.abs(pictures - usual), 1 - OFTEN, axis=0)
    return found


def _middle(first: float, last: float) -> slice:
    """The middle half of a stretch of pixels, one at least."""
    quarter = (last - first) / 4
    begin = math.floor(first + quarter)
    return slice(max(begin, 0), max(math.ceil(last - quarter), begin + 1))


def _frames(whole: Pixels, bounds: Bounds, shown: int) -> tuple[Integers, Integers]:
    """The newest and the oldest frame of planes [M, H, W]."""
    top, bottom, left, right = bounds
    high = (bottom - top) / len(DIVISORS)
    cells = []
    for band, divisor in enumerate(DIVISORS):
        rows = _middle(top + band * high, top + (band + 1) * high)
        wide = (right - left) / divisor
        for cell in range(divisor):
            columns = _middle(left + cell * wide, left + (cell + 1) * wide)
            cells.append(whole[:, rows, columns].mean(axis=(1, 2)))
    levels = np.stack(cells, axis=1)
    apart = np.abs(levels - np.median(levels, axis=1, keepdims=True))
    largest = apart.max(axis=1)
    nothing = largest < 0.05 * max(float(largest.max(initial=0.0)), 1e-12)
    lit = apart > LIT_SHARE * np.maximum(largest, 1e-12)[:, None]
    found = np.array([_numbers(row.tobytes(), shown) for row in lit], np.int64).reshape(-1, 2)
    found[nothing] = EMPTY
    return found[:, 0], found[:, 1]


@cache
def _numbers(lit: bytes, shown: int) -> tuple[int, int]:
    """The newest and the oldest frame of which these cells are the remainders."""
    cells = np.frombuffer(lit, np.bool_)
    bands = [np.flatnonzero(part) for part in np.split(cells, np.cumsum(DIVISORS)[:-1])]
    counts = {len(band) for band in bands}
    if counts == {1}:
        number = _number([int(band[0]) for band in bands])
        return (number, number) if number < shown else (NO_FRAME, NO_FRAME)
    if counts <= {1, 2}:
        return _two_numbers(bands, shown)
    # A maximum over more frames that follow each other.
    ends = []
    for band, divisor in zip(bands, DIVISORS, strict=True):
        last = [cell for cell in band.tolist() if (cell + 1) % divisor not in band]
        if len(last) != 1:
            return NO_FRAME, NO_FRAME
        ends.append(last[0])
    number = _number(ends)
    fits = len(counts) == 1 and number < shown
    return (number, number - len(bands[0]) + 1) if fits else (NO_FRAME, NO_FRAME)


def _two_numbers(bands: list[Integers], shown: int) -> tuple[int, int]:
    """Two frames, whether they follow each other or not."""
    for chosen in product(*(band.tolist() for band in bands)):
        others = [
            band[0] if len(band) == 1 else band[band != cell][0]
            for band, cell in zip(bands, chosen, strict=True)
        ]
        newest, oldest = _number(list(chosen)), _number([int(other) for other in others])
        if oldest <= newest < shown and newest - oldest <= MOST_APART:
            return newest, oldest
    return NO_FRAME, NO_FRAME


def _number(remainders: list[int]) -> int:
    """The smallest number with these remainders."""
    total, whole = 0, math.prod(DIVISORS)
    for remainder, divisor in zip(remainders, DIVISORS, strict=True):
        others = whole // divisor
        total += remainder * others * pow(others, -1, divisor)
    return total % whole


def _patches(whole: Pixels, bounds: Bounds) -> Pixels:
    """The brightness [M, 11] of the patches above the bands, of planes [M, H, W]."""
    top, bottom, left, right = bounds
    pixel = (bottom - top) / (BANDS_BOTTOM - BANDS_TOP)
    rows = _middle(top - (BANDS_TOP - PATCH_TOP) * pixel, top - (BANDS_TOP - PATCH_BOTTOM) * pixel)
    found = np.full((len(whole), len(PATCHES)), np.nan)
    if top - (BANDS_TOP - PATCH_TOP) * pixel < 0:
        return found
    columns = edges(0.0, 1.0, len(PATCHES), right - left)
    for patch, (first, last) in enumerate(pairwise(columns)):
        found[:, patch] = whole[:, rows, _middle(left + first, left + last)].mean(axis=(1, 2))
    return found
