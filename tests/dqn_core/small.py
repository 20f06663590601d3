"""Runs cut down for tests: the same recipes, a few hundred steps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dqn_core.loop import Trainer
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe
from dqn_core.records import BlockRecord
from dqn_core.train import TrainingRun

CPU = torch.device("cpu")


def small(name: str = "cartpole", **sections: dict[str, Any]) -> Recipe:
    """A recipe of four segments of 200 steps that learns from step 64 on."""
    values = load_recipe(name).model_dump()
    changes: dict[str, dict[str, Any]] = {
        "loop": {
            "total_steps": 800, "segment_steps": 200, "window_steps": 40, "block_steps": 8,
            "sync_period_updates": 20,
        },
        "replay": {"capacity_rows": 600, "warmup_steps": 64, "batch_size": 16},
        "exploration": {"decay_steps": 400},
        "evaluation": {"period_steps": 200, "episodes": 2, "num_envs": 2, "rolling_episodes": 4},
    }  # fmt: skip
    for section, change in (*changes.items(), *sections.items()):
        values[section] |= change
    return Recipe.model_validate(values)


def small_pong(**sections: dict[str, Any]) -> Recipe:
    """Real Pong frames, short rallies."""
    env = {"episode_limit_steps": 30}
    # Making an emulator takes a tenth of a second.
    sections = {"loop": {"num_envs": 1}} | sections
    return small("pong-short", **({"env": env} | sections))


def trainer(recipe: Recipe, seed: int = 0) -> Trainer:
    """A fresh run."""
    return Trainer(recipe, seed, CPU)


def files(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def toml(recipe: Recipe, path: Path) -> Path:
    """A recipe as a file."""
    values = recipe.model_dump()
    lines = [f"{k} = {json.dumps(v)}" for k, v in values.items() if not isinstance(v, dict)]
    for section, content in values.items():
        if isinstance(content, dict):
            lines += [f"[{section}]", *(f"{k} = {json.dumps(v)}" for k, v in content.items())]
    path.write_text("\n".join(lines))
    return path


def run(recipe, seed: int = 0) -> tuple[list[BlockRecord], Trainer]:
    made = trainer(recipe, seed)
    return list(made.blocks()), made


def equal(one: BlockRecord, other: BlockRecord) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=isinstance(a, float))
        for a, b in zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True)
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


def checkpoint_of(folder: Path) -> Path:
    finish(small(), folder, windows=5)
    return folder / "checkpoints" / "step_000000200"
