"""Digests against a twin in numpy, the trace file under damage, and observing without effect."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dqn_core.device import prepare_device
from dqn_core.digests import (
    BLOCK_EVENTS,
    _lanes,
    _total_on_device,
    multipliers,
    tensors_digest,
)
from dqn_core.trace import ROW_BYTES, TRACE_FILE, TraceError, read_trace
from dqn_core.train import CurveError, TrainingRun
from regression.divergence.event_windows import EventWindow
from regression.divergence.events import chains
from regression.divergence.rerun import Rerun, read_run, write_window
from tests.dqn_core.small import small, small_pong, trainer

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


def finish(recipe, folder, *, resume=False, windows=None):
    run = TrainingRun(trainer(recipe), folder, resume=resume)
    for count, _ in enumerate(run.windows(), start=1):
        if count == windows:
            break
    return run


def test_a_trace_has_a_row_per_block_and_resuming_gives_the_file_of_the_unbroken_run(tmp_path):
    finish(small(), tmp_path / "unbroken")
    finish(small(), tmp_path / "broken", windows=13)
    path = tmp_path / "broken" / TRACE_FILE
    path.write_bytes(path.read_bytes() + b"torn")
    assert read_trace(path).torn_bytes == 4
    finish(small(), tmp_path / "broken", resume=True)
    trace = read_trace(path)
    assert path.read_bytes() == (tmp_path / "unbroken" / TRACE_FILE).read_bytes()
    assert trace.column("step").tolist() == list(range(8, 801, 8))
    assert trace.header["recipe"] == small().model_dump(mode="json")
    for event in set(BLOCK_EVENTS) - {"reward"}:  # which is one for every step
        assert len(set(trace.column(event).tolist())) > 1, f"{event} never changes"


def test_a_run_goes_the_same_way_without_digests():
    runs = [trainer(small()) for _ in range(2)]
    runs[1].traced = False
    traced, untraced = (list(run.segment()) for run in runs)
    assert {len(record.digests) for record in traced} == {len(BLOCK_EVENTS)}
    assert {len(record.digests) for record in untraced} == {0}
    assert runs[0].agent.weights_digest() == runs[1].agent.weights_digest()


def test_altered_rows_and_other_formats_are_refused(tmp_path):
    finish(small(), tmp_path, windows=6)
    path = tmp_path / TRACE_FILE
    healthy = path.read_bytes()
    first = healthy.index(b"\n") + 1
    for position in np.random.default_rng(0).integers(first, len(healthy), 20):
        damaged = bytearray(healthy)
        damaged[position] ^= 1
        path.write_bytes(bytes(damaged))
        with pytest.raises(TraceError, match=r"is damaged\n  where     row \d+, step"):
            read_trace(path)
        if position < first + 25 * ROW_BYTES:  # before the checkpoint at step 200
            with pytest.raises(CurveError, match="is damaged"):
                finish(small(), tmp_path, resume=True)
    for content in (b"", b"\x80\n", b"[]\n", healthy.replace(b'"format": 1', b'"format": 2')):
        path.write_bytes(content)
        with pytest.raises(TraceError, match="is not a trace that can be read here"):
            read_trace(path)
    path.unlink()
    with pytest.raises(CurveError, match=r"is not the trace(.|\n)*chain 0000000000000000"):
        finish(small(), tmp_path, resume=True)


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
