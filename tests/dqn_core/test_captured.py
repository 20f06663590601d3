"""Learning that is recorded once and repeated without Python has the bits of `Agent.learn`."""

from __future__ import annotations

import pytest
import torch

from dqn_core.captured import CapturedActing, CapturedLearning, CaptureError, cuda_graph, every_time
from dqn_core.optimizers import optimizer_tensors
from tests.dqn_core.small import CPU, small, small_pong, trainer
from tests.dqn_core.test_loop import equal


def frozen_python(agent):
    """A recorder that repeats work with what Python knew when it was recorded, as a graph does."""

    def recorder(work, rehearse):
        rehearse()
        updates = agent.updates

        def again():
            agent.updates = updates
            return work()

        return again

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
