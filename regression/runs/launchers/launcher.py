"""Launchers of units: what starts the work on a seed, hears of it, and says how it ended.

A unit's content hash does not cover where it was made, so every launcher leaves the same one. Here
are what a launcher is and the usual one, a process of this machine for each unit.
`regression.runs.launchers.ray_cluster` has the one for several machines.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from dqn_core.device import available_cores
from dqn_core.processes import own_process
from regression.job.job import Job
from regression.machine.device_classes import device_class
from regression.store.locks import WhenHeld
from reports.schema import ExitCode

ERROR_LINES: Final = 12
GRACE_S: Final = 60.0  # for processes that were asked to end

ProgressCallback = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class UnitRequest:
    """One unit to be made.

    Attributes:
        run: folder of the whole run, which has a `job.json`.
        job: what that says.
        seed: of the unit.
        when_held: what to do where another process works on the unit.
    """

    run: Path
    job: Job
    seed: int
    when_held: WhenHeld


@dataclass(frozen=True)
class UnitResult:
    """How one try at a unit ended.

    Attributes:
        code: exit code of the unit; negative, the number of the signal that killed it.
        errors: the last lines of what it said went wrong.
        lost: what became of its worker, such as "killed by SIGKILL"; "" where the unit came to an
            end of its own, so that another try would come to the same.
    """

    code: int
    errors: list[str]
    lost: str = ""


class Launcher(Protocol):
    """What starts units; called by several threads at once, one for each unit."""

    def units_at_a_time(self, job: Job) -> int:
        """For how many units there is room."""

    def make(self, order: UnitRequest, hear: ProgressCallback) -> UnitResult:
        """One try at a unit, to its end; where it is made, it is sealed in the run's folder.

        Args:
            order: which one.
            hear: called with each window, `{"step": ..., "episode_return": ...}`, and with what a
                person should know, `{"note": ...}`.

        Raises:
            OSError: if the run's folder cannot be written.
        """

    def end_all(self, number: signal.Signals) -> None:
        """Ends all units, with SIGTERM so that they commit what they have, or at once."""


class LocalLauncher:
    """Processes of this machine, one thread each, each with the variables of its device class."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._stopping = False
        self._lock = threading.Lock()

    def units_at_a_time(self, job: Job) -> int:
        """One a core, or one in all on a GPU."""
        on_cpu = device_class(job.device).device == "cpu"
        return min(available_cores(), len(job.seeds)) if on_cpu else 1

    def make(self, order: UnitRequest, hear: ProgressCallback) -> UnitResult:
        """One process; see `Launcher.make`."""
        device = order.job.device
        command = unit_command(order.run, order.seed, device, order.when_held)
        environment = os.environ | device_class(device).environment
        log = order.run / f"errors-seed-{order.seed}.txt"
        with log.open("w") as errors:
            with self._lock:
                if self._stopping:
                    return ending(-signal.SIGTERM, [])
                process = subprocess.Popen(  # our own interpreter and module, no shell
                    command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
                )
                self._running.add(process)
            with process:
                for line in process.stdout or ():
                    if line.endswith("\n"):  # a killed process may leave half of one
                        hear(json.loads(line))
            with self._lock:
                self._running.discard(process)
        lines = log.read_text(errors="replace").splitlines()[-ERROR_LINES:]
        if process.returncode == 0:
            log.unlink()
        return ending(process.returncode, lines)

    def end_all(self, number: signal.Signals) -> None:
        """Sends the signal to all processes and waits for them; none is started any more.

        One that hangs, as where a library was interrupted with a lock in its hand, is killed.
        """
        with self._lock:
            self._stopping = True
            left = list(self._running)
        for process in left:
            process.send_signal(number)
        end = time.monotonic() + GRACE_S
        for process in left:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()  # what it has committed stays
                process.wait()


def unit_command(run: Path, seed: int, device: str, when_held: WhenHeld) -> list[str]:
    """What makes a unit, as a list of arguments."""
    words = ["--folder", str(run), "--seed", str(seed)]
    words += ["--device", device, "--when-held", when_held]
    return own_process("regression.runs.unit", *words)


def ending(code: int, errors: list[str]) -> UnitResult:
    """The ending of a unit's process by its exit code."""
    if code >= 0 and code != ExitCode.INTERRUPTED:
        return UnitResult(code, errors)
    number = -code if code < 0 else signal.SIGTERM
    return UnitResult(code, errors, f"killed by {signal.Signals(number).name}")
