"""Checkpoints: a directory of safetensors and JSON under a manifest of hashes.

A checkpoint is taken at a segment boundary, where weights, optimizer, replay memory and counters
are all there is to a run. It is written aside and renamed, so it exists completely or not at all;
it is verified before any of it is used; and nothing in it can execute code.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor

from dqn_core.agent import Agent
from dqn_core.files import commit_folder
from dqn_core.loop import Trainer
from dqn_core.names import dotted
from dqn_core.optimizers import load_optimizer_tensors, optimizer_tensors
from dqn_core.recipes.schema import Recipe

FORMAT: Final = 1
STATE, WEIGHTS, OPTIMIZER, REPLAY, MANIFEST = (
    "state.json",
    "weights.safetensors",
    "optimizer.safetensors",
    "replay.safetensors",
    "manifest.json",
)


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written, is damaged, or belongs to another run."""


def save_checkpoint(trainer: Trainer, folder: Path, progress: dict[str, Any]) -> None:
    """Writes the whole state of a run that stands at a segment boundary.

    Args:
        trainer: the run.
        folder: must not exist; its parent must.
        progress: what the caller wants to find again, JSON values only.

    Raises:
        CheckpointError: if the run is inside a segment, or the folder cannot be written.
    """
    if trainer.step % trainer.recipe.loop.segment_steps:
        raise CheckpointError(
            f"checkpoint at step {trainer.step}: expected a multiple of loop.segment_steps = "
            f"{trainer.recipe.loop.segment_steps}"
        )
    agent = trainer.agent
    scheduler = agent.scheduler.state_dict() if agent.scheduler is not None else {}
    state = _state(trainer, "checkpoint") | {
        "updates": agent.updates,
        "learning_rate": agent.learning_rate,
        "scheduler": scheduler,
        "progress": progress,
    }
    files = {
        STATE: json.dumps(state, indent=1).encode(),
        WEIGHTS: _packed(_networks(agent)),
        OPTIMIZER: _packed(optimizer_tensors(agent.optimizer)),
        REPLAY: safetensors.numpy.save(trainer.replay.state()),
    }
    _commit(files, folder)


def save_model(trainer: Trainer, folder: Path) -> None:
    """Writes the online network alone, as `load_model` reads it; see `save_checkpoint`."""
    files = {
        STATE: json.dumps(_state(trainer, "model"), indent=1).encode(),
        WEIGHTS: _packed(_online(trainer.agent)),
    }
    _commit(files, folder)


def checkpoint_bytes(trainer: Trainer) -> int:
    """The most bytes that a checkpoint of this run can take on disk, from shapes alone."""
    loop, empty = trainer.recipe.loop, trainer.replay.state()
    # An episode of n steps takes n + 1 rows.
    rows = min(trainer.replay.rows * loop.num_envs, 2 * loop.total_steps)
    row_bytes = sum(
        array.itemsize * math.prod(array.shape[2:]) for array in empty.values() if array.ndim > 1
    )
    tensors = [*_networks(trainer.agent).values(), *_online(trainer.agent).values()] * 2
    return rows * row_bytes + sum(t.nelement() * t.element_size() for t in tensors) + 2**20


def load_checkpoint(trainer: Trainer, folder: Path) -> dict[str, Any]:
    """Brings a freshly made run to the state of a checkpoint.

    Args:
        trainer: of the same recipe and seed, at step 0.
        folder: from `save_checkpoint`.

    Returns:
        The `progress` that was saved.

    Raises:
        CheckpointError: if anything is missing, damaged, or of another run; the run is then
            untouched.
    """
    files = _verified(folder)
    state = _read_state(files, folder)
    if state["kind"] != "checkpoint":
        raise CheckpointError(f"{folder} holds only a model; expected a checkpoint to resume from")
    _require_same_run(state, trainer, folder)
    try:
        weights = safetensors.torch.load(files[WEIGHTS])
        moments = safetensors.torch.load(files[OPTIMIZER])
        rows = safetensors.numpy.load(files[REPLAY])
        trainer.replay.load_state(rows)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"checkpoint {folder} does not fit: {error}") from error
    agent = trainer.agent
    with torch.no_grad():
        for name, tensor in _networks(agent).items():
            tensor.copy_(weights[name])
    load_optimizer_tensors(agent.optimizer, moments)
    agent.optimizer.param_groups[0]["lr"] = state["learning_rate"]
    if agent.scheduler is not None:
        agent.scheduler.load_state_dict(state["scheduler"])
    agent.updates = state["updates"]
    trainer.step = state["step"]
    progress: dict[str, Any] = state["progress"]
    return progress


