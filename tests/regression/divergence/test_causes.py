"""What is suggested follows the first event that differs."""

from __future__ import annotations

import pytest

from regression.divergence.causes import suggestion
from regression.divergence.first_difference import Difference


@pytest.mark.parametrize(
    ("event", "max_ulps", "words"),
    [
        ("explore draws", None, "random streams or seeds"),
        ("next_obs", 3, "environment or emulator"),
        ("replay indices", None, "memory samples"),
        ("gradient of layers.0.weight", 2, "kernels, hardware or threads"),
        ("Q-values", 2**20, "logic, or a corrupted value"),
        ("optimizer exp_avg of layers.0.weight", 1, "kernels, hardware or threads"),
        ("optimizer exp_avg of layers.0.weight", 1, "on equal machines, the optimizer, its"),
        ("optimizer exp_avg of layers.0.weight", 2**20, "the optimizer, its settings"),
        ("sync of layers.0.weight", 9, "target network is copied"),
    ],
)
def test_suggestions_follow_the_first_event(event, max_ulps, words):
    found = Difference(
        kind="values", step=8, phase="update", update=1, event=event, shapes=[[1], [1]],
        dtypes=["float32", "float32"], max_ulps=max_ulps,
    )  # fmt: skip
    assert words in suggestion(found)
    missing = found.model_copy(update={"kind": "missing in b"})
    assert suggestion(missing).startswith(f"control flow: '{event}' is missing in b")
