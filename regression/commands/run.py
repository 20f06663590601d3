"""`python -m regression run`: trains fresh seeds and judges them, on one device or on several."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from dqn_core.checkpoint import checkpoint_bytes
from dqn_core.device import prepare_device
from dqn_core.files import require_room
from probes.faults.catalogue import fault_named
from probes.subjects.core import Parts
from regression.console import say, say_verdict
from regression.job.job import Job, UsageError, resolve_job
from regression.job.job_file import resumed_job
from regression.job.run_folders import RUNS, new_run_folder, point_latest_at
from regression.machine.device_classes import device_class
from regression.runs.device_matrix import DeviceMatrix, resumed_cells
from regression.runs.launchers.launcher import Launcher, LocalLauncher
from regression.runs.launchers.ray_cluster import LOCAL, RayLauncher
from regression.runs.stages import Regression
from regression.store.locks import WhenHeld
from reports.command_line import next_command
from reports.schema import EXIT_CODES, ExitCode, Verdict

LauncherName = Literal["local", "ray"]


def run(  # noqa: PLR0913  # one for each flag
    game: str = "",
    recipe: str = "",
    seeds: str = "",
    device: str = "",
    fault: str = "",
    resume: Path | None = None,
    when_held: WhenHeld = "refuse",
    *,
    bits: int = 0,
    references: Path | None = None,
    devices: str = "",
    launcher: LauncherName = "local",
    ray_address: str = LOCAL,
    accelerator: str = "",
) -> ExitCode:
    """Trains fresh seeds, compares them with the stored reference, and writes verdict and page.

    Args:
        game: cartpole or pong; cartpole, if not given.
        recipe: another recipe than the game's own: a name, or a path ending in .toml.
        seeds: how many fresh ones (5), a range (1000-1004), or a list (3,4,7).
        device: cpu, cpu-avx2, cpu-sse4, cuda or cuda:<index>; cuda, if not given and there is one.
        fault: plant this fault, to see the gate close.
        resume: resume the interrupted run in this folder, for what it was asked then.
        when_held: where another process works on it: refuse, wait, or steal the lock of a dead
            process of another host.
        bits: so many seeds of the reference are trained again, to compare bits with what is stored.
        references: folder of the references; the package's own, if not given.
        devices: several, such as cpu,cuda:0: each is judged by itself, and then all together.
        launcher: local: processes of this machine. ray: machines of a Ray cluster.
        ray_address: of a running cluster, such as 10.0.0.1:6379; local starts one on this machine.
        accelerator: with ray, the type of GPU for each unit, such as A100; any, if not given.
    """
    if bits < 0:
        raise UsageError(f"bits: expected how many reference seeds to train again, got {bits}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    jobs = _asked((game, recipe, seeds, device, fault), devices, resume)
    with _launching(launcher, ray_address, accelerator) as chosen:
        for job in jobs if isinstance(jobs, list) else [jobs]:
            _preflight(job, resume or RUNS, chosen)
        console, started = Console(), datetime.now(UTC)
        folder = resume or new_run_folder(f"regress-{_name(jobs)}-{started:%Y%m%dT%H%M%S}")
        say(_headline(jobs, folder), console)
        options: dict[str, Any] = {"when_held": when_held, "bits": bits}
        options |= {"references_dir": references, "launcher": chosen}
        try:
            if isinstance(jobs, Job):
                verdict = Regression(jobs, folder, console, started, **options).run()
            else:
                verdict = DeviceMatrix(jobs, folder, console, started, **options).run()
        except KeyboardInterrupt:
            say(f"interrupted; resume with {next_command('regress', resume=str(folder))}", console)
            return ExitCode.INTERRUPTED
    point_latest_at(folder)
    _show(console, verdict, folder)
    return EXIT_CODES[verdict.verdict]


def _asked(words: tuple[str, ...], devices: str, resume: Path | None) -> Job | list[Job]:
    """What to run: one job, or one for each of several devices.

    Args:
        words: game, recipe, seeds, device and fault, as typed.
        devices: as typed.
        resume: folder of a run to resume.
    """
    game, recipe, seeds, device, fault = words
    if device and devices:
        raise UsageError(f"expected --device or --devices, got {device!r} and {devices!r}")
    names = [device_class(name).name for name in devices.split(",")] if devices else []
    if len(set(names)) < len(names):
        raise UsageError(f"devices: expected different ones, got {devices!r}")
    if resume:
        cells = resumed_cells(resume)
        if not cells:
            return resumed_job(
                resume, game=game, recipe=recipe, seeds=seeds, device=devices or device, fault=fault
            )
        if any(words) or (names and sorted(names) != sorted(job.device for job in cells)):
            raise UsageError(
                f"{resume} already has its job, on {', '.join(job.device for job in cells)}\n"
                "  next      give --resume alone, or resume one of its cells"
            )
        return cells
    if len(names) > 1:
        return [
            resolve_job(game or "cartpole", recipe=recipe, seeds=seeds, device=name, fault=fault)
            for name in names
        ]
    place = device_class(devices or device or _best_device()).name
    return resolve_job(game or "cartpole", recipe=recipe, seeds=seeds, device=place, fault=fault)


@contextmanager
def _launching(name: LauncherName, address: str, accelerator: str) -> Iterator[Launcher]:
    """The launcher of that name, as long as the block runs."""
    if name == "local":
        if address != LOCAL or accelerator:
            raise UsageError("--ray-address and --accelerator are of --launcher ray")
        yield LocalLauncher()
        return
    with RayLauncher(address, accelerator) as launcher:
        yield launcher


def _best_device() -> str:
    import torch  # noqa: PLC0415  # only to ask, once, when no device was named

    return "cuda" if torch.cuda.is_available() else "cpu"


def _preflight(job: Job, folder: Path, launcher: Launcher) -> None:
    """Builds the run once, so that whatever cannot work here says so before any work."""
    parts = fault_named(job.fault).parts if job.fault else Parts()
    at_a_time = launcher.units_at_a_time(job)
    elsewhere = isinstance(launcher, RayLauncher)  # on machines that look after themselves
    place = "cpu" if elsewhere else device_class(job.device).device
    device = prepare_device(place, job.recipe.network.precision)
    trainer = parts.make_trainer(job.recipe, job.seeds[0], device)
    folder.mkdir(exist_ok=True)
    needed = 0 if elsewhere else 2 * checkpoint_bytes(trainer) * at_a_time
    require_room(folder, needed, f"{job.recipe.name}, its units and their checkpoints")


def _name(jobs: Job | list[Job]) -> str:
    if isinstance(jobs, Job):
        return jobs.recipe.name
    return "-".join(dict.fromkeys(job.recipe.name for job in jobs))


def _headline(jobs: Job | list[Job], folder: Path) -> str:
    lines = []
    for job in jobs if isinstance(jobs, list) else [jobs]:
        planted = f"  FAULT PLANTED: {job.fault}" if job.fault else ""
        lines += job.notes
        lines += [f"{job.recipe.name} on {job.device}, {len(job.seeds)} seeds, {folder}{planted}"]
    return "\n".join(lines)


def _show(console: Console, verdict: Verdict, folder: Path) -> None:
    for cell in verdict.cells:
        say(f"{cell.name}: {cell.verdict}: {cell.sentence}", console)
    for result in verdict.seeds:
        numbers = "  ".join(
            f"{label} {value:.3f}"
            for label, value in (
                ("area", result.auc),
                ("first tenth", result.first_tenth),
                ("last tenth", result.final_tenth),
                ("evaluation", result.evaluation_return),
            )
            if value is not None
        )
        line = f"seed {result.seed:<6} {result.status:9} {result.wall_s:6.1f} s  {numbers}"
        say(line, console)
    say_verdict(verdict, folder, console)
