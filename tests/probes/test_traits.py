"""Traits: what may be declared, and what may not."""

from __future__ import annotations

import pytest

from probes.traits import TraitError, Traits, read_traits


def test_what_is_plain_is_not_declared():
    assert Traits().declared == {}
    assert read_traits({"tau": 1.0, "n_step": 1, "noisy": False}).declared == {}
    assert read_traits({"loss": "mse", "importance_exponent": 0}).declared == {
        "loss": "mse",
        "importance_exponent": 0.0,
    }
    assert read_traits({"n_step": 3, "double": False}).declared == {"n_step": 3, "double": False}


@pytest.mark.parametrize(
    "declared",
    [
        {"tau": 0},
        {"tau": 1.5},
        {"tau": "0.1"},
        {"n_step": 0},
        {"n_step": 2.0},
        {"n_step": True},
        {"noisy": 1},
        {"double": None},
        {"reward_scale": 0},
        {"learning_rate": -1e-3},
        {"loss": "l1"},
        {"loss": True},
        {"priority_exponent": 0},
        {"importance_exponent": 1.1},
        {"gradient_clip_norm": "10"},
        {"unheard_of": 1},
    ],
)
def test_other_values_are_refused(declared):
    with pytest.raises(TraitError, match=next(iter(declared))):
        read_traits(declared)
