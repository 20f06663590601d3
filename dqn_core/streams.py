"""Named streams of random numbers, all derived from the seed of a run.

A stream is fixed by (seed, name, segment) alone. Drawing more from one never moves another, and a
segment can be replayed without having run those before it. Everything is drawn on the host from a
counter-based generator; nothing in the project draws from a global generator or on a device.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

from dqn_core.digests import array_digest

STREAM_NAMES: Final = ("init", "env", "explore", "replay", "eval")


class Stream:
    """Uniform draws from one named, counter-based generator.

    Both methods map raw 64-bit words to values in one documented way, so that a second
    implementation can reproduce them: a float is the word's upper 53 bits divided by 2**53, and an
    integer below n is floor(float * n), whose bias is below n / 2**53.

    Args:
        seed: seed of the run, a non-negative integer.
        name: one of `STREAM_NAMES`.
        segment: index of the segment, or of the evaluation, that the stream serves.

    Attributes:
        digest: of all numbers drawn so far, for traces.

    References:
        Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3" (Philox).
    """

    digest = 0

    def __init__(self, seed: int, name: str, segment: int = 0) -> None:
        if name not in STREAM_NAMES:
            raise ValueError(f"unknown stream {name!r}; expected one of {', '.join(STREAM_NAMES)}")
        if seed < 0 or segment < 0:
            raise ValueError(f"seed and segment must not be negative, got {seed} and {segment}")
        key = hashlib.blake2b(f"{seed}/{name}/{segment}".encode(), digest_size=16).digest()
        bits = np.random.Philox(key=int.from_bytes(key, "little"))
        self._generator = np.random.Generator(bits)

    def uniform(self, *shape: int) -> npt.NDArray[np.float64]:
        """Returns float64 values in [0, 1), of the given shape, drawn in C order."""
        values = self._generator.random(shape)
        self.digest = array_digest(values, self.digest)
        return values

    def integers(self, high: int, *shape: int) -> npt.NDArray[np.int64]:
        """Returns int64 values in [0, high), of the given shape, drawn in C order."""
        return (self.uniform(*shape) * high).astype(np.int64)
