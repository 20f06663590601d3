"""Runs the units of a job in parallel processes, one thread each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from dqn_core.device import available_cores
from dqn_core.progress import Progress
from regression.curves import summarise
from regression.games import Job
from reports.schema import SeedResult

ERROR_LINES = 12


class Runner:
    """The processes of one job.

    Args:
        job: what to run.
        folder: of the whole run; each unit writes into `seed-<n>` below it and nowhere else.
        console: where progress is shown.
    """

    def __init__(self, job: Job, folder: Path, console: Console) -> None:
        self._job = job
        self._folder = folder
        self._console = console
        self._steps = dict.fromkeys(job.seeds, 0)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def run(self) -> list[SeedResult]:
        """Runs all units to their end; results in the order of the seeds.

        A unit that fails costs its own seed only. On an interruption all processes are ended.
        """
        total = self._job.recipe.loop.total_steps * len(self._job.seeds)
        workers = self.workers()
        try:
            with (
                Progress(total, 0, self._console) as progress,
                ThreadPoolExecutor(max_workers=workers) as pool,
            ):
                try:
                    return list(pool.map(lambda seed: self._unit(seed, progress), self._job.seeds))
                except KeyboardInterrupt:
                    # Leaving the pool waits for its threads, and they wait for their processes.
                    pool.shutdown(wait=False, cancel_futures=True)
                    self._end_all()
                    raise
        finally:
            self._end_all()

    def workers(self) -> int:
        """Processes at a time: one a core, or one in all on a GPU."""
        return min(available_cores(), len(self._job.seeds)) if self._job.device == "cpu" else 1

    def _end_all(self) -> None:
        for process in list(self._running):
            process.kill()

    def _unit(self, seed: int, progress: Progress) -> SeedResult:
        folder = self._folder / f"seed-{seed}"
        folder.mkdir()
        started = time.monotonic()
        job = self._job
        command = [sys.executable, "-m", "regression.unit", "--recipe", job.recipe_name]
        command += ["--seed", str(seed), "--device", job.device, "--folder", str(folder)]
        command += ["--fault", job.fault]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        log = folder / "errors.txt"
        with (
            log.open("w") as errors,
            subprocess.Popen(  # our own interpreter and module, no shell
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            ) as process,
        ):
            self._running.add(process)
            for line in process.stdout or ():
                report = json.loads(line)
                with self._lock:
                    self._steps[seed] = report["step"]
                    note = f"seed {seed} return {report['episode_return']:.2f}"
                    progress.show(sum(self._steps.values()), note)
            code = process.wait()
            self._running.discard(process)
        wall = time.monotonic() - started
        if code == 0:
            return summarise(folder, seed, wall)
        last = log.read_text(errors="replace").splitlines()[-ERROR_LINES:]
        return SeedResult(
            seed=seed,
            status="failed",
            auc=None,
            first_tenth=None,
            final_tenth=None,
            evaluation_return=None,
            weights_digest="",
            wall_s=wall,
            error="\n".join([f"exit code {code}", *last]),
        )
