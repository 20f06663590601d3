"""`diff` and `trace` as commands: exit codes, refusals, other machines."""

from __future__ import annotations

import json
import os
import random  # noqa: TID251  # its state is kept and given back
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dqn_core.agent import Agent
from dqn_core.device import prepare_device
from dqn_core.train import TrainingRun
from probes.faults.catalogue import fault_named
from probes.subjects.core import Parts
from regression.__main__ import main
from regression.divergence.diff import compare_runs
from regression.divergence.rerun import Rerun, read_run
from regression.machine.device_classes import device_class
from reports.schema import ExitCode
from tests.dqn_core.small import small

FAULT = "no-terminal-mask"


class Nudged(Agent):
    """From an update on the weights are a little off."""

    late = 150

    def apply_gradients(self) -> None:
        super().apply_gradients()
        if self.updates + 1 == self.late:
            self.online_net.layers[0].weight.data[3, 1] *= 1.0 + 2.0**-20


def train(folder: Path, parts: Parts, *, seed: int = 0, windows: int = 20) -> Path:
    run = TrainingRun(parts.make_trainer(small(), seed, prepare_device("cpu")), folder)
    for count, _ in enumerate(run.windows(), start=1):
        if count == windows:
            break
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A healthy run, one with a planted fault, one nudged, and one of another seed."""
    folder = tmp_path_factory.mktemp("runs")
    train(folder / "healthy", Parts())
    train(folder / "faulty", fault_named(FAULT).parts)
    unit = {"key": {"fault": FAULT}, "fingerprint": {"torch version": "0.1", "device": "cpu"}}
    (folder / "faulty" / "unit.json").write_text(json.dumps(unit))
    train(folder / "nudged", Parts(agent=Nudged))
    train(folder / "other-seed", Parts(), seed=1, windows=1)
    return folder


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["regression", *map(str, arguments)])
        before = random.getstate()
        code = main()
        random.setstate(before)  # the parser of command lines draws from it
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return call


def test_equal_runs_exit_with_0(runs, command):
    code, text = command("diff", "--a", runs / "healthy", "--b", runs / "healthy")
    assert (code, text) == (ExitCode.OK, "The runs are equal, step 800.\n")


def test_a_fault_told_by_the_unit_is_planted_again_and_found_at_its_first_effect(runs, command):
    args = ("--a", runs / "healthy", "--b", runs / "faulty")
    code, text = command("diff", *args, "--json")
    found = json.loads(text)
    assert code == ExitCode.FAIL
    assert found["difference"]["event"] == "td target"
    assert found["suggests"].startswith("how the TD target is put together")
    assert found["parts"] == {
        "agent": ["dqn_core.agent.Agent", "probes.faults.td_target.NoTerminalMask"]
    }
    assert found["fingerprint"]["torch version"] == ["nothing", "0.1"]
    flip = found["flip"]
    assert flip["action_a"] != flip["action_b"]
    assert flip["greedy_a"] == flip["greedy_b"] == True  # noqa: E712  # of JSON
    assert flip["distance_ulps"] > 0
    shown = command("diff", *args)
    assert shown[0] == ExitCode.FAIL
    for words in ("in 'td target'", "ulps apart", "first action", "Q-gap", "torch version"):
        assert words in shown[1]


TRAIN = """
import sys
from pathlib import Path
from tests.regression.commands.test_diff import Parts, train
train(Path(sys.argv[1]), Parts(), windows=3)
"""


def test_runs_of_two_instruction_sets_are_traced_again_each_in_its_own(tmp_path, command):
    for name in ("cpu-avx2", "cpu-sse4"):
        unit = tmp_path / name / f"small-{name}-seed-0"
        subprocess.run(
            [sys.executable, "-c", TRAIN, unit],
            env=os.environ | device_class(name).environment,
            check=True,
        )
        key = {"recipe": "small", "seed": 0, "device": name, "fault": ""}
        (unit / "unit.json").write_text(json.dumps({"key": key}))
    args = ("--a", tmp_path / "cpu-avx2", "--b", tmp_path / "cpu-sse4", "--json")
    code, text = command("diff", *args)
    found = json.loads(text)
    assert code == ExitCode.FAIL
    # Both were reproduced, though the process that compares them is of neither class.
    assert not [note for note in found["notes"] if "re-run" in note]
    assert 0 < found["difference"]["ulps"] <= found["difference"]["max_ulps"]


def test_runs_of_several_seeds_are_compared_by_unit(runs, command, tmp_path):
    for name, unit in (("x", "healthy"), ("y", "faulty")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cartpole-cpu-seed-0").symlink_to(runs / unit)
    code, text = command("diff", "--a", tmp_path / "x", "--b", tmp_path / "y", "--json")
    assert code == ExitCode.FAIL
    assert json.loads(text)["b"] == str(tmp_path / "y" / "cartpole-cpu-seed-0")


def test_other_seeds_and_folders_without_a_trace_are_refused(runs, command, tmp_path):
    code, text = command("diff", "--a", runs / "healthy", "--b", runs / "other-seed")
    assert code == ExitCode.USAGE
    assert "never meant to be equal; they differ in\n  seed: 0 in A, 1 in B" in text
    code, text = command("diff", "--a", runs / "healthy", "--b", tmp_path)
    assert code == ExitCode.INFRA
    assert "no trace can be read" in text


def test_a_run_that_is_not_reproduced_here_is_said_so_and_its_windows_can_be_compared(
    runs, command, tmp_path
):
    """Without its parts the nudged run is a run of another machine."""
    code, text = command("diff", "--a", runs / "healthy", "--b", runs / "nudged", "--json")
    found = json.loads(text)
    assert code == ExitCode.FAIL
    assert (found["difference"], found["row_step"], found["row_events"]) == (None, 360, ["weights"])
    assert found["notes"][0].startswith("B cannot be reproduced here: from step 352 on")
    assert found["notes"][1].startswith("Run again here, both go the same way")
    for name, run in (("a", "healthy"), ("b", "nudged")):
        arguments = found["commands"][0 if name == "a" else 1].split()[1:-1]
        assert str(runs / run) in arguments
        assert command(*arguments, tmp_path / name)[0] == ExitCode.OK
    code, text = command("diff", "--a", tmp_path / "a", "--b", tmp_path / "b", "--json")
    compared = json.loads(text)
    assert (code, compared["equal"]) == (ExitCode.OK, True)  # both were traced here
    assert compared["notes"] == [
        "B is a window of a re-run that does not have the digests of its run"
    ]


def test_runs_are_run_again_from_the_last_checkpoint_they_share(tmp_path, monkeypatch):
    begun: list[int] = []

    class Watched(Rerun):
        def blocks(self):
            begun.append(self.trainer.step)
            return super().blocks()

    monkeypatch.setattr("regression.divergence.diff.Rerun", Watched)
    for late, start in ((200, 400), (150, 0)):
        one = train(tmp_path / f"one-{late}", Parts(), windows=12)
        parts = Parts(agent=type("Late", (Nudged,), {"late": late}))
        other = train(tmp_path / f"other-{late}", parts, windows=12)
        assert [path.name for path in (one / "checkpoints").iterdir()] == ["step_000000400"]
        found = compare_runs(read_run(one), replace(read_run(other), parts=parts))
        assert found.difference.update == late
        # Parted before the checkpoint, from the start: its content counts, not its step.
        assert begun == [start, start]
        begun.clear()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from-step", 8, "--until-step", 8), "expected 0 <= from_step < until_step <= 800"),
        (("--from-step", 0, "--until-step", 801), "expected 0 <= from_step < until_step <= 800"),
    ],
)
def test_windows_outside_the_run_are_refused(runs, command, tmp_path, arguments, words):
    code, text = command("trace", "--run", runs / "healthy", *arguments, "--into", tmp_path / "w")
    assert (code, words in text, (tmp_path / "w").exists()) == (ExitCode.USAGE, True, False)
