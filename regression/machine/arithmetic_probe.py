"""What arithmetic gives here: hashes of a few operations on fixed inputs, actually executed.

Versions and model names do not say which kernel a library chooses, nor in which order it sums. The
result of an operation does. Inputs are made from integers, so no generator takes part, and all of
them are exact in float32. Some operations stand for what a DQN does; others are there because they
change with a switch that would otherwise go unnoticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from reports.fields import BEHAVIOUR

Operation = Callable[[torch.device], tuple[Tensor, ...]]

LENGTH: Final = 4_099  # a prime: no vector width divides it


def numbers(*shape: int) -> npt.NDArray[np.float32]:
    """Values in [-1, 1) that look irregular, float32 of the given shape, from integers alone."""
    index = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
    # Knuth's multiplicative hashing: the upper 24 bits of index * 2**64 / golden ratio.
    upper = (index * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return ((upper.astype(np.float64) - 2**23) / 2**23).astype(np.float32).reshape(shape)


def behaviour(device: str) -> dict[str, str]:
    """The hashes, by "behaviour: " and what was done; NumPy's and integers' are the host's.

    Args:
        device: "cpu", "cuda" or "cuda:<index>"; prepared by `dqn_core.device.prepare_device`.
    """
    return dict(_hashes(device, torch.get_num_threads()))


@cache
def _hashes(device: str, threads: int) -> Mapping[str, str]:
    del threads  # a part of the key only: with other threads, sums are split otherwise
    place = torch.device(device)
    with torch.no_grad():
        found = {name: _hash(operation(place)) for name, operation in _operations().items()}
    found |= {name: _digest([values]) for name, values in _numpy_results().items()}
    return {f"{BEHAVIOUR}{name}": value for name, value in found.items()}


def _operations() -> dict[str, Operation]:
    found: dict[str, Operation] = {
        f"matmul {rows}x{inner}x{columns}": _matmul(rows, inner, columns)
        # Of the recipes' perceptron, forwards and backwards, and of a large convolutional network.
        for rows, inner, columns in ((96, 4, 128), (96, 128, 128), (128, 96, 128), (32, 3136, 512))
    }
    found |= {
        f"{name} {LENGTH}": _elementwise(function)
        for name, function in (
            ("exp", torch.exp),
            # MKL's, and not correctly rounded: its kernel differs by instruction set, and the one
            # that MKL_CBWR=COMPATIBLE chooses begins with an estimate that differs by vendor.
            ("sqrt", lambda x: x.abs().sqrt()),
            ("sin", torch.sin),
            ("log", lambda x: (x.abs() + 0.5).log()),
            ("pow", lambda x: (x.abs() + 0.5) ** 0.3),
            ("sigmoid", torch.sigmoid),
            ("div", lambda x: x / (x + 2.5)),
            ("sum", torch.sum),
        )
    }
    found["mean 7x4099"] = lambda place: (_at(place, 7, LENGTH).mean(dim=1),)
    found["softmax 33x77"] = lambda place: (torch.softmax(_at(place, 33, 77), 1),)
    found["norm 1001x3"] = lambda place: (torch.linalg.vector_norm(_at(place, 1001, 3), dim=1),)
    found["conv 8x4x84x84"] = lambda place: _convolution(place, (8, 4, 84, 84), (32, 4, 8, 8), 4)
    found["conv 8x32x20x20"] = lambda place: _convolution(place, (8, 32, 20, 20), (64, 32, 4, 4), 2)
    found["adam 1025"] = _adam
    found["int64 sum"] = _wrapping_sum
    return found


def _at(place: torch.device, *shape: int) -> Tensor:
    return torch.from_numpy(numbers(*shape)).to(place)


def _matmul(rows: int, inner: int, columns: int) -> Operation:
    return lambda place: (_at(place, rows, inner) @ _at(place, inner, columns),)


def _elementwise(function: Callable[[Tensor], Tensor]) -> Operation:
    return lambda place: (function(_at(place, LENGTH)),)


def _convolution(
    place: torch.device, image: tuple[int, ...], kernel: tuple[int, ...], stride: int
) -> tuple[Tensor, ...]:
    """A convolution, and the gradients of its input and weights."""
    x, weight = _at(place, *image).requires_grad_(), _at(place, *kernel).requires_grad_()
    with torch.enable_grad():
        out = functional.conv2d(x, weight, stride=stride)
        return out, *torch.autograd.grad(out, (x, weight), _at(place, *out.shape))


def _adam(place: torch.device) -> tuple[Tensor, ...]:
    """Three steps of the fused Adam that the core uses."""
    weight = torch.nn.Parameter(_at(place, 1025))
    optimizer = torch.optim.Adam([weight], lr=1e-3, fused=True)
    for step in range(1, 4):
        weight.grad = _at(place, 1025) * step / 7
        optimizer.step()
    return (weight.detach(),)


def _wrapping_sum(place: torch.device) -> tuple[Tensor, ...]:
    """A sum modulo 2**64, on which order-free digests rest."""
    odd = torch.arange(LENGTH, dtype=torch.int64, device=place) * 0x1E3779B97F4A7C15 + 1
    return (odd.sum(),)


def _numpy_results() -> dict[str, npt.NDArray[Any]]:
    """NumPy's own dispatch, and libm's: environments step through sin and cos."""
    return {
        f"numpy {name} {kind.__name__}": function(numbers(LENGTH).astype(kind) * 3)
        for name, function in (("sin", np.sin), ("cos", np.cos), ("exp", np.exp))
        for kind in (np.float32, np.float64)
    }


def _hash(results: tuple[Tensor, ...]) -> str:
    return _digest([result.detach().cpu().contiguous().numpy() for result in results])


def _digest(arrays: list[npt.NDArray[Any]]) -> str:
    """Twelve hexadecimal digits of the bits of arrays."""
    digest = hashlib.blake2b(digest_size=6)
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()
