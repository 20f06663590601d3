"""`python -m dqn_core` as a person uses it, and its errors."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from dqn_core.device import DeviceError, prepare_device
from dqn_core.progress import Progress
from dqn_core.video import Player, VideoError, require_video, write_video
from tests.dqn_core.small import small, small_pong, toml, trainer

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
def test_errors_are_plain_and_have_their_code(tmp_path, arguments, code, message):
    ran = dqn_core(tmp_path, *arguments)
    assert ran.returncode == code, ran.stderr
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_device_that_is_not_there_is_never_replaced_by_another():
    count = torch.cuda.device_count()
    with pytest.raises(DeviceError, match=rf"cuda:{count} is not available") as refused:
        prepare_device(f"cuda:{count}")
    if not torch.backends.cuda.is_built():
        assert "reason    Torch not compiled with CUDA enabled" in str(refused.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("torch.OutOfMemoryError('CUDA out of memory. If reserved ...')", "error: the GPU ran out"),
        ("CaptureError('could not be recorded')", "error: could not be recorded"),
    ],
)
def test_what_a_gpu_refuses_is_told_plainly(tmp_path, error, message):
    # As the command would meet it; there is no GPU to fill in most places where this is tested.
    code = f"""
import sys, torch
import dqn_core.__main__ as program
from dqn_core.cuda_graphs import CaptureError

def refuse(*_):
    raise {error}

program.Trainer = refuse
sys.argv[1:] = ["train"]
sys.exit(program.main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_preparing_a_device_fixes_threads_and_kernels():
    assert prepare_device("cpu") == torch.device("cpu")
    assert torch.tensor(1e-39) * 0.5 == 0  # a denormal number, flushed
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


def test_only_a_recipe_that_declares_it_is_multiplied_in_tf32():
    flags = []
    for precision in ("tf32", "bf16", "float32"):
        prepare_device("cpu", precision)
        flags.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
    assert flags == [(True, True), (False, False), (False, False)]


def test_a_gpu_gets_the_workspace_that_makes_products_repeatable(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # what is set here is forgotten
    prepare_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
    prepare_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"  # the user's choice stays


# imageio leaves the closing of its pipes to ffmpeg to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_video_of_an_episode(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    imageio = pytest.importorskip("imageio.v3")
    player = Player(trainer(small()), seed=1, record=True)
    total, length, frames = player.play()
    assert total == length == len(frames)
    assert frames[0].shape == (400, 600, 3)
    # A GIF shows a repeated picture once, for longer.
    distinct = 1 + sum((a != b).any() for a, b in pairwise(frames))
    for name, count in (("episode.gif", distinct), ("episode.mp4", len(frames))):
        require_video(tmp_path / name)
        write_video(tmp_path / name, frames, frames_per_second=30)
        assert imageio.imread(tmp_path / name).shape == (count, 400, 600, 3)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.atari
def test_a_video_shows_what_the_agent_sees(tmp_path):
    imageio = pytest.importorskip("imageio.v3")
    _, length, frames = Player(trainer(small_pong()), seed=0, record=True).play()
    assert (len(frames), frames[0].shape) == (length, (32, 32))
    write_video(tmp_path / "rally.gif", frames, frames_per_second=30)
    # Enlarged by a whole factor until the smaller side has 320 pixels.
    first = imageio.imread(tmp_path / "rally.gif")[0, ..., 0]
    np.testing.assert_array_equal(first[::10, ::10] > 0, frames[0] > 0)


def test_videos_that_could_not_be_written_are_refused_first(tmp_path, monkeypatch):
    with pytest.raises(VideoError, match="there is no folder"):
        require_video(tmp_path / "nowhere" / "episode.mp4")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(VideoError, match=r"pip install 'dqn-harness\[video\]'"):
        require_video(tmp_path / "episode.mp4")


def test_progress_in_a_pipe_is_a_heartbeat_and_on_a_terminal_a_live_line(monkeypatch):
    from io import StringIO

    from rich.console import Console

    clock = iter(range(0, 1_000, 4))
    monkeypatch.setattr("dqn_core.progress.time.monotonic", lambda: next(clock))
    pipe = StringIO()
    with Progress(100, 0, Console(file=pipe, width=120)) as progress:
        for step in range(10, 101, 10):
            progress.show(step, "fine")
    lines = pipe.getvalue().splitlines()
    # One every 15 seconds of the fake clock, and the last one.
    assert len(lines) == 3
    assert "100 / 100 steps  100 %" in lines[-1]
    terminal = StringIO()
    console = Console(file=terminal, force_terminal=True, width=120)
    with Progress(100, 0, console) as progress:
        progress.show(50, "fine")
    assert "50 / 100 steps" in terminal.getvalue()
