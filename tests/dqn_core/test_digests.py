"""Digests against a twin in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dqn_core.digests import _lanes, _total_on_device, multipliers, tensors_digest

DTYPES = [np.float32, np.float64, np.int64, np.uint8, np.bool_]


def twin(values: np.ndarray) -> int:
    """The digest, written out in numpy from its definition."""
    content = np.ascontiguousarray(values).tobytes()
    lanes = np.frombuffer(content, np.uint8 if len(content) % 4 else np.int32)
    with np.errstate(over="ignore"):
        products = lanes.astype(np.int64).astype(np.uint64) * multipliers(len(lanes))
    return sum(int(product) for product in products) % 2**64


@st.composite
def strided(draw):
    """An array of any of the types, and of any shape and layout."""
    shape = draw(arrays.array_shapes(max_dims=4, max_side=6))
    values = draw(arrays.arrays(draw(st.sampled_from(DTYPES)), shape))
    values = values.transpose(draw(st.permutations(range(values.ndim))))
    return values[draw(st.integers(0, values.shape[0] - 1)) :]


@given(strided())
def test_digest_is_that_of_the_twin_for_any_type_shape_and_layout(values):
    assert tensors_digest([torch.tensor(np.ascontiguousarray(values))]) == twin(values)
    assert tensors_digest([torch.from_numpy(values)]) == twin(values)


@given(st.lists(strided(), min_size=1, max_size=4))
def test_adding_up_on_a_device_gives_what_adding_up_on_the_host_does(arrays):
    tensors = [torch.tensor(np.ascontiguousarray(values)) for values in arrays]
    assert _total_on_device([_lanes(one) for one in tensors]) % 2**64 == tensors_digest(tensors)


@pytest.mark.gpu
def test_digest_is_the_same_on_a_gpu():
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((300, 501), np.float32))
    tensors = [values, values.t(), values[3:, ::2], values > 0, values.double()]
    for tensor in tensors:
        assert tensors_digest([tensor.cuda()]) == tensors_digest([tensor])


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.data())
def test_any_flipped_bit_and_any_exchange_changes_the_digest(seed, size, data):
    values = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    changed = values.copy()
    where = data.draw(st.integers(0, size - 1))
    changed.view(np.uint32)[where] ^= np.uint32(1 << data.draw(st.integers(0, 31)))
    before = tensors_digest([torch.from_numpy(values)])
    assert tensors_digest([torch.from_numpy(changed)]) != before
    negated = -values  # every sign bit: in sums of bits they would cancel in pairs
    assert tensors_digest([torch.from_numpy(negated)]) != before
    if size > 1:
        rolled = np.roll(values, 1)
        assert tensors_digest([torch.from_numpy(rolled)]) != before
        split = [torch.from_numpy(part) for part in np.split(values, [where])]
        assert tensors_digest(split) == before
