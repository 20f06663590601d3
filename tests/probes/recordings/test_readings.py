"""What is read off a recording, and what is no recording."""

from __future__ import annotations

import json

import pytest

from probes.recordings.reading_world import reading_world
from probes.recordings.readings import readings
from probes.recordings.recording import RecordingError, read_recording
from probes.scripts.observed import Plan, Script, observe
from tests.probes.scripts.specimens import ARGUMENTS, OWN


def test_everything_that_the_specimen_does_is_read_off(recorded):
    found = {one.name: one.found for one in readings(read_recording(recorded, 4))}
    assert found["observations recognised"].startswith("100.0%")
    assert found["batch size"] == "32"
    assert found["steps before the first update"] == "200"
    assert found["steps between updates"] == "2"
    assert found["optimizer"].startswith("Adam, learning rate 0.0005")
    assert found["loss"].startswith("Huber; ")
    assert found["next value"] == "the largest of the target network"
    assert found["weight of the next value"] == (
        "0.98 where it goes on, 0 where it is terminated, 0.98 where it is truncated"
    )
    assert found["rewards are learned"] == "as they are"
    assert found["target network"] == "copied every 20 updates"
    assert found["replay memory"].startswith("300 of 600 steps")
    assert found["steps of a transition"] == "1"
    real, _, rows = found["replayed rows that are steps"].partition(" of ")
    assert real == rows


def test_being_looked_at_changes_no_weight(recorded, tmp_path):
    observe(Script(ARGUMENTS, OWN), Plan(600, 120, reading_world(), networks=False), tmp_path)
    watched, alone = (
        json.loads((folder / "meta.json").read_text("utf-8"))
        for folder in (recorded, tmp_path / "recording")
    )
    assert alone["networks"] == []
    assert watched["weights_digests"] == alone["weights_digests"]
    assert len({digest for *_, digest in watched["weights_digests"]}) > 4


def test_an_altered_recording_is_refused(recorded, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in recorded.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    read_recording(copy, 4)
    meta = copy / "meta.json"
    meta.write_bytes(meta.read_bytes().replace(b'"steps": 600', b'"steps": 601'))
    with pytest.raises(RecordingError, match=r"meta\.json: not as it was recorded"):
        read_recording(copy, 4)
    meta.unlink()
    with pytest.raises(RecordingError, match="no whole recording"):
        read_recording(copy, 4)
