"""`python -m dqn_core` as a person uses it, and its errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dqn_core.__main__ as program
from dqn_core.cuda_graphs import CaptureError
from tests.dqn_core.small import small, toml

ROOT = Path(__file__).parents[2]


def dqn_core(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dqn_core", *arguments],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_train_then_resume_then_play(tmp_path):
    recipe = toml(small(), tmp_path / "mine.toml")
    trained = dqn_core(tmp_path, "train", "--recipe", recipe.name, "--seed", "3")
    assert trained.returncode == 0, trained.stderr
    assert "cartpole, seed 3, cpu: episode return" in trained.stdout
    assert "800 / 800 steps  100 %" in trained.stdout
    assert "0:00:00 left  return" in trained.stdout
    folder = tmp_path / "runs" / "cartpole-seed3"
    again = dqn_core(tmp_path, "train", "--recipe", recipe.name, "--seed", "3")
    assert (again.returncode, "already holds a run" in again.stderr) == (3, True)
    resumed = dqn_core(tmp_path, "train", "--recipe", recipe.name, "--seed", "3", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    digest = trained.stdout.split("weights digest ")[1][:8]
    assert f"weights digest {digest}" in resumed.stdout
    (best,) = (folder / "best").iterdir()
    played = dqn_core(tmp_path, "play", str(best), "--episodes", "2")
    assert played.returncode == 0, played.stderr
    assert played.stdout.startswith("episode 1: return ")
    assert "episode 2: return " in played.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--recipe", "cartpol"], 4, "unknown recipe 'cartpol'"),
        (["train", "--seed", "x"], 4, ""),
        (["train", "--seed", "-1"], 4, "must not be negative"),
        (["train", "--device", "tpu"], 4, "unknown device 'tpu'"),
        (["train", "--resume"], 3, "there is no checkpoint"),
        (["play", "nowhere"], 4, "nowhere is not a complete checkpoint"),
        (["play", "nowhere", "--video", "episode.avi"], 4, "a name that ends in .mp4 or .gif"),
        (["dance"], 4, ""),
    ],
)
def test_errors_are_plain_and_have_their_code(
    tmp_path, monkeypatch, called, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    ended, _, told = called(program.main, *arguments)
    assert ended == code
    assert message in told


def test_a_process_of_its_own_tells_them_too(tmp_path):
    ran = dqn_core(tmp_path, "train", "--recipe", "cartpol")
    assert ran.returncode == 4, ran.stderr
    assert ran.stderr.startswith("error: unknown recipe 'cartpol'")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. If reserved ..."),
            "error: the GPU ran out",
        ),
        (CaptureError("could not be recorded"), "error: could not be recorded"),
    ],
    ids=["memory", "capture"],
)
def test_what_a_gpu_refuses_is_told_plainly(tmp_path, monkeypatch, called, error, message):
    # As the command would meet it; there is no GPU to fill in most places where this is tested.
    def refuse(*_):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "Trainer", refuse)
    ended, _, told = called(program.main, "train")
    assert ended == 3
    assert message in told
