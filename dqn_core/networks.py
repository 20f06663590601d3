"""Q-networks: from a batch of observations to one value per action.

Pixels are scaled to [0, 1] here and nowhere else. Weights are drawn on the host from the run's
`init` stream, so that a network starts from the same numbers on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from dqn_core.backward import (
    convolution_input_gradient,
    set_convolution_gradients,
    set_linear_gradients,
    shared_work,
    threshold_backward,
)
from dqn_core.recipes.schema import NetworkSection, Precision
from dqn_core.streams import Stream

Pullback = Callable[[Tensor], None]

# (channels, kernel side, stride) of each convolution.
CONVOLUTIONS: Final = {
    # Mnih et al. 2013, section 4.1.
    "mnih2013": ((16, 8, 4), (32, 4, 2)),
    # Mnih et al. 2015, Methods, "Model architecture".
    "mnih2015": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    # Ours, for frames of about 40 x 40 on a CPU.
    "small": ((16, 5, 3), (32, 3, 2)),
}


class QNetwork(nn.Module):
    """A network from observations to Q-values, [B, A] float32."""

    second_thread: Executor | None = (
        None  # a thread that shares the work of learning, to the same bits
    )

    @property
    def optimized_tensors(self) -> list[Tensor]:
        """What an optimizer moves: tensors that hold every weight once, each with its `.grad`."""
        return list(self.parameters())

    def infer(self, obs: Tensor) -> Tensor:
        """Q-values as `forward` gives them, without an autograd graph."""
        with torch.inference_mode():
            q: Tensor = self(obs)
            return q

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """Q-values, and the function that takes dLoss/dQ to the gradients of the parameters.

        Calling the pullback with a [B, A] float32 tensor *sets* `.grad` of every parameter.

        Args:
            obs: [B, ...] as for `forward`.

        Returns:
            [B, A] float32 without an autograd graph, and the pullback.
        """
        self.zero_grad(set_to_none=True)
        with torch.enable_grad():
            q: Tensor = self(obs)
        return q.detach(), q.backward


class Mlp(QNetwork):
    """Linear layers with rectifiers between them, for vector observations.

    All weights are parts of one vector, and so are their gradients: an optimizer step, a sync or a
    norm is then one call instead of one for each layer, and most of its cost is the call.
    """

    def __init__(self, widths: Sequence[int], device: torch.device) -> None:
        super().__init__()
        self._widths = widths
        layers = _linear_layers(widths)
        self.layers = nn.ModuleList(layers).to(device)
        self._vector = _in_one_vector(list(self.parameters()))
        # Plain lists: looking a parameter up through its module costs more than using it.
        self._parameters_of = [(layer.weight, layer.bias) for layer in layers]
        self._values_of = [(layer.weight.data, layer.bias.data) for layer in layers]
        self._gradients_of = [(layer.weight.grad, layer.bias.grad) for layer in layers]

    @property
    def optimized_tensors(self) -> list[Tensor]:
        """The one vector."""
        return [self._vector]

    def __deepcopy__(self, memo: dict[int, object]) -> Mlp:
        """A network of equal weights; torch's own copy would tear the vector into its parts."""
        twin = Mlp(self._widths, self._vector.device)
        twin.load_state_dict(self.state_dict())
        return twin

    def forward(self, obs: Tensor) -> Tensor:
        """Q-values, [B, A] float32, of observations [B, num_inputs] float32 (not scaled)."""
        return _activations(obs, self._parameters_of)[-1]

    def infer(self, obs: Tensor) -> Tensor:
        """Skips the module's bookkeeping."""
        return _activations(obs, self._values_of)[-1]

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """Written out: for so little arithmetic autograd takes twice as long."""
        *inputs, q = _activations(obs, self._values_of)

        def pullback(gradient: Tensor) -> None:
            for index in reversed(range(len(inputs))):
                of_weight, of_bias = self._gradients_of[index]
                torch.mm(gradient.t(), inputs[index], out=of_weight)
                torch.sum(gradient, 0, out=of_bias)
                if index:
                    # A rectifier passes the gradient where its output is positive.
                    passed = gradient @ self._values_of[index][0]
                    gradient = threshold_backward(passed, inputs[index], 0)

        return q, pullback


