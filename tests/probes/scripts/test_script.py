"""A script, untouched: faults planted in it are read off, and what does not train is told plainly.

`SCRIPTS=every` (`make scripts`) plants every fault; the ordinary tests a sample of them.
"""

from __future__ import annotations

import os

import pytest

from probes.__main__ import main
from probes.recordings.facts import Facts
from probes.recordings.judging import ADVISED, JUDGED, judged
from probes.recordings.readings import readings
from reports.schema import FindingStatus
from tests.probes.scripts.planted import PLANTED, planted
from tests.probes.scripts.specimens import ARGUMENTS, CONSTANTS, FRAMES, recorded_run

ALL = [(script, name) for script, faults in PLANTED.items() for name in faults]
SAMPLE = [
    (ARGUMENTS, "mask-missing"),
    (CONSTANTS, "double-exchanged"),
    (FRAMES, "last-reward-alone"),
]
FEWEST = 12  # faults in each script


@pytest.mark.parametrize(
    ("script", "name"),
    ALL if os.environ.get("SCRIPTS") == "every" else SAMPLE,
    ids=lambda part: getattr(part, "stem", part),
)
def test_a_planted_fault_is_read_off(script, name, tmp_path):
    fault = PLANTED[script][name]
    copy = planted(script, fault, tmp_path / "mine")
    recording = recorded_run(copy, tmp_path / "seen")
    facts = Facts(recording)
    found = {reading.name: reading.found for reading in readings(facts)}
    red = {
        one.check
        for one in judged(facts)
        if one.status is FindingStatus.RED
        or (one.check in ADVISED and one.status is FindingStatus.ADVICE)
    }
    assert fault.code in red if fault.code else not red, (red, found)
    assert fault.words in found[fault.line], found


def test_every_check_of_recordings_has_a_fault_that_turns_it_red():
    assert JUDGED.keys() == {
        fault.code for faults in PLANTED.values() for fault in faults.values()
    } - {""}
    for script, faults in PLANTED.items():
        assert sum(bool(fault.code) for fault in faults.values()) >= FEWEST, script


TWO_TRAINED = """
import gymnasium, torch
env = gymnasium.make("CartPole-v1")
first, second = (torch.nn.Sequential(torch.nn.Linear(4, 2)) for _ in range(2))
rows = [env.reset()[0]]
for _ in range(100):
    rows.append(env.step(0)[0])
    for network in (first, second):
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        values = network(torch.as_tensor(rows[-2:]))
        optimizer.zero_grad()
        values.mean().backward()
        optimizer.step()
"""


def test_which_network_is_meant_is_asked_where_several_are_trained(tmp_path, called):
    (tmp_path / "train.py").write_text(TWO_TRAINED)
    words = ("script", str(tmp_path / "train.py"), "--updates", "0")
    ended, out, errors = called(main, *words)
    assert ended == 4
    assert "several networks are trained: first (100 updates), second (100 updates)" in out + errors
    ended, out, _ = called(main, *words, "--online", "second")
    assert "second is trained" in out
    ended, out, errors = called(main, *words, "--online", "third")
    assert ended == 4
    assert "expected a network of first" in out + errors


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("print('hello')", 4, "none was made"),
        ("import gymnasium\nenv = gymnasium.make('CartPole-v1')\nenv.reset()\n1 / 0", 4,
         "train.py broke at train.py:4: ZeroDivisionError"),
        ("import sys\nsys.exit('no data here')", 4, "none was made"),
        ("import os\nos.abort()", 4, "it was ended by SIGABRT"),
        ("import os, gymnasium\nif os.fork() == 0:\n    env = gymnasium.make('CartPole-v1')\n"
         "    env.reset()\n    env.step(0)\n    raise SystemExit\nos.wait()", 4,
         "no environment by gymnasium.make or gym.make in its own process"),
        ("import gymnasium\nenv = gymnasium.make('CartPole-v1')\nmin_memory = 7_000\n"
         "while True:\n    env.reset()\n    env.step(0)", 4, "min_memory 7,000 (train.py:3)"),
        ("import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--game', "
         "required=True)\nparser.parse_args()", 4, "give it the arguments with which it trains"),
        ("input('name? ')", 4, "train.py broke at train.py:1: EOFError"),
    ],
)  # fmt: skip
def test_what_does_not_train_is_told_in_a_sentence(tmp_path, called, text, code, words):
    (tmp_path / "train.py").write_text(text)
    ended, out, errors = called(main, "script", str(tmp_path / "train.py"))
    assert ended == code, out + errors
    assert words in out + errors
    assert "observer" not in out + errors


def test_a_kept_recording_is_judged_again_without_running_anything(tmp_path, called):
    fault = PLANTED[CONSTANTS]["limit-taken-for-an-end"]
    recorded_run(planted(CONSTANTS, fault, tmp_path / "mine"), tmp_path / "seen")
    ended, out, _ = called(main, "script", str(tmp_path / "seen" / "recording"))
    assert ended == 1
    assert "constants.py does" in out
    assert "termination.time-limit-is-no-end" in out
    (tmp_path / "seen" / "recording" / "meta.json").write_bytes(b"{}")
    ended, out, errors = called(main, "script", str(tmp_path / "seen" / "recording"))
    assert ended == 4
    assert "not as it was recorded" in out + errors
