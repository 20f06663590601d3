"""A tiny training in a process of its own: does this machine repeat itself bit for bit?

    python -m regression.machine.selftest --device cpu

prints, as JSON, the digests of the weights and the fingerprint of the process that trained.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

import tyro

from dqn_core.device import prepare_device
from dqn_core.loop import Trainer
from dqn_core.processes import own_process
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe
from regression.machine.device_classes import DeviceClass
from regression.machine.fingerprint import fingerprint

SEED: Final = 0
ERROR_LINES: Final = 4
# CartPole cut down to some hundred updates of the recipe's own networks and batches.
LOOP: Final = {"total_steps": 512, "segment_steps": 256, "block_steps": 64, "window_steps": 64}
REPLAY: Final = {"capacity_rows": 1_024, "warmup_steps": 128}


class SelfTestError(RuntimeError):
    """The process that should have trained ended without a result."""


@dataclass(frozen=True)
class Observation:
    """What one process did.

    Attributes:
        digests: of the weights, one for each window of 64 steps.
        fingerprint: of the process, in one table.
    """

    digests: list[str]
    fingerprint: dict[str, str]


def tiny_recipe() -> Recipe:
    """CartPole for 512 steps, 192 updates."""
    values: dict[str, Any] = load_recipe("cartpole").model_dump()
    values["name"] = "selftest"
    values["loop"] |= LOOP
    values["replay"] |= REPLAY
    values["evaluation"] |= {"period_steps": 512, "rolling_episodes": 10}
    return Recipe.model_validate(values)


def observe(device: str) -> Observation:
    """Trains here and now.

    Args:
        device: "cpu", "cuda" or "cuda:<index>".
    """
    recipe = tiny_recipe()
    facts = fingerprint(device, recipe)
    trainer = Trainer(recipe, SEED, prepare_device(device))
    digests = [block.weights_digest for block in trainer.blocks() if block.weights_digest]
    return Observation(digests, facts)


def observe_in(place: DeviceClass, times: int) -> list[Observation]:
    """Trains several times at once, each in a process of its own.

    Args:
        place: which device, and with which environment variables.
        times: how many processes.

    Raises:
        SelfTestError: with the last lines that the process that broke wrote about its errors.
    """
    command = own_process("regression.machine.selftest", "--device", place.device)
    processes = [
        subprocess.Popen(  # our own interpreter and module, no shell
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | place.environment,
        )
        for _ in range(times)
    ]
    try:
        ended = [(*process.communicate(), process.returncode) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    for _, errors, code in ended:
        if code:
            last = "\n".join(errors.strip().splitlines()[-ERROR_LINES:])
            raise SelfTestError(f"a training on {place.name} ended with exit code {code}\n{last}")
    return [Observation(**json.loads(out)) for out, _, _ in ended]


def main(device: str = "cpu") -> None:
    """Trains, and prints what came of it.

    Args:
        device: where.
    """
    made = observe(device)
    result = {"digests": made.digests, "fingerprint": made.fingerprint}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
