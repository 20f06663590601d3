"""The trace: a row per block, without effect on the run, and under damage."""

from __future__ import annotations

import numpy as np
import pytest

from dqn_core.digests import BLOCK_EVENTS
from dqn_core.trace import ROW_BYTES, TRACE_FILE, TraceError, read_trace
from dqn_core.train import CurveError
from tests.dqn_core.small import finish, small, trainer


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
