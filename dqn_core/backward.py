"""The backward pass through the layers of a network, written out.

Only the optimizer needs the gradients of weights, while the layer below needs those of inputs. So
two threads can share the pass: one goes down the layers, the other computes gradients of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn

Begin = Callable[..., object]

threshold_backward = torch.ops.aten.threshold_backward.default

# Which gradients torch's backward pass of a convolution computes: of inputs, weight, bias.
INPUTS: Final = (True, False, False)
PARAMETERS: Final = (False, True, True)


@contextmanager
def shared_work(second_thread: Executor | None) -> Iterator[Begin]:
    """Yields the function that begins some work: in the second thread, or at once.

    On leaving, all that was begun is waited for, and an exception of it is raised.
    """
    if second_thread is None:
        yield lambda work, *arguments: work(*arguments)
        return
    begun: list[Future[None]] = []
    try:
        yield lambda work, *arguments: begun.append(second_thread.submit(work, *arguments))
    finally:
        wait(begun)
    for one in begun:
        one.result()


@torch.no_grad()  # holds for the thread that it is called in
def set_linear_gradients(layer: nn.Linear, inputs: Tensor, gradient: Tensor) -> None:
    """Sets `.grad` of a linear layer's parameters.

    Args:
        layer: whose; the memory of earlier gradients is used again.
        inputs: [B, I] float32, that it was given.
        gradient: [B, O] float32, with respect to its outputs.
    """
    if layer.weight.grad is None or layer.bias.grad is None:
        layer.weight.grad, layer.bias.grad = map(torch.empty_like, (layer.weight, layer.bias))
    torch.mm(gradient.t(), inputs, out=layer.weight.grad)
    torch.sum(gradient, 0, out=layer.bias.grad)


@torch.no_grad()
def set_convolution_gradients(layer: nn.Conv2d, inputs: Tensor, gradient: Tensor) -> None:
    """Sets `.grad` of a convolution's parameters.

    Args:
        layer: whose.
        inputs: [B, C, height, width] float32, that it was given.
        gradient: with respect to its outputs.
    """
    assert layer.bias is not None  # all have one here
    _, layer.weight.grad, layer.bias.grad = _backward(layer, inputs, gradient, PARAMETERS)


def convolution_input_gradient(layer: nn.Conv2d, inputs: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with respect to the inputs of a convolution; arguments as above."""
    return _backward(layer, inputs, gradient, INPUTS)[0]


def _backward(
    layer: nn.Conv2d, inputs: Tensor, gradient: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward.default(
        gradient, inputs, layer.weight, [layer.out_channels], layer.stride, layer.padding,
        layer.dilation, layer.transposed, layer.output_padding, layer.groups, wanted,
    )  # fmt: skip
    return found
