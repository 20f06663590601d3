"""What is read off a recording, and what is no recording."""

from __future__ import annotations

import json

import pytest

from probes.recordings.facts import Facts
from probes.recordings.judging import judged
from probes.recordings.of_seeds import other_run, same_run
from probes.recordings.readings import readings
from probes.recordings.recording import RecordingError, read_recording
from reports.schema import FindingStatus
from tests.probes.scripts.specimens import ARGUMENTS, CONSTANTS, FRAMES, MODULES, recorded_run


def test_everything_that_the_specimen_does_is_read_off(recorded):
    found = {one.name: one.found for one in readings(Facts(read_recording(recorded)))}
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


@pytest.mark.parametrize(
    ("script", "due"),
    [
        (
            CONSTANTS,
            {
                "loss": "half the mean squared error",
                "next value": "the target network's of the online network's choice (double)",
                "target network": "moved 0.02 of the way every 1 updates",
                "optimizer": "SGD, learning rate 0.0003, momentum 0.9",
            },
        ),
        (
            MODULES,
            {
                "weights of the rewards": "1, 0.9, 0.81",
                "steps of a transition": "3",
                "gradients": "norm clipped to 1",
                "target network": "copied every 25 updates",
                "optimizer": "RMSprop, learning rate 0.001, alpha 0.95, eps 1e-05",
            },
        ),
        (
            FRAMES,
            {
                "observations recognised": "100.0% of 560",
                "next value": "the largest of the target network",
                "weight of the next value": "0.99 where it goes on, 0 where it is terminated, "
                "0.99 where it is truncated, 0 where it loses a life",
                "rewards are learned": "as their signs, of the sum of their frames",
                "target network": "copied every 20 updates",
                "frames of a step": "4",
                "a picture is": "the largest of 2 frames",
                "size of a picture": "84 x 84",
                "colours": "red 0.30, green 0.58, blue 0.11 of white",
                "stack": "4 frames, newest last",
                "white reaches the first layer as": "1",
            },
        ),
    ],
    ids=["constants", "modules", "frames"],
)
def test_scripts_of_other_styles_are_read_and_have_nothing_red(script, due, tmp_path):
    recording = recorded_run(script, tmp_path)
    facts = Facts(recording)
    found = {one.name: one.found for one in readings(facts)}
    assert {name: found[name] for name in due} == due
    findings = list(judged(facts))
    assert sum(one.status is FindingStatus.GREEN for one in findings) >= 30
    assert [one for one in findings if one.status is FindingStatus.RED] == []


def test_being_looked_at_changes_no_weight(recorded, tmp_path):
    recorded_run(ARGUMENTS, tmp_path, networks=False)
    watched, alone = (
        json.loads((folder / "meta.json").read_text("utf-8"))
        for folder in (recorded, tmp_path / "recording")
    )
    assert alone["networks"] == []
    assert watched["weights_digests"] == alone["weights_digests"]
    both = [read_recording(folder) for folder in (recorded, tmp_path / "recording")]
    assert same_run(*both).holds
    both[1].raw_steps[300, 5] += 1
    assert same_run(*both).actual == "other actions from step 300 on"
    assert other_run(*both).actual == "1 others"
    assert other_run(both[0], both[0]).holds is False
    assert len({digest for *_, digest in watched["weights_digests"]}) > 4


def test_an_altered_recording_is_refused(recorded, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in recorded.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    read_recording(copy)
    meta = copy / "meta.json"
    meta.write_bytes(meta.read_bytes().replace(b'"steps": 600', b'"steps": 601'))
    with pytest.raises(RecordingError, match=r"meta\.json: not as it was recorded"):
        read_recording(copy)
    meta.unlink()
    with pytest.raises(RecordingError, match="no whole recording"):
        read_recording(copy)