def load_model(folder: Path, device: torch.device) -> Trainer:
    """A run whose online network is that of a checkpoint or saved model; for playing only.

    Raises:
        CheckpointError: if anything is missing or damaged.
    """
    files = _verified(folder)
    state = _read_state(files, folder)
    recipe = Recipe.model_validate(state["recipe"])
    # Nothing is replayed while playing: the smallest memory will do.
    rows = (recipe.frame_stack + 2) * recipe.loop.num_envs
    replay = recipe.replay.model_copy(update={"capacity_rows": rows})
    trainer = Trainer(recipe.model_copy(update={"replay": replay}), state["seed"], device)
    weights = safetensors.torch.load(files[WEIGHTS])
    with torch.no_grad():
        for name, tensor in _online(trainer.agent).items():
            tensor.copy_(weights[name])
    return trainer


def _online(agent: Agent) -> dict[str, Tensor]:
    return {f"online.{k}": v for k, v in agent.online_net.state_dict().items()}


def _networks(agent: Agent) -> dict[str, Tensor]:
    return _online(agent) | {f"target.{k}": v for k, v in agent.target_net.state_dict().items()}


def _packed(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as stored: contiguous, whatever their layout in memory."""
    return safetensors.torch.save({k: v.contiguous() for k, v in tensors.items()})


def _state(trainer: Trainer, kind: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": kind,
        "recipe": trainer.recipe.model_dump(mode="json"),
        "seed": trainer.seed,
        "step": trainer.step,
    }


def _commit(files: dict[str, bytes], folder: Path) -> None:
    """Makes the directory of the files and their manifest, all or nothing."""
    manifest = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    try:
        commit_folder(files | {MANIFEST: json.dumps(manifest, indent=1).encode()}, folder)
    except OSError as error:
        raise CheckpointError(
            f"checkpoint {folder} could not be written: {error}\n"
            f"  next      make room or fix permissions; what was there before is untouched"
        ) from error


def _verified(folder: Path) -> dict[str, bytes]:
    """The files of a checkpoint, after comparing each with the manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {name: (folder / name).read_bytes() for name in manifest if "/" not in name}
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder} is not a complete checkpoint: {error}\n"
            f"  expected  a directory with a readable {MANIFEST} and the files it names"
        ) from error
    for name, data in files.items():
        actual = hashlib.sha256(data).hexdigest()
        if actual != manifest[name]:
            raise CheckpointError(
                f"checkpoint {folder} is damaged\n"
                f"  where     {name}, {len(data)} bytes\n"
                f"  expected  sha256 {manifest[name]}\n"
                f"  actual    sha256 {actual}\n"
                "  next      use an earlier checkpoint, or train again from the start"
            )
    return files


def _read_state(files: dict[str, bytes], folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(files.get(STATE, b"{}"))
    if state.get("format") != FORMAT or WEIGHTS not in files:
        raise CheckpointError(
            f"checkpoint {folder}: expected format {FORMAT} with {WEIGHTS}, "
            f"got format {state.get('format')} with {', '.join(sorted(files))}"
        )
    return state


def _require_same_run(state: dict[str, Any], trainer: Trainer, folder: Path) -> None:
    mine = dotted(trainer.recipe.model_dump(mode="json")) | {"seed": trainer.seed}
    theirs = dotted(state["recipe"]) | {"seed": state["seed"]}
    differing = [
        f"{key}: {theirs.get(key)!r} in the checkpoint, {mine.get(key)!r} here"
        for key in sorted(mine.keys() | theirs.keys())
        if mine.get(key) != theirs.get(key)
    ]
    if differing:
        head = f"checkpoint {folder} belongs to another run; they differ in"
        way_out = "next      use the recipe and seed of the checkpoint, or another run folder"
        raise CheckpointError("\n  ".join([head, *differing, way_out]))
