"""Networks: their gradients are those of autograd, their sizes and initial weights as published."""

from __future__ import annotations

import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from dqn_core.device import thread
from dqn_core.networks import Cnn, Mlp, initialise, make_network
from dqn_core.recipes.schema import NetworkSection
from dqn_core.streams import Stream

CPU = torch.device("cpu")


def initialised(network):
    initialise(network, "fan_in", Stream(0, "init"))
    return network


def test_the_written_out_gradient_of_the_mlp_is_that_of_autograd_bit_for_bit():
    network = initialised(Mlp([4, 32, 16, 3], CPU))
    obs = torch.from_numpy(Stream(1, "init").uniform(8, 4).astype(np.float32))
    slope = torch.from_numpy(Stream(2, "init").uniform(8, 3).astype(np.float32)) - 0.5
    q, pullback = network.vjp(obs)
    pullback(slope)
    written = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    by_autograd = network(obs)
    by_autograd.backward(slope)
    assert torch.equal(q, by_autograd)
    assert all(
        torch.equal(mine, p.grad) for mine, p in zip(written, network.parameters(), strict=True)
    )


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("convolutions", [[(8, 4, 2)], [(8, 4, 2), (16, 3, 1), (8, 3, 1)]])
def test_the_written_out_gradient_of_the_cnn_is_that_of_autograd_bit_for_bit(
    convolutions, layout, threaded
):
    network = initialised(Cnn((2, 20, 24), convolutions, [32, 16], 3, layout=layout))
    network.to(memory_format=layout)
    if threaded:
        network.second_thread = thread("helper")
    obs = torch.from_numpy(Stream(1, "init").integers(256, 8, 2, 20, 24).astype(np.uint8))
    slope = torch.from_numpy(Stream(2, "init").uniform(8, 3).astype(np.float32)) - 0.5
    q, pullback = network.vjp(obs)
    assert not q.requires_grad
    pullback(slope)
    written = [p.grad.clone() for p in network.parameters()]
    assert not any(gradient.requires_grad for gradient in written)
    network.zero_grad()
    by_autograd = network(obs)
    by_autograd.backward(slope)
    assert torch.equal(q, by_autograd)
    for mine, p in zip(written, network.parameters(), strict=True):
        assert torch.equal(mine, p.grad)
        assert mine.abs().max() > 0
        assert mine.stride() == p.grad.stride()


def test_what_a_thread_of_gradients_raises_reaches_the_update(monkeypatch):
    network = initialised(Cnn((1, 8, 8), [(2, 4, 4)], [8], 2))
    network.second_thread = thread("helper")
    _, pullback = network.vjp(torch.ones(2, 1, 8, 8).byte())

    def refuse(*_):
        raise MemoryError("no more")

    monkeypatch.setattr("dqn_core.networks.set_linear_gradients", refuse)
    with pytest.raises(MemoryError, match="no more"):
        pullback(torch.ones(2, 2))


IN_A_THREAD = """
import torch
from dqn_core.backward import set_convolution_gradients
from dqn_core.device import prepare_device, thread
from dqn_core.networks import Cnn, initialise
from dqn_core.streams import Stream

prepare_device("cpu")
network = Cnn((4, 84, 84), [(32, 8, 4)], [8], 2).to(memory_format=torch.channels_last)
initialise(network, "fan_in", Stream(0, "init"))
layer = network.convolutions[0]
frames, slopes = (
    torch.from_numpy(Stream(number, "init").uniform(32, *shape) - 0.5)
    .float().contiguous(memory_format=torch.channels_last)
    for number, shape in enumerate([(4, 84, 84), (32, 20, 20)])
)

def gradient():
    set_convolution_gradients(layer, frames, slopes)
    return layer.weight.grad.clone()

assert torch.equal(gradient(), thread("another").submit(gradient).result())
"""


