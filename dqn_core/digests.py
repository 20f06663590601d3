"""Digests of what a run did, cheap enough to be taken of every block.

Arrays on the host: CRC-32 of their bytes. Tensors: a sum modulo 2^64, which comes out the same in
whatever order it is added up, hence on every device, and which still depends on where each value
stands:

    digest = sum over lanes of lane * multiplier(index)      modulo 2^64

A lane is 32 bits of the tensor in C order, whatever its layout in memory, as a signed integer (8
bits, unsigned, where the bytes do not come in fours). Multipliers are pseudo-random and odd, so one
changed lane always changes the digest, and several changed ones do but for a chance of about 2^-32.

References:
    Lemire & Kaser 2014, "Strongly universal string hashing is fast" (multilinear hashing); Steele
    et al. 2014, "Fast splittable pseudorandom number generators" (SplitMix64, the multipliers).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# What a `BlockRecord` has digests of, in causal order.
BLOCK_EVENTS: Final = (
    "env draws",
    "explore draws",
    "action",
    "reward",
    "terminated",
    "truncated",
    "obs",
    "replay draws",
    "replay indices",
    "loss",
    "Q-values",
    "weights",
)

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]

_FEWEST: Final = 1 << 16
_multipliers: dict[torch.device, Tensor] = {}


def array_digest(array: Array, before: int = 0) -> int:
    """CRC-32 of the bytes of an array in C order, going on from the digest `before`."""
    return zlib.crc32(np.ascontiguousarray(array).data, before)


def tensors_digest(tensors: Iterable[Tensor]) -> int:
    """The digest of tensors laid end to end, in [0, 2^64); a scalar counts as one element.

    Args:
        tensors: of any dtype but complex ones, shape and layout; all on one device.
    """
    lanes = [_lanes(tensor) for tensor in tensors]
    if not lanes:
        return 0
    return (_total_on_host if lanes[0].is_cpu else _total_on_device)(lanes) % 2**64


def _total_on_host(lanes: list[Tensor]) -> int:
    """Of lanes laid end to end, a tensor at a time: what is widened stays in the caches."""
    total, first = 0, 0
    for part in lanes:
        factors = _multipliers_for(part.device, first, first + len(part))
        # Widened first: a product of mixed types is several times slower. It wraps around as well.
        total += int(np.dot(part.to(torch.int64).numpy(), factors.numpy()))
        first += len(part)
    return total


def _total_on_device(lanes: list[Tensor]) -> int:
    """The same, in few kernels: on a GPU they cost more than what they add up."""
    wide = torch.cat([part.to(torch.int64) for part in lanes])
    return int(wide.mul_(_multipliers_for(wide.device, 0, len(wide))).sum())


def multipliers(count: int) -> Words:
    """The first multipliers, [count] uint64: SplitMix64 of the index, made odd."""
    with np.errstate(over="ignore"):
        word = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (word ^ (word >> np.uint64(31))) | np.uint64(1)


def _lanes(tensor: Tensor) -> Tensor:
    """A tensor's bits in C order, [lanes] int32 or uint8; shares memory where it can."""
    flat = tensor.detach().contiguous().reshape(-1)
    if flat.nbytes % 4:
        return flat.clone(memory_format=torch.contiguous_format).view(torch.uint8)
    # Bytes are seen as lanes only where they are aligned, and a single element may have any stride.
    if flat.storage_offset() * flat.element_size() % 4 or flat.stride(0) != 1:
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.int32)


def _multipliers_for(device: torch.device, first: int, last: int) -> Tensor:
    """Those from `first` to before `last`, int64, made once per device."""
    known = _multipliers.get(device)
    if known is None or len(known) < last:
        count = max(_FEWEST, 1 << (last - 1).bit_length())
        known = torch.from_numpy(multipliers(count).view(np.int64)).to(device)
        _multipliers[device] = known
    return known[first:last]
