"""What is given to networks, each different row kept once."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, NamedTuple

import numpy as np

PICTURE = 1_600  # numbers, from which on a row is compressed while it waits, in 256 levels
LEVELS = 255


class _Kept(NamedTuple):
    shape: tuple[int, ...]
    kind: str
    raw: bytes
    low: float
    high: float


class Rows:
    """Different rows, numbered in the order in which they were first seen."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._kept: list[_Kept] = []

    def numbers(self, batch: np.ndarray) -> np.ndarray:
        """The number [B] of each row of a batch [B, ...]."""
        return np.array([self._number(row) for row in np.ascontiguousarray(batch)], np.int32)

    def _number(self, row: np.ndarray) -> int:
        raw = row.tobytes()
        key = hashlib.blake2b(raw, digest_size=12).digest(), row.shape, row.dtype.str
        if key not in self._numbers:
            self._numbers[key] = len(self._kept)
            self._kept.append(_kept(row, raw))
        return self._numbers[key]

    def arrays(self) -> dict[str, np.ndarray]:
        """The rows of each shape and type, and to which of these groups each row belongs.

        Returns:
            row_group [R]; row_range [R, 2], the smallest and the largest number of each row; and
            rows_k. Pictures of floats are kept as levels from 0 to 255 between those two.
        """
        groups = sorted({(kept.shape, kept.kind) for kept in self._kept}, key=str)
        found: dict[str, np.ndarray] = {
            "row_group": np.array(
                [groups.index((kept.shape, kept.kind)) for kept in self._kept], np.int32
            ),
            "row_range": np.array(
                [(kept.low, kept.high) for kept in self._kept], np.float64
            ).reshape(-1, 2),
        }
        for number, (shape, kind) in enumerate(groups):
            members = [kept for kept in self._kept if (kept.shape, kept.kind) == (shape, kind)]
            large = int(np.prod(shape)) >= PICTURE
            found[f"rows_{number}"] = np.stack(
                [
                    np.frombuffer(zlib.decompress(one.raw), np.uint8).reshape(shape)
                    if large
                    else np.frombuffer(one.raw, kind).reshape(shape)
                    for one in members
                ]
            )
        return found


def _kept(row: np.ndarray, raw: bytes) -> _Kept:
    low, high = (float(row.min()), float(row.max())) if row.size else (0.0, 0.0)
    if row.size < PICTURE:
        return _Kept(row.shape, row.dtype.str, raw, low, high)
    levels = row
    if row.dtype != np.uint8:
        spread = (high - low) or 1.0
        levels = np.rint((row.astype(np.float32) - low) * (LEVELS / spread)).astype(np.uint8)
    return _Kept(row.shape, row.dtype.str, zlib.compress(levels.tobytes(), 1), low, high)
