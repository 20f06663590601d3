"""Learning that is recorded once and repeated without Python has the bits of `Agent.learn`."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dqn_core import td
from dqn_core.agent import Agent
from dqn_core.cuda_graphs import (
    CapturedActing,
    CapturedLearning,
    CaptureError,
    cuda_graph,
    every_time,
)
from dqn_core.optimizers import optimizer_tensors
from dqn_core.recipes.schema import Recipe
from dqn_core.replay import Replay
from dqn_core.streams import Stream
from tests.dqn_core.small import CPU, equal, small, small_pong, trainer


def frozen_python(agent):
    """A recorder that repeats work with what Python knew when it was recorded, as a graph does."""

    def recorder(work, warm_up):
        warm_up()
        updates = agent.updates

        def replay():
            agent.updates = updates
            return work()

        return replay

    return recorder


RECIPES = [
    pytest.param(small(), id="a sync at several places of a block"),
    pytest.param(small(loop={"sync_period_updates": 3}), id="several syncs in a block"),
    pytest.param(small(loop={"overlap": True}, td={"double": True}), id="double, overlapped"),
    pytest.param(
        small(
            learning_rate={"schedule": "exponential", "final": 1e-5, "decay_steps": 500},
            optimizer={"kind": "adam", "eps": 1e-8},
        ),
        id="a schedule that ends inside a block",
    ),
    pytest.param(small_pong(), marks=pytest.mark.atari, id="cnn"),
    pytest.param(
        small_pong(network={"precision": "bf16"}), marks=pytest.mark.atari, id="cnn in bf16"
    ),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("stand_in", [frozen_python, lambda _: every_time], ids=["graph", "again"])
def test_recorded_learning_has_the_bits_of_the_agents_own(recipe, stand_in):
    plain, recorded = trainer(recipe), trainer(recipe)
    recorded.learning = CapturedLearning(recorded.agent, stand_in(recorded.agent))
    recorded.acting = CapturedActing(every_time)
    for one, other in zip(plain.blocks(), recorded.blocks(), strict=True):
        assert equal(one, other)
    assert plain.agent.updates > 100
    assert plain.agent.learning_rate == recorded.agent.learning_rate
    states = [optimizer_tensors(made.agent.optimizer) for made in (plain, recorded)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_recording_goes_on_after_a_checkpoint_was_loaded(tmp_path):
    from dqn_core.checkpoint import load_checkpoint, save_checkpoint

    plain, half, resumed = (trainer(small()) for _ in range(3))
    unbroken = list(plain.blocks())
    for made in (half, resumed):
        made.learning = CapturedLearning(made.agent, frozen_python(made.agent))
        made.acting = CapturedActing(every_time)
    first = [block for _ in range(2) for block in half.segment()]
    save_checkpoint(half, tmp_path / "checkpoint", {})
    load_checkpoint(resumed, tmp_path / "checkpoint")
    rest = list(resumed.blocks())
    assert len(first) + len(rest) == len(unbroken)
    assert all(equal(a, b) for a, b in zip(unbroken, first + rest, strict=True))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_what_cannot_be_recorded_is_refused_with_the_reason():
    with pytest.raises(CaptureError, match=r"could not be recorded as a CUDA graph(.|\n)*next"):
        cuda_graph(lambda: (), lambda: None)


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", RECIPES)
def test_on_a_gpu_a_graph_has_the_bits_of_python(recipe):
    from dqn_core.loop import Trainer

    device = torch.device("cuda")
    graph, python = (Trainer(recipe, 0, device) for _ in range(2))
    python.learning = CapturedLearning(python.agent, every_time)
    python.acting = None
    assert graph.agent.device != CPU
    for one, other in zip(graph.blocks(), python.blocks(), strict=True):
        assert equal(one, other)


class OnDevice(TorchDispatchMode):
    """Refuses what has to do with any tensor of the host.

    The device "meta" stands for a GPU: it knows shapes and no values, so whatever waits for a value
    fails by itself.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # torch has no form of this operation for such a device; it returns nothing.
        known = func._overloadpacket is not torch.ops.aten._fused_adam_
        result = func(*args, **(kwargs or {})) if known else None
        for one in tree_leaves((args, kwargs, result)):
            if isinstance(one, torch.Tensor):
                assert one.device.type == "meta", f"{func} has to do with a tensor of the host"
        return result


def on_device(work, warm_up):
    """A recorder that refuses what a graph could not repeat."""
    with OnDevice():
        warm_up()

    def replay():
        with OnDevice():
            return work()

    return replay


def learned_on_device(recipe):
    """Two blocks of four updates, from a replay memory on the device."""
    device = torch.device("meta")
    frames = recipe.network.kind != "mlp"
    row = np.zeros((32, 32), np.uint8) if frames else np.zeros(4, np.float32)
    shape = (recipe.frame_stack, 32, 32) if frames else (4,)
    agent = Agent(recipe, shape, 3, Stream(0, "init"), device)
    memory = Replay(100, 1, row.shape, row.dtype, recipe.frame_stack, device)
    memory.start(np.zeros(1, np.int64), row[None])
    ones, never = np.ones((40, 1)), np.zeros((40, 1), np.bool_)
    memory.append(ones, ones, never, never, np.broadcast_to(row, (40, 1, *row.shape)))
    learning = CapturedLearning(agent, on_device)
    for _ in range(2):
        batches = memory.sample(Stream(0, "replay"), 4 * 16)
        error, value = learning.learn(batches, 4)
    return agent, batches, error, value


def with_rmsprop():
    values = small().model_dump()
    values["optimizer"] = {
        "kind": "centred_rmsprop", "decay": 0.95, "min_squared_gradient": 0.01,
    }  # fmt: skip
    return Recipe.model_validate(values)


@pytest.fixture
def _adam_on_any_device(monkeypatch):
    """torch has no fused Adam for this device, and says so when the first update is made."""
    adam = importlib.import_module("torch.optim.adam")
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda *_, **__: None)


@pytest.mark.usefixtures("_adam_on_any_device")
@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(small(loop={"sync_period_updates": 3}), id="syncs"),
        pytest.param(small(td={"double": True, "loss": "huber"}), id="double"),
        pytest.param(with_rmsprop(), id="rmsprop"),
        pytest.param(small_pong(), id="cnn"),
    ],
)
def test_what_is_recorded_neither_waits_for_the_device_nor_touches_the_host(recipe):
    agent, batches, error, value = learned_on_device(recipe)
    assert agent.updates == 8
    assert error.shape == value.shape == (4, 16)
    assert error.device.type == "meta"
    with OnDevice():
        assert agent.online_net.infer(batches.obs).shape == (64, 3)


@pytest.mark.parametrize(
    ("touch", "what"),
    [
        (lambda error: error.add_(torch.ones(16)), "tensor of the host"),
        (lambda error: error.add_(float(error.sum())), "meta"),
        (lambda error: error[error > 0], "meta"),
        (lambda error: error.cpu(), "meta"),
    ],
    ids=["a tensor of the host", "a value", "a mask", "a copy"],
)
@pytest.mark.usefixtures("_adam_on_any_device")
def test_what_a_graph_could_not_repeat_is_seen(touch, what, monkeypatch):
    original = td.td_error

    def touching(*args):
        error = original(*args)
        touch(error)
        return error

    monkeypatch.setattr("dqn_core.td.td_error", touching)
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError), match=what):
        learned_on_device(small())