def test_a_thread_computes_what_this_one_does_whatever_openmp_was_told():
    # Told so before torch is imported; else it would take every core, here perhaps a single one.
    told = os.environ | {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    ran = subprocess.run(
        [sys.executable, "-c", IN_A_THREAD], env=told, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_the_vector_of_an_mlp_is_its_weights_and_a_copy_has_its_own():
    network = initialised(Mlp([4, 8, 2], CPU))
    (vector,) = network.optimized_tensors
    twin = copy.deepcopy(network)
    vector.grad.fill_(0.5)
    torch.optim.SGD([vector], lr=1.0).step()
    assert all(
        torch.equal(mine, other - 0.5)
        for mine, other in zip(network.parameters(), twin.parameters(), strict=True)
    )
    assert torch.equal(torch.cat([p.flatten() for p in network.parameters()]), vector)
    (others,) = twin.optimized_tensors
    assert torch.equal(others - 0.5, vector)
    assert torch.equal(others.grad, torch.zeros_like(others))
    others.fill_(0.25)  # the copy's vector is the copy's weights, wherever they are read
    assert all((p == 0.25).all() for p in twin.parameters())
    assert torch.equal(twin.infer(torch.zeros(1, 4)), twin(torch.zeros(1, 4)))
    assert not torch.equal(vector, others)


@pytest.mark.parametrize(
    ("network", "obs"),
    [
        (Mlp([4, 8, 2], CPU), torch.ones(2, 4)),
        (Cnn((1, 8, 8), [(2, 4, 4)], [8], 2), torch.ones(2, 1, 8, 8).byte()),
    ],
    ids=["mlp", "cnn"],
)
def test_inference_is_the_forward_pass_without_a_graph(network, obs):
    initialised(network)
    assert network(obs).requires_grad
    assert not network.infer(obs).requires_grad
    assert torch.equal(network.infer(obs), network(obs))


def test_a_pullback_sets_gradients_and_does_not_add_to_them():
    for network, obs in (
        (initialised(Mlp([4, 8, 2], CPU)), torch.ones(2, 4)),
        (initialised(Cnn((1, 8, 8), [(2, 4, 4)], [8], 2)), torch.ones(2, 1, 8, 8).byte()),
    ):
        gradients = []
        for _ in range(2):
            _, pullback = network.vjp(obs)
            pullback(torch.ones(2, 2))
            gradients.append([p.grad.clone() for p in network.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_pixels_are_scaled_to_one_exactly_once():
    network = Cnn((1, 4, 4), [(1, 4, 1)], [1], 1)
    seen = {}
    network.convolutions[0].register_forward_hook(
        lambda _module, inputs, _output: seen.update(low=inputs[0].min(), high=inputs[0].max())
    )
    initialised(network)(torch.tensor([[[[0, 255, 128, 0]] * 4]], dtype=torch.uint8))
    assert seen == {"low": 0.0, "high": 1.0}
    with pytest.raises(TypeError, match=r"expected uint8, got torch.float32"):
        network(torch.ones(1, 1, 4, 4))


def test_bf16_rounds_products_and_nothing_else():
    frames = torch.from_numpy(Stream(0, "replay").integers(256, 8, 4, 40, 40).astype(np.uint8))
    sides = []
    for precision in ("float32", "bf16"):
        section = NetworkSection(kind="small", hidden=[32], init="he", precision=precision)
        network = initialised(make_network(section, (4, 40, 40), 3, CPU))
        q, pullback = network.vjp(frames)
        pullback(torch.ones_like(q))
        sides.append([q, *(leaf.grad for leaf in network.optimized_tensors)])
        assert {leaf.dtype for leaf in network.optimized_tensors} == {torch.float32}
    for full, rounded in zip(*sides, strict=True):
        assert rounded.dtype == torch.float32
        off = float((rounded - full).abs().max() / full.abs().max())
        # 8 significant bits: a product is off by at most 2 x 2^-9, and a few follow each other.
        # The gradient of the last bias passes through none.
        assert off < 0.03
    assert not torch.equal(*(side[0] for side in sides))
    assert not torch.equal(*(side[1] for side in sides))


@pytest.mark.parametrize(
    ("kind", "hidden", "parameters"),
    [
        # 4*16*64 + 16, 16*32*16 + 32, 2592*256 + 256, 256*6 + 6
        ("mnih2013", [256], 4_112 + 8_224 + 663_808 + 1_542),
        # 4*32*64 + 32, 32*64*16 + 64, 64*64*9 + 64, 3136*512 + 512, 512*6 + 6
        ("mnih2015", [512], 1_687_206),
    ],
)
def test_the_published_networks_have_the_published_sizes(kind, hidden, parameters):
    section = NetworkSection(kind=kind, hidden=hidden, init="fan_in")
    network = make_network(section, (4, 84, 84), 6, CPU)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_frames_too_small_for_the_network_are_refused():
    section = NetworkSection(kind="mnih2015", hidden=[8], init="fan_in")
    with pytest.raises(ValueError, match=r"frames of 20 x 20 are too small .* 3 x 3 convolution"):
        make_network(section, (4, 20, 20), 2, CPU)


def test_initial_weights_stay_within_their_bounds():
    fan_in, he = Mlp([16, 64, 2], CPU), Mlp([16, 64, 2], CPU)
    initialise(fan_in, "fan_in", Stream(0, "init"))
    initialise(he, "he", Stream(0, "init"))
    # 1 / sqrt(16) = 0.25 and sqrt(6 / 16) = 0.612, both nearly reached by 1,024 draws.
    assert 0.24 < fan_in.layers[0].weight.abs().max() <= 0.25
    assert 0.60 < he.layers[0].weight.abs().max() <= 0.6124
    assert fan_in.layers[0].bias.abs().max() > 0
    assert he.layers[0].bias.abs().max() == 0


def test_linear_is_torchs_linear():
    x, network = torch.ones(1, 4), initialised(Mlp([4, 2], CPU))
    layer = network.layers[0]
    assert torch.equal(network(x), functional.linear(x, layer.weight, layer.bias))
