"""One unit of work in a process of its own: a recipe and a seed, trained into a folder.

Reports `{"step": ..., "episode_return": ...}` as a line of JSON for each window.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tyro

from dqn_core.device import prepare_device
from dqn_core.recipe_file import load_recipe
from dqn_core.train import TrainingRun
from probes.faults.catalogue import fault_named
from probes.subjects.core import Parts


def unit(recipe: str, seed: int, device: str, folder: Path, fault: str = "") -> None:
    """Trains to the end.

    Args:
        recipe: name, or path ending in .toml.
        seed: of the run.
        device: where to run.
        folder: must not hold a run yet.
        fault: to plant in the agent, or "".
    """
    parts = fault_named(fault).parts if fault else Parts()
    trainer = parts.make_trainer(load_recipe(recipe), seed, prepare_device(device))
    for window in TrainingRun(trainer, folder, checkpoints=False).windows():
        report = {"step": window.step, "episode_return": window.episode_return}
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    tyro.cli(unit)
