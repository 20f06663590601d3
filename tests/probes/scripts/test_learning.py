"""A script learns in worlds with solved values, and a fault in it is seen there, too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from probes.recordings.facts import Facts
from probes.recordings.solved import LEARNED_IN
from probes.scripts import learning
from probes.scripts.learning import findings_in_worlds
from probes.scripts.observed import Script
from tests.probes.scripts.planted import PLANTED, Planted, planted
from tests.probes.scripts.specimens import ARGUMENTS, OWN, recorded_run

TWO_ENDS = "world.two-ends.vector"


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("rewards-clipped", "green", "0.980 ± 0.1"),
        ("limit-taken-for-an-end", "red", "as if: time limit terminates"),
    ],
)
def test_values_are_held_against_those_of_what_the_script_does(
    fault, status, words, tmp_path, monkeypatch
):
    monkeypatch.setattr(learning, "LEARNED_IN", {TWO_ENDS: LEARNED_IN[TWO_ENDS]})
    monkeypatch.setattr(learning, "LONGER", 1)
    script = planted(ARGUMENTS, PLANTED[ARGUMENTS][fault], tmp_path / "mine")
    facts = Facts(recorded_run(script, tmp_path / "read"))
    said = []
    (found,) = findings_in_worlds(
        Script(script, OWN), facts, 600, 60, tmp_path / "worlds", said.append
    )
    assert (found.check, found.status.value) == (TWO_ENDS, status)
    assert words in found.expected + found.actual
    assert said == ["0 of 1 worlds"]


# What a bounded or rectified output, or another next value, does to each world.
LAST = "nn.Linear(64, actions))  # fmt: skip"
BOUNDED = "nn.Linear(64, actions), nn.Tanh())  # fmt: skip"
RECTIFIED = "nn.Linear(64, actions), nn.ReLU())  # fmt: skip"
OF_WORLDS = {
    "world.constant-reward.vector": (LAST, BOUNDED),
    "world.two-step-discounting.vector": (LAST, BOUNDED),
    "world.delayed-reward.vector": (LAST, BOUNDED),
    TWO_ENDS: (LAST, BOUNDED),
    "world.reward-by-observation.vector": (LAST, RECTIFIED),
    "world.reward-by-action.vector": (LAST, RECTIFIED),
    "world.reward-by-observation-and-action.vector": (LAST, RECTIFIED),
    "world.branching.vector": (".max(dim=1)", ".min(dim=1)"),
}


def test_each_world_has_a_fault_that_turns_it_red():
    assert OF_WORLDS.keys() == LEARNED_IN.keys()


@pytest.mark.parametrize(
    "code", OF_WORLDS if os.environ.get("SCRIPTS") == "every" else ["world.branching.vector"]
)
def test_a_fault_turns_its_world_red(code, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "LEARNED_IN", {code: LEARNED_IN[code]})
    monkeypatch.setattr(learning, "LONGER", 1)
    fault = Planted((("arguments.py", *OF_WORLDS[code]),), "", "", code)
    script = planted(ARGUMENTS, fault, tmp_path / "mine")
    facts = Facts(recorded_run(script, tmp_path / "read"))
    (found,) = findings_in_worlds(Script(script, OWN), facts, 800, 60, tmp_path / "w", print)
    assert (found.check, found.status.value) == (code, "red"), found.actual


def test_what_is_not_read_is_in_no_world(recorded_frames, tmp_path):
    found = list(findings_in_worlds(None, Facts(recorded_frames), 10, 1, tmp_path, print))
    assert {one.check for one in found} == LEARNED_IN.keys()
    assert {one.status.value for one in found} == {"skip"}
    assert "a game of frames is played" in found[0].actual


def test_an_interruption_ends_what_runs(tmp_path):
    shutil.copy2(ARGUMENTS, tmp_path)
    command = [sys.executable, "-m", "probes", "script", str(tmp_path / "arguments.py")]
    with subprocess.Popen(
        [*command, "--keep", str(tmp_path / "kept")], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("0 of "):
                process.send_signal(signal.SIGINT)
                break
        assert process.wait(30) == 2
    kept = str(tmp_path / "kept")
    left = [p for p in psutil.process_iter(["cmdline", "cwd"]) if kept in (p.info["cwd"] or "")]
    assert left == []
