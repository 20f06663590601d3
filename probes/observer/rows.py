"""What is given to networks, each different row kept once."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np

LARGE = 256  # bytes, from which on a row is compressed while it waits


class Rows:
    """Different rows, numbered in the order in which they were first seen."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._kept: list[tuple[tuple[int, ...], str, bytes]] = []

    def numbers(self, batch: np.ndarray) -> np.ndarray:
        """The number [B] of each row of a batch [B, ...]."""
        return np.array([self._number(row) for row in np.ascontiguousarray(batch)], np.int32)

    def _number(self, row: np.ndarray) -> int:
        raw = row.tobytes()
        key = hashlib.blake2b(raw, digest_size=12).digest(), row.shape, row.dtype.str
        if key not in self._numbers:
            self._numbers[key] = len(self._kept)
            kept = zlib.compress(raw, 1) if len(raw) > LARGE else raw
            self._kept.append((row.shape, row.dtype.str, kept))
        return self._numbers[key]

    def arrays(self) -> dict[str, np.ndarray]:
        """The rows of each shape and type, and to which of these groups each row belongs."""
        groups = sorted({(shape, kind) for shape, kind, _ in self._kept}, key=str)
        found = {
            "row_group": np.array(
                [groups.index((shape, kind)) for shape, kind, _ in self._kept], np.int32
            )
        }
        for number, (shape, kind) in enumerate(groups):
            raws = [raw for *form, raw in self._kept if tuple(form) == (shape, kind)]
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            whole = [zlib.decompress(raw) if size > LARGE else raw for raw in raws]
            found[f"rows_{number}"] = np.stack(
                [np.frombuffer(raw, kind).reshape(shape) for raw in whole]
            )
        return found
