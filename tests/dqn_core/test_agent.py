"""The agent: a block learned at once equals its updates one by one, syncs included."""

from __future__ import annotations

import pytest
import torch

from dqn_core.streams import Stream
from tests.dqn_core.small import small, trainer

UPDATES, BATCH = 23, 16


def learned(recipe, *, one_by_one: bool) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Errors, values and final weights of some updates on the same batches."""
    made = trainer(recipe)
    for _ in made.segment():
        pass
    stream = Stream(5, "replay")
    if not one_by_one:
        batches = made.replay.sample(stream, UPDATES * BATCH)
        errors, values = made.agent.learn(batches, UPDATES)
    else:
        parts = [made.agent.learn(made.replay.sample(stream, BATCH), 1) for _ in range(UPDATES)]
        errors, values = (torch.cat(side) for side in zip(*parts, strict=True))
    assert errors.shape == values.shape == (UPDATES, BATCH)
    weights = [*made.agent.online_net.parameters(), *made.agent.target_net.parameters()]
    return errors, values, [w.detach() for w in weights]


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "centred_rmsprop"])
def test_a_block_equals_its_updates_one_by_one(double, optimizer):
    values = small(td={"double": double}, loop={"sync_period_updates": 5}).model_dump()
    if optimizer == "centred_rmsprop":
        values["optimizer"] = {"kind": optimizer, "decay": 0.95, "min_squared_gradient": 0.01}
    recipe = type(small()).model_validate(values)
    together = learned(recipe, one_by_one=False)
    apart = learned(recipe, one_by_one=True)
    # Sums of another shape round differently, and no more than that.
    torch.testing.assert_close(together[0], apart[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(together[1], apart[1], rtol=1e-3, atol=1e-4)
    for mine, other in zip(together[2], apart[2], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


def test_targets_are_those_of_the_target_network_of_the_moment():
    """Without the cut at a sync the updates after it would still aim at the old targets."""
    recipe = small(loop={"sync_period_updates": 5})
    healthy = learned(recipe, one_by_one=True)

    def blind_to_syncs(self, batches, updates):
        at_once = self.td_target(batches)
        self.td_target = lambda rows: at_once[first(rows) : first(rows) + len(rows.action)]
        return type(self).learn(self, batches, updates)

    def first(rows):
        return (rows.window.data_ptr() - batches.window.data_ptr()) // batches.window[0].nbytes

    made = trainer(recipe)
    for _ in made.segment():
        pass
    batches = made.replay.sample(Stream(5, "replay"), UPDATES * BATCH)
    errors, _ = blind_to_syncs(made.agent, batches, UPDATES)
    assert (errors[:3] - healthy[0][:3]).abs().max() < 1e-4
    assert (errors[-3:] - healthy[0][-3:]).abs().max() > 1e-3


def test_gradient_values_are_clipped_where_the_recipe_says_so():
    values = small(td={"loss": "mse"}).model_dump() | {"gradient_clip_value": 1e-3}
    made = trainer(type(small()).model_validate(values))
    for _ in made.segment():
        pass
    largest = max(float(p.grad.abs().max()) for p in made.agent.online_net.parameters())
    assert largest == pytest.approx(1e-3)
    unclipped = trainer(small(td={"loss": "mse"}))
    for _ in unclipped.segment():
        pass
    assert max(float(p.grad.abs().max()) for p in unclipped.agent.online_net.parameters()) > 1e-2


def test_rewards_are_clipped_in_the_learner_alone():
    made = trainer(small(td={"clip_reward": True, "gamma": 0.0}))
    for _ in made.segment():
        pass
    batch = made.replay.sample(Stream(0, "replay"), 8)
    batch.reward[:4] = 7.0
    batch.reward[4:] = -0.5
    assert made.agent.td_target(batch).tolist() == [1.0] * 4 + [-0.5] * 4
    assert made.replay._reward.max() == 1.0
    assert batch.reward.max() == 7.0
