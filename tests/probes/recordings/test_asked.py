"""What a script asked for, and what surprises in it."""

from __future__ import annotations

import numpy as np
import pytest

from probes.recordings.asked import surprises
from probes.recordings.recording import EMPTY, Meta, Recording

PONG = {
    "meanings": ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"], "frameskip": 1,
    "sticky": 0.0, "pixels": [210, 160],
}  # fmt: skip


def _asked(name, arguments=None, game=None):
    made = {"id": name, "size": 4, "actions": 2, "arguments": arguments or {}, "game": game}
    meta = Meta.model_validate(
        {
            "format": 2, "ended": "", "place": "", "steps": 0, "processor_s": 0.0,
            "arguments": [], "environments": [made, made], "networks": [],
            "network_names": [], "optimizer_steps": [],
            "versions": {}, "notes": [], "weights_digests": [], "altered": 0, "tags": True,
            "num_states": 4,
        }
    )  # fmt: skip
    return Recording(meta, {key: np.zeros(shape) for key, shape in EMPTY.items()})


@pytest.mark.parametrize(
    ("name", "arguments", "game", "words"),
    [
        ("CartPole-v0", {}, None, ["CartPole-v1 has 500 steps"]),
        ("CartPole-v1", {"render_mode": "human"}, None, ["drawn in a window"]),
        ("ALE/Pong-v5", {}, PONG | {"sticky": 0.25}, ["with probability 0.25"]),
        ("Pong-v0", {}, PONG | {"frameskip": (2, 5)}, ["2 to 4 frames a step", "ALE/Pong-v5"]),
        ("ALE/Pong-v5", {}, PONG | {"frameskip": 4}, ["shows the last one alone"]),
        ("ALE/Pong-v5", {}, PONG | {"meanings": ["NOOP"] * 18}, ["all 18 actions"]),
    ],
)
def test_each_surprise_is_told_once(name, arguments, game, words):
    found = surprises(_asked(name, arguments, game))
    assert len(found) == len(words)
    for sentence, part in zip(found, words, strict=True):
        assert part in sentence


@pytest.mark.parametrize(("name", "game"), [("CartPole-v1", None), ("PongNoFrameskip-v4", PONG)])
def test_what_the_paper_did_is_no_surprise(name, game):
    assert surprises(_asked(name, game=game)) == []
