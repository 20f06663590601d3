"""Runs made again: observing without effect, and windows of events."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dqn_core.device import prepare_device
from dqn_core.digests import tensors_digest
from dqn_core.trace import TraceError
from regression.divergence.event_windows import EventWindow
from regression.divergence.events import chains
from regression.divergence.rerun import Rerun, read_run, write_window
from tests.dqn_core.small import finish, small, small_pong, trainer


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(small(loop={"num_envs": 2, "overlap": True}), id="cartpole"),
        pytest.param(
            small(td={"double": True}, optimizer={"kind": "adam", "eps": 1e-8}), id="double"
        ),
        pytest.param(
            small_pong(loop={"total_steps": 200}, evaluation={"rolling_episodes": 2}),
            marks=pytest.mark.atari,
            id="pong",
        ),
    ],
)
def test_an_observed_run_has_the_bits_of_an_unobserved_one(recipe, tmp_path):
    prepare_device("cpu")
    unobserved = finish(recipe, tmp_path / "run")
    run = read_run(tmp_path / "run")
    again = Rerun(run, None, range(0, recipe.loop.total_steps, recipe.loop.block_steps))
    blocks = list(again.blocks())
    assert len(blocks) == len(run.trace.rows)
    assert all(again.reproduced(block) for block in blocks)
    digests = [t.agent.weights_digest() for t in (again.trainer, unobserved.trainer)]
    assert digests[0] == digests[1]
    moments = {section.moment for section in again.recorder.take()}
    updates = {moment.update for moment in moments if moment.phase == "update"}
    assert updates == set(range(1, unobserved.trainer.agent.updates + 1))


def test_a_window_from_a_checkpoint_is_that_from_the_start_and_holds_what_happened(tmp_path):
    prepare_device("cpu")
    finish(small(), tmp_path / "run", windows=13)
    run = read_run(tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoints" / "step_000000400"
    infos = [
        write_window(run, tmp_path / "from-start", [416], None),
        write_window(run, tmp_path / "from-checkpoint", [416], checkpoint),
    ]
    assert all(info.reproduced for info in infos)
    one, other = EventWindow(tmp_path / "from-start"), EventWindow(tmp_path / "from-checkpoint")
    assert list(chains(one.sections)) == list(chains(other.sections))
    fresh = trainer(small())
    block = next(block for block in fresh.blocks() if block.step == 424)
    seen = {"action": [], "replay indices": [], "weights of layers.0.bias": []}
    for number, section in enumerate(one.sections):
        for at, event in enumerate(section.events):
            values = one.values(number, at)
            assert tensors_digest([torch.from_numpy(values)]) == event.digest
            if event.name in seen:
                seen[event.name].append(values)
    assert np.array(seen["action"]).tolist() == block.action.tolist()
    assert np.array(seen["replay indices"]).tolist() == block.replay_slots.tolist()
    last = fresh.agent.online_net.get_parameter("layers.0.bias").detach().numpy()
    assert seen["weights of layers.0.bias"][-1].tolist() == last.tolist()
    with pytest.raises(TraceError, match="is not empty"):
        write_window(run, tmp_path / "from-start", [416], None)
