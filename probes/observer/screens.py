"""The pictures of a game that stands in for a script's own: each says which frame it is.

A frame's number is shown by its remainders, one band of cells for each divisor, of which one cell
is lit. All cells are lit about equally often, so the bands can be found in whatever a script makes
of a picture; and of a maximum over some frames each shows as a lit cell of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Without a common factor: the remainders of 90,090 frames are all different.
DIVISORS = (7, 9, 10, 11, 13)
NUMBERS = 90_090
LIT = 200
# Above the bands, and always the same: what becomes of colours and of grey levels.
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
GREYS = (0, 36, 72, 108, 144, 180, 216, 255)
PATCHES = COLOURS + tuple((level, level, level) for level in GREYS)
# Of 210 x 160; inside the part that is usually cut out.
LEFT, RIGHT = 8 / 160, 152 / 160
PATCH_TOP, PATCH_BOTTOM = 40 / 210, 52 / 210
BANDS_TOP, BANDS_BOTTOM = 58 / 210, 188 / 210


def edges(first: float, last: float, parts: int, length: int) -> list[int]:
    """The pixels at which equal parts of a stretch of a picture begin, and where the last ends."""
    return [round((first + (last - first) * part / parts) * length) for part in range(parts + 1)]


class Screen:
    """Draws pictures [height, width, 3] uint8."""

    def __init__(self, height: int = 210, width: int = 160) -> None:
        self._ground = np.zeros((height, width, 3), np.uint8)
        top, bottom = round(PATCH_TOP * height), round(PATCH_BOTTOM * height)
        columns = edges(LEFT, RIGHT, len(PATCHES), width)
        for number, colour in enumerate(PATCHES):
            self._ground[top:bottom, columns[number] : columns[number + 1]] = colour
        self._rows = edges(BANDS_TOP, BANDS_BOTTOM, len(DIVISORS), height)
        self._columns = [edges(LEFT, RIGHT, divisor, width) for divisor in DIVISORS]

    def picture(self, number: int) -> Any:
        """The picture of a frame."""
        drawn = self._ground.copy()
        for band, divisor in enumerate(DIVISORS):
            cell, columns = number % divisor, self._columns[band]
            rows = slice(self._rows[band], self._rows[band + 1])
            drawn[rows, columns[cell] : columns[cell + 1]] = LIT
        return drawn
