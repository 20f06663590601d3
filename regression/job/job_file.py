"""What a run folder was asked for, in `job.json`: so that it can be resumed, or merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from dqn_core.files import replace_text
from dqn_core.names import dotted
from dqn_core.recipes.schema import Recipe
from regression.job.job import Job, UsageError, resolve_job
from regression.job.log_protocol import Declared, ImportedJob, LogProtocol, read_declared
from regression.machine.fingerprint import fingerprint
from reports.command_line import next_command
from reports.schema import Artifact

FORMAT: Final = 1
JOB_FILE: Final = "job.json"
# Facts that must be equal in all units of a run: seeds of two programs are not one sample.
SAME_IN_A_RUN: Final = (
    "source digest",
    "ale-py version",
    "gymnasium version",
    "numpy version",
    "torch version",
)


class JobError(UsageError):
    """A run folder that belongs to another job, or to none."""


class StoredJob(Artifact):
    """All that defines a run; the seeds are those asked for first."""

    format: int
    game: str
    recipe_name: str  # as asked for: a name, or a path ending in .toml
    recipe: dict[str, Any]
    recipe_hash: str
    seeds: list[int]
    device: str
    fault: str
    fingerprint: dict[str, str]

    def declared(self) -> Declared:
        """The recipe as it was, whatever became of its file, or the protocol of imported logs."""
        return read_declared(self.recipe)

    def loaded_recipe(self) -> Recipe:
        """The recipe of a run that was trained here.

        Raises:
            JobError: if its curves were imported.
        """
        found = self.declared()
        if isinstance(found, LogProtocol):
            raise JobError(
                f"the curves of {found.name} were imported: there is nothing to train\n"
                f"  next      {next_command('import')} or {next_command('judge')}"
            )
        return found


def describe(job: Job | ImportedJob) -> StoredJob:
    """The job as it is stored, on this machine."""
    imported = isinstance(job, ImportedJob)
    return StoredJob(
        format=FORMAT,
        game=job.game,
        recipe_name=job.recipe_name,
        recipe=job.recipe.model_dump(mode="json"),
        recipe_hash=job.recipe.digest(),
        seeds=job.seeds,
        device=job.device,
        fault=job.fault,
        # This machine need not have the device; where units were trained they say themselves.
        # Imported logs do not say where they were made.
        fingerprint={} if imported else fingerprint("cpu"),
    )


def record(folder: Path, stored: StoredJob) -> None:
    """Writes what the run folder is for; a folder that knows it is only compared.

    Raises:
        JobError: naming each field in which the folder's job is another one.
        OSError: if the folder cannot be written.
    """
    if not (folder / JOB_FILE).exists():
        replace_text(folder / JOB_FILE, stored.model_dump_json(indent=1) + "\n")
        return
    require_same(read_job(folder), stored, folder)


def read_job(folder: Path) -> StoredJob:
    """The job of a run folder.

    Raises:
        JobError: if there is none, or it cannot be read.
    """
    path = folder / JOB_FILE
    try:
        stored = StoredJob.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise JobError(
            f"{folder} is not a run that can be resumed\n"
            f"  expected  a readable {JOB_FILE}\n"
            f"  actual    {error}\n"
            "  next      name another folder, or start a new run"
        ) from error
    if stored.format != FORMAT or stored.declared().digest() != stored.recipe_hash:
        raise JobError(
            f"{path} is of another format, or was altered\n"
            f"  expected  format {FORMAT}, recipe {stored.recipe_hash[:16]}\n"
            f"  actual    format {stored.format}, recipe {stored.declared().digest()[:16]}"
        )
    return stored


def require_same(ours: StoredJob, theirs: StoredJob, folder: Path) -> None:
    """Two jobs must be one, but for their seeds and the machine.

    Raises:
        JobError: naming each field in which they differ.
    """
    here, there = _fields(ours), _fields(theirs)
    differing = [
        f"{name}: {here.get(name, 'nothing')!r} in {folder}, {there.get(name, 'nothing')!r} here"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if differing:
        way_out = "next      ask for the same job, or start a new run"
        raise JobError("\n  ".join([f"{folder} belongs to another job", *differing, way_out]))


def resumed_job(  # one for each word on the command line
    folder: Path,
    *,
    game: str = "",
    recipe: str = "",
    seeds: str = "",
    device: str = "",
    fault: str = "",
) -> Job:
    """The job of a run folder, to resume it.

    Args:
        folder: of the run.
        game: as `resolve_job` takes it, like all others; "" for what the folder says.
        recipe: the same.
        seeds: the same.
        device: the same.
        fault: the same.

    Raises:
        JobError: naming each field in which what is asked for is not what the folder is for.
    """
    stored = read_job(folder)
    stored.loaded_recipe()  # refuses imported curves
    asked = resolve_job(
        game or stored.game,
        recipe=recipe or stored.recipe_name,
        seeds=seeds or ",".join(map(str, stored.seeds)),
        device=device or stored.device,
        fault=fault or stored.fault,
    )
    require_same(stored, describe(asked), folder)
    if seeds and asked.seeds != stored.seeds:
        raise JobError(
            f"{folder} belongs to another job\n"
            f"  seeds: {stored.seeds} in {folder}, {asked.seeds} here\n"
            "  next      ask for the same job, or start a new run"
        )
    return asked


def _fields(stored: StoredJob) -> dict[str, Any]:
    fields = {name: getattr(stored, name) for name in ("game", "device", "fault")}
    fields |= {name: stored.fingerprint.get(name) for name in SAME_IN_A_RUN}
    return fields | dotted(stored.recipe, "recipe.")