class Cnn(QNetwork):
    """Convolutions and linear layers with rectifiers between them, for stacks of grey frames."""

    def __init__(
        self,
        frames: tuple[int, int, int],
        convolutions: Sequence[tuple[int, int, int]],
        hidden: Sequence[int],
        num_actions: int,
        *,
        precision: Precision = "float32",
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        super().__init__()
        self._layout = layout
        self._rounded = precision == "bf16"
        channels, height, width = frames
        self.convolutions = nn.ModuleList()
        for filters, kernel, stride in convolutions:
            if min(height, width) < kernel:
                raise ValueError(
                    f"frames of {frames[1]} x {frames[2]} are too small for this network: a "
                    f"{kernel} x {kernel} convolution meets a map of {height} x {width}; "
                    "choose a smaller network.kind or larger frames"
                )
            layer: nn.Conv2d = skip_init(nn.Conv2d, channels, filters, kernel, stride)  # type: ignore[no-untyped-call]  # torch's
            self.convolutions.append(layer)
            channels = filters
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        features = channels * height * width
        self.layers = nn.ModuleList(_linear_layers([features, *hidden, num_actions]))

    def forward(self, obs: Tensor) -> Tensor:
        """Q-values, [B, A] float32, of frame stacks [B, stack, height, width] uint8."""
        if not self._rounded:
            return self._activations(obs)[-1]
        # No weight is kept rounded: an update in a CUDA graph would go on with the recorded ones.
        with torch.autocast(obs.device.type, torch.bfloat16, cache_enabled=False):
            return self._activations(obs)[-1].float()

    def _activations(self, obs: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Inputs of convolutions and what the last one gives; of linear layers; Q-values."""
        maps = [self._scaled(obs)]
        for convolution in self.convolutions:
            maps.append(torch.relu_(convolution(maps[-1])))
        rows = [maps[-1].flatten(1)]
        for layer in self.layers[:-1]:
            rows.append(torch.relu_(layer(rows[-1])))
        return maps, rows, self.layers[-1](rows[-1])

    def _scaled(self, obs: Tensor) -> Tensor:
        """Pixels within [0, 1], laid out as the weights of convolutions are."""
        if obs.dtype != torch.uint8:
            raise TypeError(f"frames: expected uint8, got {obs.dtype}; pixels are scaled in here")
        # A convolution would lay them out too, and its backward pass again.
        return obs.to(torch.float32).mul_(1.0 / 255.0).contiguous(memory_format=self._layout)

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """Writes the chain rule out, so that two threads can share it."""
        if self._rounded:
            return super().vjp(obs)
        with torch.no_grad():
            maps, rows, q = self._activations(obs)
        convolutions = cast("Sequence[nn.Conv2d]", self.convolutions)
        layers = cast("Sequence[nn.Linear]", self.layers)

        @torch.no_grad()
        def pullback(gradient: Tensor) -> None:
            with shared_work(self.second_thread) as begin:
                for layer, inputs in zip(reversed(layers), reversed(rows), strict=True):
                    begin(set_linear_gradients, layer, inputs, gradient)
                    gradient = threshold_backward(gradient @ layer.weight, inputs, 0)
                gradient = gradient.view(maps[-1].shape)
                gradient = gradient.contiguous(memory_format=self._layout)
                (first, pixels), *others = zip(convolutions, maps[:-1], strict=True)
                for convolution, inputs in reversed(others):
                    begin(set_convolution_gradients, convolution, inputs, gradient)
                    passed = convolution_input_gradient(convolution, inputs, gradient)
                    gradient = threshold_backward(passed, inputs, 0)
                set_convolution_gradients(first, pixels, gradient)

        return q, pullback


def _linear_layers(widths: Sequence[int]) -> list[nn.Linear]:
    return [
        skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]  # torch's
        for inputs, outputs in pairwise(widths)
    ]


def _activations(obs: Tensor, layers: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The inputs of linear layers with rectifiers between them, then the last one's output."""
    values = [obs]
    for weight, bias in layers[:-1]:
        values.append(functional.linear(values[-1], weight, bias).relu_())
    weight, bias = layers[-1]
    values.append(functional.linear(values[-1], weight, bias))
    return values


def _in_one_vector(tensors: Sequence[Tensor]) -> Tensor:
    """Lays tensors and gradients for them out as consecutive parts of one vector each.

    Returns:
        The vector, with its gradient.
    """
    vector = torch.cat([tensor.detach().flatten() for tensor in tensors])
    vector.grad = torch.zeros_like(vector)
    first = 0
    for tensor in tensors:
        part = slice(first, first + tensor.numel())
        tensor.data = vector[part].view_as(tensor)
        tensor.grad = vector.grad[part].view_as(tensor)
        first = part.stop
    return vector


def make_network(
    network: NetworkSection, obs_shape: tuple[int, ...], num_actions: int, device: torch.device
) -> QNetwork:
    """Builds the network of a recipe, with uninitialised weights.

    Args:
        network: the section of the recipe.
        obs_shape: (num_inputs,) for "mlp", else (stack, height, width).
        num_actions: number of outputs.
        device: where it stays.

    Raises:
        ValueError: if the observation does not fit the network.
    """
    if network.kind == "mlp":
        (num_inputs,) = obs_shape
        return Mlp([num_inputs, *network.hidden, num_actions], device)
    stack, height, width = obs_shape
    # oneDNN's backward pass is up to twice as fast with channels last, and a GPU's kernels for bf16
    # are made for them; activations follow weights.
    last = device.type == "cpu" or network.precision == "bf16"
    layout = torch.channels_last if last else torch.contiguous_format
    frames, shape = (stack, height, width), CONVOLUTIONS[network.kind]
    precision = network.precision
    cnn = Cnn(frames, shape, network.hidden, num_actions, precision=precision, layout=layout)
    cnn.to(device=device, memory_format=layout)  # type: ignore[call-overload]  # torch's stub lacks it
    return cnn


def initialise(network: QNetwork, init: str, stream: Stream) -> None:
    """Draws all weights, in the order of `parameters()`, on the host.

    "fan_in" is PyTorch's own default for linear and convolutional layers: weights and biases
    uniform within 1 / sqrt(fan in). "he" is uniform within sqrt(6 / fan in), biases zero.

    Args:
        network: its parameters are overwritten in place.
        init: "fan_in" or "he".
        stream: the `init` stream of the run.

    References:
        He et al. 2015, "Delving Deep into Rectifiers", section 2.2.
    """
    fan_in = 1
    with torch.no_grad():
        for parameter in network.parameters():
            is_weight = parameter.ndim > 1
            if is_weight:  # a bias follows the weight of its layer, and shares its fan-in
                fan_in = parameter[0].numel()
            bound = 1 / math.sqrt(fan_in) if init == "fan_in" else math.sqrt(6 / fan_in) * is_weight
            draws = stream.uniform(*parameter.shape) * (2 * bound) - bound
            parameter.copy_(torch.from_numpy(draws))
