"""Global generators are looked at, and given back."""

from __future__ import annotations

import contextlib

import numpy as np

from probes.checks.support.global_generators import global_generators, global_states


def test_global_generators_are_given_back_even_after_an_error():
    before = global_states()
    inside = []
    for number in (1, 2, 1):
        with contextlib.suppress(KeyError), global_generators(number):
            inside.append(global_states())
            np.random.random_sample(3)  # noqa: NPY002  # what a careless subject does
            raise KeyError
    assert global_states() == before
    assert inside[0] == inside[2]
    assert all(inside[0][name] != inside[1][name] for name in before)
