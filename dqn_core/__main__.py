"""`python -m dqn_core`: train a recipe, play what was trained."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console

from dqn_core.checkpoint import CheckpointError, load_model
from dqn_core.cuda_graphs import CaptureError
from dqn_core.device import DeviceError, prepare_device
from dqn_core.envs.atari import AtariUnavailableError
from dqn_core.loop import Trainer
from dqn_core.memory_budget import ReplayMemoryError, out_of_memory_message
from dqn_core.progress import Progress
from dqn_core.recipes.file import load_recipe
from dqn_core.train import RunFolderError, TrainingRun
from dqn_core.video import Player, VideoError, require_video, write_video
from reports.command_line import run_command
from reports.schema import ExitCode


def train(
    recipe: str = "cartpole",
    seed: int = 0,
    device: str = "cpu",
    run_dir: Path | None = None,
    *,
    resume: bool = False,
) -> ExitCode:
    """Trains a recipe to its end, with checkpoints.

    Args:
        recipe: name of a recipe, or path of a .toml file.
        seed: of the run; with the recipe it determines every bit on one kind of machine.
        device: cpu, cuda or cuda:<index>.
        run_dir: where everything is kept; runs/<recipe>-seed<seed> if not given.
        resume: go on from the newest checkpoint in the run folder.
    """
    chosen = load_recipe(recipe)
    folder = run_dir or Path("runs") / f"{chosen.name}-seed{seed}"
    place = prepare_device(device, chosen.network.precision)
    run = TrainingRun(Trainer(chosen, seed, place), folder, resume=resume)
    console = Console()
    console.print(f"{chosen.name}, seed {seed}, {device}: {chosen.metric}; into {folder}")
    with Progress(chosen.loop.total_steps, run.trainer.step, console) as progress:
        for window in run.windows():
            progress.show(
                window.step,
                f"return {window.episode_return:.2f}  evaluation {window.rolling_return:.2f}  "
                f"epsilon {window.epsilon:.2f}  loss {window.loss:.4f}",
            )
    digest = run.trainer.agent.weights_digest()
    console.print(f"finished; weights digest {digest}; best model in {folder / 'best'}")
    return ExitCode.OK


def play(
    checkpoint: Annotated[Path, tyro.conf.Positional],
    episodes: int = 1,
    seed: int = 0,
    video: Path | None = None,
) -> ExitCode:
    """Plays episodes with a trained network, at the recipe's evaluation epsilon.

    Args:
        checkpoint: a folder under checkpoints/ or best/ of a run.
        episodes: how many.
        seed: of the first episode.
        video: write the last episode to this .mp4 or .gif (needs the extra `video`).
    """
    if video:
        require_video(video)
    trainer = load_model(checkpoint, prepare_device("cpu"))
    for index in range(episodes):
        last = index == episodes - 1
        player = Player(trainer, seed + index, record=bool(video) and last)
        total, length, frames = player.play()
        print(f"episode {index + 1}: return {total:g} in {length} steps")
        if video and last:
            write_video(video, frames, frames_per_second=30)
            print(f"wrote {video}: {len(frames)} frames")
    return ExitCode.OK


def main(words: Sequence[str] | None = None, called: str = "") -> int:
    """Runs a command line; returns the exit code.

    Args:
        words: of the command line; those of this process, if None.
        called: how the command is called, if not by `python -m`.
    """
    try:
        words = sys.argv[1:] if words is None else words
        return run_command({"train": train, "play": play}, words, "python -m dqn_core", called)
    except KeyboardInterrupt:
        print("interrupted; continue with --resume", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except torch.OutOfMemoryError as error:
        print(f"error: {out_of_memory_message(error)}", file=sys.stderr)
        return ExitCode.INFRA
    except (
        AtariUnavailableError,
        CaptureError,
        OSError,
        ReplayMemoryError,
        RunFolderError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.INFRA
    except (CheckpointError, DeviceError, ValueError, VideoError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE


if __name__ == "__main__":
    sys.exit(main())
