"""How memory that networks share is found."""

from __future__ import annotations

import torch

from probes.checks.target_network import memory, shared_bytes


def test_shared_memory_is_counted_in_bytes():
    vector = torch.zeros(10)
    assert shared_bytes(vector, vector[4:]) == 24
    assert shared_bytes(vector[:4], vector[4:]) == 0  # one storage, but other parts of it
    assert shared_bytes(vector, vector.clone()) == 0
    assert shared_bytes(vector[:0], vector) == 0
    start, stop = memory(torch.zeros(2, 3, 4).permute(2, 0, 1))
    assert stop - start == 2 * 3 * 4 * 4
