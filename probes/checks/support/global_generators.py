"""The global generators of Python, NumPy and PyTorch: kept from harm, and watched."""

from __future__ import annotations

import random  # noqa: TID251  # its state is looked at and given back
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_generators(number: int) -> Iterator[None]:
    """Puts the global generators into a state of that number; afterwards they are as before."""
    ours, torchs = random.getstate(), torch.get_rng_state()
    numpys = np.random.get_state()  # noqa: NPY002  # kept, not drawn from
    random.setstate(random.Random(number).getstate())
    np.random.set_state(np.random.RandomState(number).get_state())  # noqa: NPY002  # given back
    torch.set_rng_state(torch.Generator().manual_seed(number).get_state())
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002  # as it was
        torch.set_rng_state(torchs)


def global_states() -> dict[str, str]:
    """The states of the global generators, by name, to be compared."""
    return {
        "random": repr(random.getstate()),
        "numpy.random": repr(np.random.get_state()),  # noqa: NPY002  # compared, not drawn from
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
    }
