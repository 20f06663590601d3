"""What the tolerance for a step of the optimizer lets through."""

from __future__ import annotations

import pytest
import torch

from probes.checks import optimizer


@pytest.mark.parametrize(
    ("make_optimizer", "differs"),
    [
        (lambda p: torch.optim.Adam(p, lr=1.0), 1.67),
        (lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9), 6.2),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.99), 0.72),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.95), 0.68),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.95, centered=True), 0.63),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.99, centered=True), 0.7),
    ],
)
def test_what_an_optimizer_remembers_moves_its_step_by_four_times_the_tolerance(
    make_optimizer, differs
):
    weight = torch.zeros(1)
    made = make_optimizer([weight])
    steps = []
    for slope in [1.0, *[-1.0] * optimizer.UPDATES, 1.0]:
        before = weight.item()
        weight.grad = torch.tensor([slope])
        made.step()
        steps.append(weight.item() - before)
    distance = abs(steps[-1] - steps[0]) / abs(steps[0])
    assert distance == pytest.approx(differs, abs=0.02)
    assert distance >= 4 * optimizer.REMEMBERED
