"""Training with a folder: resuming, kills, damage of curves, and what a person sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from dqn_core.train import CurveError, RunFolderError
from tests.dqn_core.small import checkpoint_of, files, finish, small, small_pong

PONG = pytest.param(small_pong(), marks=pytest.mark.atari, id="pong")
CARTPOLE = pytest.param(small(), id="cartpole")
CARTPOLE_SCHEDULED = pytest.param(
    small(
        learning_rate={"schedule": "exponential", "decay_steps": 700},
        optimizer={"kind": "adam", "eps": 1e-8},
        loop={"num_envs": 2, "overlap": True},
    ),
    id="cartpole-overlap",
)


@pytest.mark.parametrize("recipe", [CARTPOLE, CARTPOLE_SCHEDULED, PONG])
def test_a_resumed_run_equals_the_unbroken_one_bit_for_bit(recipe, tmp_path):
    unbroken = finish(recipe, tmp_path / "unbroken")
    finish(recipe, tmp_path / "broken", windows=13)  # within the third segment
    resumed = finish(recipe, tmp_path / "broken", resume=True)
    assert resumed.trainer.agent.updates == unbroken.trainer.agent.updates > 100
    assert files(tmp_path / "broken") == files(tmp_path / "unbroken")


KILLED = """
import sys, torch
from pathlib import Path
from dqn_core.train import TrainingRun
from tests.dqn_core.small import {make}, trainer
torch.set_num_threads(1)
run = TrainingRun(trainer({make}()), Path(sys.argv[1]))
for count, window in enumerate(run.windows(), start=1):
    print(window.step, flush=True)
"""


@pytest.mark.parametrize("make", ["small", pytest.param("small_pong", marks=pytest.mark.atari)])
def test_kill_minus_nine_then_resume_gives_the_bits_of_the_unbroken_run(make, tmp_path):
    recipe = {"small": small, "small_pong": small_pong}[make]()
    command = [sys.executable, "-c", KILLED.format(make=make), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 480:  # within the third of four segments
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL
    finish(recipe, tmp_path / "killed", resume=True)
    finish(recipe, tmp_path / "unbroken")
    assert files(tmp_path / "killed") == files(tmp_path / "unbroken")


def test_a_folder_that_holds_a_run_is_never_overwritten(tmp_path):
    finish(small(), tmp_path, windows=5)
    before = files(tmp_path)
    with pytest.raises(RunFolderError, match=r"already holds a run(.|\n)*--resume"):
        finish(small(), tmp_path)
    assert files(tmp_path) == before


def test_resuming_without_a_checkpoint_is_refused(tmp_path):
    finish(small(), tmp_path, windows=2)
    with pytest.raises(RunFolderError, match=r"there is no checkpoint"):
        finish(small(), tmp_path, resume=True)


def test_an_unwritable_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunFolderError, match=r"cannot be written(.|\n)*--run-dir"):
        finish(small(), tmp_path / "file" / "run")


@pytest.mark.parametrize("kept", ["", "one row", "older rows"])
def test_a_curve_that_lost_what_the_checkpoint_promises_is_refused(tmp_path, kept):
    checkpoint_of(tmp_path)
    curve = tmp_path / "curve.csv"
    text = curve.read_text()
    lost = {
        "": "",
        "one row": text[: text.index("\n40,") + 20],
        "older rows": text[: text.index("\n160,")],
    }
    curve.write_text(lost[kept])
    with pytest.raises(CurveError, match=r"is not the curve(.|\n)*expected(.|\n)*actual"):
        finish(small(), tmp_path, resume=True)


def test_a_curve_altered_before_the_checkpoint_is_refused(tmp_path):
    checkpoint_of(tmp_path)
    curve = tmp_path / "curve.csv"
    healthy = curve.read_bytes()
    place = healthy.index(b"\n80,") + 2
    curve.write_bytes(healthy[:place] + b"9" + healthy[place + 1 :])
    with pytest.raises(CurveError, match=r"curve\.csv is not the curve that step_000000200"):
        finish(small(), tmp_path, resume=True)
    # Whatever follows the checkpoint's step is trained again, torn or not.
    curve.write_bytes(healthy + b"240,torn")
    finish(small(), tmp_path, resume=True)
    finish(small(), tmp_path.with_name("unbroken"))
    assert files(tmp_path) == files(tmp_path.with_name("unbroken"))


def test_a_disk_that_takes_no_curve_leaves_a_folder_that_can_be_used(tmp_path, monkeypatch):
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dqn_core.train.csv.writer", no_space)
    with pytest.raises(RunFolderError, match=r"cannot be written(.|\n)*No space left"):
        finish(small(), tmp_path)
    monkeypatch.undo()
    finish(small(), tmp_path, windows=1)
