"""Scalars of event files, torn or damaged ones too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regression.importers.episodes import LogError
from regression.importers.event_files import TAG, read_event_files
from regression.importers.formats import guess_format
from regression.importers.run_folder import seeds_of
from tests.regression.importers.logs import written


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    """A folder such as CleanRL's, by the writer that it uses."""
    from torch.utils.tensorboard import SummaryWriter

    folder = tmp_path_factory.mktemp("runs") / "CartPole-v1__dqn__3__1718000000"
    with SummaryWriter(str(folder)) as writer:
        writer.add_text("hyperparameters", "|param|value|")
        for step in range(10, 210, 10):
            writer.add_scalar(TAG, step / 8, step)
            writer.add_scalar("losses/td_loss", 0.5, step)
    return folder


def test_scalars_of_event_files_by_their_tag(events):
    assert guess_format(events) == "tensorboard"
    assert seeds_of([events], "") == [3]
    found = read_event_files(events, TAG)
    assert found.steps.tolist() == list(range(10, 210, 10))
    assert (found.returns == found.steps / 8).all()
    assert found.notes == []
    with pytest.raises(LogError, match=f"'{TAG}', 'losses/td_loss'"):
        read_event_files(events, "return")


def test_scalars_as_tensorflow_2_stores_them(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path))
    for step in (1, 2):
        values = [
            Summary.Value(tag="a/return", tensor=make_tensor_proto(1.5 * step)),
            Summary.Value(tag="many", tensor=make_tensor_proto([1.0, 2.0])),
            Summary.Value(tag="text", tensor=make_tensor_proto("1.0")),
        ]
        writer.add_event(Event(step=step, summary=Summary(value=values)))
    writer.close()
    assert read_event_files(tmp_path, "a/return").returns.tolist() == [1.5, 3.0]
    with pytest.raises(LogError, match="--tag of 'a/return'\n"):
        read_event_files(tmp_path, "many")


def test_torn_event_files_lose_a_record_and_damaged_ones_are_refused(events, tmp_path):
    whole = next(events.glob("*")).read_bytes()
    path = tmp_path / "events.out.tfevents.1"
    torn = read_event_files(written(path, whole[:-7]), TAG)
    assert (len(torn.steps), len(torn.notes)) == (20, 1)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    for content in (bytes(damaged), b"hello" * 100, b"\xff" * 8 + whole[8:], b"\0" * 5000):
        with pytest.raises(LogError, match=r"damaged|no tag"):
            read_event_files(written(path, content), TAG)


def test_without_the_extra_its_name_is_told(events, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(LogError, match=r"pip install 'dqn-harness\[tensorboard\]'"):
        read_event_files(events, TAG)
