"""Optimizers and learning rates against closed forms."""

from __future__ import annotations

import pytest
import torch

from dqn_core.optimizers import CentredRmsProp, decay_updates, make_optimizer, make_scheduler
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe


def test_centred_rmsprop_takes_two_steps_by_hand():
    weight = torch.tensor([1.0], requires_grad=True)
    optimizer = CentredRmsProp([weight], lr=0.1, decay=0.5, min_squared_gradient=0.25)
    weight.grad = torch.tensor([2.0])
    optimizer.step()
    # mean 1, mean square 2: 1 - 0.1 * 2 / sqrt(2 - 1 + 0.25)
    first = 1 - 0.2 / 1.25**0.5
    assert weight.item() == pytest.approx(first, abs=1e-6)
    weight.grad = torch.tensor([1.0])
    optimizer.step()
    # mean 0.5 + 0.5 = 1, mean square 1 + 0.5 = 1.5: - 0.1 / sqrt(1.5 - 1 + 0.25)
    assert weight.item() == pytest.approx(first - 0.1 / 0.75**0.5, abs=1e-6)


def changed(**sections: dict) -> Recipe:
    values = load_recipe("cartpole").model_dump()
    for name, section in sections.items():
        values[name] |= section
    return Recipe.model_validate(values)


@pytest.mark.parametrize(
    ("schedule", "half_way"), [("constant", 1e-2), ("linear", 5.5e-3), ("exponential", 10**-2.5)]
)
def test_learning_rate_at_start_middle_end_and_beyond(schedule, half_way):
    # 200 agent steps at one update per 2 of them: 100 updates.
    recipe = changed(
        learning_rate={
            "schedule": schedule, "initial": 1e-2, "final": 1e-3, "decay_steps": 200
        },
        loop={"train_period_steps": 2},
    )  # fmt: skip
    optimizer = make_optimizer(recipe, [torch.zeros(1, requires_grad=True)])
    scheduler = make_scheduler(recipe, optimizer)
    rates = []
    for update in range(151):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None and update + 1 < decay_updates(recipe) + 1:
            scheduler.step()
    end = 1e-2 if schedule == "constant" else 1e-3
    assert [rates[0], rates[50], rates[100], rates[150]] == pytest.approx(
        [1e-2, half_way, end, end], rel=1e-6
    )
