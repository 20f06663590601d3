"""One unit of work: a recipe and a seed, trained into a folder that survives being killed.

    python -m regression.runs.unit --folder runs/regress-... --seed 1000 --device cpu

What to train is in the run folder's `job.json`. Each window is reported as a line of JSON,
`{"step": ..., "episode_return": ...}`, and whatever a person should know as `{"note": "..."}`.
Exit codes are those of all commands; 3, with path and reason, where the disk or the lock said no.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Never

import torch
import tyro
from pydantic import ValidationError

from dqn_core.checkpoint import CheckpointError, checkpoint_bytes
from dqn_core.cuda_graphs import CaptureError
from dqn_core.device import DeviceError, prepare_device
from dqn_core.files import partial_path, replace_text, require_room
from dqn_core.loop import Trainer
from dqn_core.memory_budget import out_of_memory_message
from dqn_core.train import CurveError, CurveWindow, RunFolderError, TrainingRun
from probes.faults.catalogue import fault_named
from probes.subjects.core import Parts
from regression.job.job_file import JobError, StoredJob, read_job
from regression.machine.device_classes import DeviceClassError, device_class, lacking
from regression.machine.fingerprint import fingerprint
from regression.store import units
from regression.store.locks import LockHeldError, WhenHeld, held
from regression.store.units import StoreError, Unit
from reports.schema import ExitCode

Report = Callable[[dict[str, Any]], None]

CHECKPOINTS: Final = "checkpoints"
DAMAGED: Final = "damaged"


class UnitWorker:
    """Makes one unit, from wherever an earlier worker left it.

    Args:
        folder: of the whole run.
        job: what the run is for.
        seed: of the unit.
        device: class of devices to train on, as `regression.machine.device_classes` names them.
        report: called with each window, and with what a person should know.
    """

    def __init__(
        self, folder: Path, job: StoredJob, *, seed: int, device: str, report: Report
    ) -> None:
        self._run = folder
        self._recipe = job.loaded_recipe()
        self._seed = seed
        self._device = _unpinned(device)
        self._parts = fault_named(job.fault).parts if job.fault else Parts()
        self._report = report
        self._key = units.unit_key(self._recipe, seed, device, job.fault)
        self._folder = folder / self._key.name
        self._partial = partial_path(self._folder)
        self._notes: list[str] = []

    def work(self, when_held: WhenHeld = "refuse") -> str:
        """Trains to the end and seals; a unit that is sealed already is verified and left alone.

        Args:
            when_held: what to do where another process works on the same unit.

        Returns:
            The content hash of the sealed unit.

        Raises:
            LockHeldError: naming who works on it.
            StoreError: if the sealed unit is damaged, or of another recipe.
            OSError, CheckpointError, RunFolderError: if it cannot be written; it can be resumed
                from the last good state.
        """
        started = time.monotonic()
        with held(self._run, self._key.name, when_held, self._say):
            if self._folder.exists():
                return self._sealed()
            if units.is_ready(self._folder):
                units.rename_sealed(self._folder)
                return self._sealed()
            begun = Unit(
                format=units.FORMAT,
                key=self._key,
                status="running",
                steps=0,
                fingerprint=fingerprint(self._device, self._recipe),
                wall_s=0.0,
            )
            for window in self._training(begun).windows():
                self._report_window(window)
            finished = begun.model_copy(
                update={
                    "status": "complete",
                    "steps": self._recipe.loop.total_steps,
                    "wall_s": time.monotonic() - started,
                    "notes": self._notes,
                }
            )
            return units.seal(finished, self._folder).content_hash

    def _sealed(self) -> str:
        unit, manifest = units.read_sealed(self._folder)
        if unit.key != self._key:
            raise StoreError(
                f"the unit {self._folder} is another one\n"
                f"  expected  {self._key.model_dump()}\n"
                f"  actual    {unit.key.model_dump()}\n"
                "  next      start a new run"
            )
        return manifest.content_hash

    def _training(self, begun: Unit) -> TrainingRun:
        """The run, as far as a usable checkpoint brings it."""
        why_anew = self._why_anew(begun)
        if why_anew is None:
            while checkpoints := sorted((self._partial / CHECKPOINTS).glob("step_*")):
                try:
                    run = TrainingRun(self._trainer(), self._partial, resume=True)
                except (CheckpointError, CurveError) as error:
                    self._put_aside(checkpoints[-1], error)
                else:
                    self._say(f"went on from step {run.trainer.step}")
                    return run
            why_anew = "no checkpoint could be used"
        if why_anew:
            self._say(f"started anew: {why_anew}")
        trainer = self._trainer()
        self._clear()
        # While a checkpoint is written the one before is still there.
        require_room(self._partial, 2 * checkpoint_bytes(trainer), f"the unit {self._key.name}")
        replace_text(self._partial / units.UNIT_FILE, begun.model_dump_json(indent=1) + "\n")
        return TrainingRun(trainer, self._partial)

    def _why_anew(self, begun: Unit) -> str | None:
        """Why what is there cannot be resumed: "" where nothing is there, None where it can."""
        if not self._partial.exists():
            return ""
        try:
            found = Unit.model_validate_json((self._partial / units.UNIT_FILE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return "the one before had hardly begun"
        if found.key != begun.key:
            return f"the one before was of the recipe {found.key.recipe_hash[:16]}"
        here, there = begun.fingerprint, found.fingerprint
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                # Half a run of each of two stacks would be the bits of neither.
                return f"{name} was {there.get(name)!r}, is {here.get(name)!r}"
        return None

    def _put_aside(self, checkpoint: Path, error: Exception) -> None:
        aside = self._partial / DAMAGED
        aside.mkdir(exist_ok=True)
        if (aside / checkpoint.name).exists():
            shutil.rmtree(aside / checkpoint.name)
        checkpoint.rename(aside / checkpoint.name)
        self._say(f"put {checkpoint.name} aside: {' '.join(str(error).split())}")

    def _clear(self) -> None:
        """An empty partial folder, but for what was put aside."""
        self._partial.mkdir(exist_ok=True)
        for path in self._partial.iterdir():
            if path.name == DAMAGED:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _trainer(self) -> Trainer:
        device = prepare_device(self._device, self._recipe.network.precision)
        trainer: Trainer = self._parts.make_trainer(self._recipe, self._seed, device)
        trainer.threaded = device.type != "cpu"  # every core has a seed of its own
        return trainer

    def _say(self, note: str) -> None:
        self._notes.append(note)
        self._report({"note": note})

    def _report_window(self, window: CurveWindow) -> None:
        self._report({"step": window.step, "episode_return": window.episode_return})


def _unpinned(name: str) -> str:
    """The device of a class, after seeing that this process has the variables that pin it.

    Raises:
        DeviceClassError: naming the first that is missing; libraries have read them by now.
    """
    place = device_class(name)
    for variable, wanted in lacking(name, os.environ).items():
        raise DeviceClassError(
            f"this process is not of the class {name}\n"
            f"  expected  {variable}={wanted} when it is started\n"
            f"  actual    {os.environ.get(variable, 'not set')}"
        )
    return place.device


def unit(folder: Path, seed: int, device: str, when_held: WhenHeld = "refuse") -> ExitCode:
    """Makes one unit of a run.

    Args:
        folder: of the run; its job.json says what to train.
        seed: of the unit.
        device: where to train: cpu, cuda, cuda:<index>, or a pinned class such as cpu-avx2.
        when_held: where another process works on it: refuse, wait, or steal it from another host.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        UnitWorker(folder, read_job(folder), seed=seed, device=device, report=_write_line).work(
            when_held
        )
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; it can be resumed from its last checkpoint\n")
        return ExitCode.INTERRUPTED
    except torch.OutOfMemoryError as error:
        sys.stderr.write(f"error: {out_of_memory_message(error)}\n")
        return ExitCode.INFRA
    except (
        CaptureError, CheckpointError, LockHeldError, OSError, RunFolderError, StoreError,
    ) as error:  # fmt: skip
        sys.stderr.write(f"error: {error}\n")
        return ExitCode.INFRA
    except (DeviceClassError, DeviceError, JobError) as error:
        sys.stderr.write(f"error: {error}\n")
        return ExitCode.USAGE
    return ExitCode.OK


def _write_line(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


def _interrupt(*_: object) -> Never:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(tyro.cli(unit))
