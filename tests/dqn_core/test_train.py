"""Training with a folder: resuming, kills, damage, and what a person sees."""

from __future__ import annotations

import math
import os
import random  # noqa: TID251  # a generator of the test's own picks the bits to flip
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dqn_core.checkpoint import CheckpointError, load_model, save_checkpoint
from dqn_core.train import CurveError, RunFolderError, TrainingRun
from tests.dqn_core.small import CPU, files, small, small_pong, trainer

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


def finish(
    recipe, folder: Path, *, resume: bool = False, windows: int | None = None
) -> TrainingRun:
    """Trains to the end, or walks away after some windows as a killed process would."""
    run = TrainingRun(trainer(recipe), folder, resume=resume)
    for count, _ in enumerate(run.windows(), start=1):
        if count == windows:
            break
    return run


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


def checkpoint_of(folder: Path) -> Path:
    finish(small(), folder, windows=5)
    return folder / "checkpoints" / "step_000000200"


def test_any_flipped_bit_is_found_before_anything_is_loaded(tmp_path):
    checkpoint = checkpoint_of(tmp_path)
    names = sorted(path.name for path in checkpoint.iterdir())
    assert len(names) == 5
    pick = random.Random(0)
    for name in names:
        path = checkpoint / name
        healthy = path.read_bytes()
        for position in {0, len(healthy) // 2, len(healthy) - 1, pick.randrange(len(healthy))}:
            damaged = bytearray(healthy)
            damaged[position] ^= 1 << pick.randrange(8)
            path.write_bytes(bytes(damaged))
            fresh = trainer(small())
            before = fresh.agent.weights_digest()
            with pytest.raises(CheckpointError, match=r"damaged|not a complete checkpoint"):
                TrainingRun(fresh, tmp_path, resume=True)
            assert (fresh.agent.weights_digest(), len(fresh.replay)) == (before, 0)
        path.write_bytes(healthy)
    finish(small(), tmp_path, resume=True)


def test_a_missing_or_truncated_file_is_found(tmp_path):
    checkpoint = checkpoint_of(tmp_path)
    weights = checkpoint / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"damaged(.|\n)*weights\.safetensors(.|\n)*next"):
        finish(small(), tmp_path, resume=True)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"not a complete checkpoint"):
        finish(small(), tmp_path, resume=True)


def test_a_checkpoint_of_another_recipe_or_seed_names_the_differences(tmp_path):
    checkpoint_of(tmp_path)
    other = small(td={"gamma": 0.5}, replay={"batch_size": 8})
    with pytest.raises(CheckpointError, match=r"td\.gamma: 0\.99 in the checkpoint, 0\.5 here"):
        finish(other, tmp_path, resume=True)
    with pytest.raises(CheckpointError, match=r"seed: 0 in the checkpoint, 3 here"):
        TrainingRun(trainer(small(), seed=3), tmp_path, resume=True)


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


def test_a_failing_write_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    checkpoint = checkpoint_of(tmp_path)
    before = files(checkpoint)

    def no_space(path: Path) -> None:
        if path.name.startswith(".step_"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("dqn_core.files.sync", no_space)
    with pytest.raises(CheckpointError, match=r"could not be written(.|\n)*No space left"):
        finish(small(), tmp_path, resume=True)
    monkeypatch.undo()
    assert files(checkpoint) == before
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == [checkpoint.name]


def test_what_a_writer_killed_while_saving_left_aside_is_no_obstacle(tmp_path):
    run = finish(small(), tmp_path / "killed", windows=6)
    (tmp_path / "killed" / "checkpoints" / ".step_000000400.partial").mkdir()
    assert run.trainer.step == 240
    finish(small(), tmp_path / "killed", resume=True)
    finish(small(), tmp_path / "unbroken")
    assert files(tmp_path / "killed") == files(tmp_path / "unbroken")


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


def test_checkpoints_belong_to_segment_boundaries(tmp_path):
    made = trainer(small())
    next(made.blocks())
    with pytest.raises(CheckpointError, match=r"expected a multiple of loop.segment_steps = 200"):
        save_checkpoint(made, tmp_path / "c", {})


def test_the_best_model_carries_its_return_in_its_name_and_can_be_played(tmp_path):
    run = finish(small(evaluation={"rolling_episodes": 2}), tmp_path)
    (best,) = (tmp_path / "best").iterdir()
    _, total, _, step = best.name.split("_")
    rows = (tmp_path / "curve.csv").read_text().splitlines()
    header = rows[0].split(",")
    rolling = {
        int(row.split(",")[0]): float(row.split(",")[header.index("rolling_return")])
        for row in rows[1:]
    }
    assert float(total) == pytest.approx(
        max(v for v in rolling.values() if not math.isnan(v)), abs=5e-4
    )
    assert rolling[int(step)] == pytest.approx(float(total), abs=5e-4)
    loaded = load_model(best, CPU)
    last = load_model(tmp_path / "checkpoints" / "step_000000800", CPU)
    for mine, trained in zip(
        last.agent.online_net.parameters(), run.trainer.agent.online_net.parameters(), strict=True
    ):
        assert torch.equal(mine, trained)
    assert loaded.step == 0
    with pytest.raises(CheckpointError, match=r"damaged|complete"):
        load_model(tmp_path / "best", CPU)


def test_a_model_is_no_checkpoint(tmp_path):
    finish(small(evaluation={"rolling_episodes": 2}), tmp_path)
    (best,) = (tmp_path / "best").iterdir()
    best.rename(tmp_path / "checkpoints" / "step_000000900")
    with pytest.raises(CheckpointError, match=r"holds only a model"):
        finish(small(evaluation={"rolling_episodes": 2}), tmp_path, resume=True)
