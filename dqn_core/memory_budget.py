"""Whether a replay memory fits, computed from shapes before anything is allocated."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import psutil
import torch

# Bytes per row beside the observation: action, terminated, truncated, history (1 each), reward (4),
# entry in the list of transitions (8).
ROW_OVERHEAD_BYTES: Final = 16


class ReplayMemoryError(MemoryError):
    """The replay memory would not fit; raised before anything is allocated."""


def out_of_memory_message(error: torch.OutOfMemoryError) -> str:
    """The message about a GPU that ran out of memory while training."""
    return (
        f"the GPU ran out of memory: {str(error).partition(' If reserved')[0]}\n"
        "  next      lower replay.capacity_rows, or free memory that other processes hold"
    )


def replay_bytes(capacity_rows: int, row_shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    """Bytes that a replay memory takes, computed from shapes alone."""
    return capacity_rows * (int(np.prod(row_shape)) * np.dtype(dtype).itemsize + ROW_OVERHEAD_BYTES)


def require_memory(needed: int, capacity_rows: int, device: torch.device) -> None:
    """Refuses a replay memory that the device cannot hold.

    Raises:
        ReplayMemoryError: with the bytes needed, the bytes available and what would fit.
    """
    if device.type == "cuda":
        available = torch.cuda.mem_get_info(device)[0]
    else:
        available = psutil.virtual_memory().available
    if needed > available:
        fits = int(capacity_rows * available / needed)
        raise ReplayMemoryError(
            f"the replay memory does not fit on {device}\n"
            f"  expected  at most {available / 1e9:.2f} GB, which are free now\n"
            f"  actual    {needed / 1e9:.2f} GB for replay.capacity_rows = {capacity_rows}\n"
            f"  next      lower replay.capacity_rows to {fits} or less, or free memory"
        )
