"""Runs the units of a job in parallel, by a launcher, and tries those again that were lost."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from rich.console import Console

from dqn_core.progress import Progress
from regression.console import say
from regression.gate.curves import summarise
from regression.job.job import Job
from regression.job.job_file import describe, record
from regression.runs.launchers.launcher import Launcher, LocalLauncher, UnitRequest
from regression.store.locks import WhenHeld, held
from regression.store.units import unit_folder
from reports.schema import SeedResult

TRIES: Final = 2


class Runner:
    """The units of one job.

    Args:
        job: what to run.
        folder: of the whole run; each unit works in a folder of its own below it.
        console: where progress is shown.
        when_held: what to do where another process works on this run or a unit of it.
        launcher: starts the units; processes of this machine, if not given.
    """

    def __init__(
        self,
        job: Job,
        folder: Path,
        console: Console,
        *,
        when_held: WhenHeld = "refuse",
        launcher: Launcher | None = None,
    ) -> None:
        self._job = job
        self._folder = folder
        self._console = console
        self._when_held: WhenHeld = when_held
        self._steps = dict.fromkeys(job.seeds, 0)
        self._launcher = launcher or LocalLauncher()
        self._stopping = False
        self._lock = threading.Lock()

    def run(self) -> list[SeedResult]:
        """Runs units to their end; results in the order of the seeds.

        A unit that was sealed before is verified and kept, an interrupted one resumed. A unit
        that fails costs its own seed only; one whose worker is lost is tried once more. On an
        interruption all units end, with what they have committed. The same folder may be given
        to a further runner, whose job differs in its seeds alone.

        Raises:
            JobError: if the folder belongs to another job.
            LockHeldError: if another process runs it.
            OSError: if the folder cannot be written.
        """
        with held(self._folder, "run", self._when_held, self._say):
            record(self._folder, describe(self._job))
            return self._run()

    def _run(self) -> list[SeedResult]:
        total = self._job.recipe.loop.total_steps * len(self._job.seeds)
        at_a_time = self._launcher.units_at_a_time(self._job)
        try:
            with (
                Progress(total, 0, self._console) as progress,
                ThreadPoolExecutor(max_workers=at_a_time) as pool,
            ):
                try:
                    return list(pool.map(lambda seed: self._unit(seed, progress), self._job.seeds))
                except KeyboardInterrupt:
                    # Leaving the pool waits for its threads, and they wait for their units.
                    pool.shutdown(wait=False, cancel_futures=True)
                    self._stopping = True
                    self._launcher.end_all(signal.SIGTERM)
                    raise
        finally:
            if self._stopping:  # units are left only by a second interruption
                self._launcher.end_all(signal.SIGKILL)

    def _unit(self, seed: int, progress: Progress) -> SeedResult:
        started = time.monotonic()
        order = UnitRequest(self._folder, self._job, seed, self._when_held)
        losses: list[str] = []
        while True:
            how = self._launcher.make(order, lambda report: self._heard(seed, report, progress))
            if how.code == 0:
                if losses:
                    self._say(f"seed {seed}: {', '.join(losses)}; tried again, and finished")
                folder = unit_folder(self._folder, self._job, seed)
                return summarise(folder, seed, time.monotonic() - started)
            losses += [how.lost] if how.lost else []
            if not how.lost or len(losses) == TRIES or self._stopping:
                break
        what = f"exit code {how.code}" if not losses else ", and once more ".join(losses)
        return SeedResult(
            seed=seed,
            status="failed",
            auc=None,
            first_tenth=None,
            final_tenth=None,
            evaluation_return=None,
            weights_digest="",
            wall_s=time.monotonic() - started,
            error="\n".join([what, *how.errors]),
        )

    def _heard(self, seed: int, report: dict[str, object], progress: Progress) -> None:
        with self._lock:
            if "note" in report:
                self._say(f"seed {seed}: {report['note']}")
                return
            self._steps[seed] = int(str(report["step"]))
            note = f"seed {seed} return {report['episode_return']:.2f}"
            progress.show(sum(self._steps.values()), note)

    def _say(self, note: str) -> None:
        say(note, self._console)
