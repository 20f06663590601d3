"""A script, untouched: what is read off it, right and with faults, and what is said of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.__main__ import main
from probes.recordings.reading_world import reading_world
from probes.recordings.readings import readings
from probes.scripts.observed import Plan, Script, observe
from tests.probes.scripts.specimens import ARGUMENTS, OWN


def told(folder: Path, script: Path, **plan) -> dict[str, str]:
    """What is read off a script, by name."""
    steps = plan.pop("steps", 600)
    recording = observe(Script(script, OWN), Plan(steps, 120, reading_world(), **plan), folder)
    return {reading.name: reading.found for reading in readings(recording)}


# Edits of the specimen, and what gives each away.
FAULTS = {
    "mask-missing": (
        "* (1 - batch[\"terminated\"])", "",
        ("weight of the next value", "0.98 where it is terminated"),
    ),
    "limit-taken-for-an-end": (
        "reward[i], terminated[i])", "reward[i], terminated[i] or truncated[i])",
        ("weight of the next value", "0 where it is truncated"),
    ),
    "discount-squared": (
        "args.gamma * best", "args.gamma**2 * best",
        ("weight of the next value", "0.9604 where it goes on"),
    ),
    "online-bootstrap": (
        "best = target(", "best = online(", ("networks", "next values are its own"),
    ),
    "never-synced": (
        "updates % args.sync_period == 0", "updates < 0", ("target network", "never moved"),
    ),
    "minimum": (".max(dim=1)", ".min(dim=1)", ("next value", "the least of all actions")),
    "next-episode-stored": (
        "last = info[\"final_obs\"][i] if terminated[i] or truncated[i] else next_obs[i]",
        "last = next_obs[i]", ("weight of the next value", "0.98 where it goes on"),
    ),
    "rewards-clipped": (
        "batch[\"reward\"] +", "batch[\"reward\"].clamp(-1, 1) +",
        ("rewards are learned", "3 as 1"),
    ),
    "losses-summed": (
        "smooth_l1_loss(value, goal)", "smooth_l1_loss(value, goal, reduction='sum')",
        ("loss", "summed Huber"),
    ),
}  # fmt: skip
SAMPLE = ("mask-missing", "online-bootstrap", "rewards-clipped")


@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_fault_is_read_off(name, tmp_path):
    old, new, (line, words) = FAULTS[name]
    text = ARGUMENTS.read_text("utf-8")
    assert text.count(old) == 1
    script = tmp_path / "mine" / "train.py"
    script.parent.mkdir()
    script.write_text(text.replace(old, new))
    found = told(tmp_path / "seen", script)
    assert words in found[line], found


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("print('hello')", 4, "none was made"),
        ("import gymnasium\nenv = gymnasium.make('CartPole-v1')\nenv.reset()\n1 / 0", 4,
         "train.py broke at train.py:4: ZeroDivisionError"),
        ("import sys\nsys.exit('no data here')", 4, "none was made"),
        ("import os\nos.abort()", 4, "it was ended by SIGABRT"),
        ("input('name? ')", 4, "train.py broke at train.py:1: EOFError"),
    ],
)  # fmt: skip
def test_what_does_not_train_is_told_in_a_sentence(tmp_path, called, text, code, words):
    (tmp_path / "train.py").write_text(text)
    ended, out, errors = called(main, "script", str(tmp_path / "train.py"))
    assert ended == code, out + errors
    assert words in out + errors
    assert "observer" not in out + errors
