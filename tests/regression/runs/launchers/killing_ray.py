"""Runs a tiny job on Ray and kills a worker; in a process of its own, as Ray changes its process.

python -m tests.regression.runs.launchers.killing_ray FOLDER prints what happened, as JSON.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import psutil
from rich.console import Console

from regression.job.job import Job, UsageError
from regression.runs.launchers.ray_cluster import LaunchError, RayLauncher
from regression.runs.runner import Runner
from tests.dqn_core.small import small

SEEDS = [1, 2]
VICTIM = 2


def tiny_job() -> Job:
    """Forty windows, so that a unit can be met while it runs."""
    recipe = small(
        loop={"total_steps": 1_200, "segment_steps": 600, "window_steps": 30, "block_steps": 10,
              "sync_period_updates": 20},
        replay={"capacity_rows": 1_200, "warmup_steps": 50, "batch_size": 8},
        network={"hidden": [8]},
        evaluation={"period_steps": 600, "episodes": 1, "num_envs": 1, "rolling_episodes": 1},
    )  # fmt: skip
    return Job(
        game="cartpole",
        recipe_name="tiny",
        recipe=recipe,
        seeds=SEEDS,
        device="cpu",
        fault="",
        notes=[],
    )


class Murderous(RayLauncher):
    """Kills the worker of one seed when its unit has finished a window."""

    killed = 0

    def make(self, order, hear):
        def heard(report):
            if order.seed == VICTIM and "step" in report and not self.killed:
                self.killed = worker_of(order.seed).pid
                os.kill(self.killed, signal.SIGKILL)
            hear(report)

        return super().make(order, heard)


def worker_of(seed: int) -> psutil.Process:
    """The process of Ray in whose task the unit of that seed runs."""
    for process in psutil.Process().children(recursive=True):
        command = process.cmdline()
        if "regression.runs.unit" in command and command[command.index("--seed") + 1] == str(seed):
            return process.parent()
    raise AssertionError(f"no unit of seed {seed} runs")


def listening() -> list[str]:
    """Addresses on which this process and its children wait for connections."""
    here = psutil.Process()
    return sorted(
        {
            connection.laddr.ip
            for process in [here, *here.children(recursive=True)]
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
    )


def refusals(job: Job) -> list[str]:
    """What is said of machines that the cluster does not have."""
    told = []
    for device, accelerator in [("cuda", ""), ("cpu", "H100"), ("cuda:1", "")]:
        try:
            RayLauncher(accelerator=accelerator).units_at_a_time(replace(job, device=device))
        except (LaunchError, UsageError) as error:
            told.append(str(error))
    return told


def main(folder: Path) -> None:
    """Twice the same run, the second of which finds all units."""
    job, console = tiny_job(), Console(file=io.StringIO(), width=200)
    before = signal.getsignal(signal.SIGTERM)
    with Murderous() as launcher:
        results = Runner(job, folder, console, launcher=launcher).run()
        heard = console.file.getvalue()
        again = Runner(job, folder, console, launcher=launcher).run()
        found = {
            "killed": launcher.killed,
            "results": [result.model_dump(mode="json") for result in results],
            "again": [result.model_dump(mode="json") for result in again],
            "told": heard,
            "listening": listening(),
            "refusals": refusals(job),
            "sigterm_is_ours": signal.getsignal(signal.SIGTERM) == before,
        }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
