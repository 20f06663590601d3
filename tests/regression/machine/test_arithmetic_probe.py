"""The probe of arithmetic: its promises, its inputs, and what it looks at."""

from __future__ import annotations

import numpy as np
import torch

from regression.machine.arithmetic_probe import LENGTH, behaviour, numbers
from reports.fields import BEHAVIOUR


def test_a_root_is_promised_to_a_unit_in_the_last_place_and_a_quotient_to_the_bit():
    values = np.abs(numbers(LENGTH))
    root = torch.from_numpy(values).sqrt().numpy()
    np.testing.assert_array_max_ulp(root, np.sqrt(values), maxulp=1)
    quotient = torch.from_numpy(values) / torch.from_numpy(values + np.float32(2.5))
    np.testing.assert_array_equal(quotient.numpy(), values / (values + np.float32(2.5)))


def test_behaviour_is_a_function_of_the_process_and_looks_at_every_operation():
    hashes = behaviour("cpu")
    assert hashes == behaviour("cpu")
    assert all(name.startswith(BEHAVIOUR) and len(value) == 12 for name, value in hashes.items())
    assert len(set(hashes.values())) == len(hashes) >= 12


def test_inputs_of_the_behaviour_are_irregular_exact_and_in_range():
    values = numbers(37, 111)
    assert (values.dtype, values.shape) == (np.float32, (37, 111))
    assert len(np.unique(values)) == values.size
    assert -1 <= values.min() < -0.99
    assert 0.99 < values.max() < 1
    assert abs(float(values.mean())) < 0.01
    scaled = values.astype(np.float64) * 2**23
    np.testing.assert_array_equal(scaled, np.round(scaled))
    np.testing.assert_array_equal(values.ravel(), numbers(37 * 111))
