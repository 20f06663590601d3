"""Sealed units: folders that were finished once, verified whenever they are read, never changed.

<run>/cartpole-cpu-seed-1000/
    unit.json        what it is, and where it ran
    curve.csv        a row per window
    best/            the best evaluated model
    manifest.json    the hash of every file, and one of the content

A unit is made in `.<unit>.partial/` beside its final place and renamed when everything in it is on
the disk, so it exists completely or not at all. The content hash covers what the unit is and what
came out of it, but not where or how long it ran: equal bits give equal hashes on any machine, by
any launcher, and after any number of interruptions.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from dqn_core.files import move_into_place, partial_path, replace_text, sync
from regression.job.job import Job
from regression.job.log_protocol import Declared, ImportedJob
from reports.schema import Artifact

FORMAT: Final = 1
UNIT_FILE: Final = "unit.json"
MANIFEST_FILE: Final = "manifest.json"
# What a unit needs while it runs and no longer.
TRANSIENT: Final = ("checkpoints", "damaged")


class StoreError(RuntimeError):
    """A unit on the disk is damaged, or is another one than its name says."""


class UnitKey(Artifact):
    """What a unit is; two units of one key have the same content, or something is wrong."""

    recipe: str  # its name
    recipe_hash: str
    seed: int
    device: str  # class of devices: "cpu" or "cuda"
    fault: str  # planted on purpose, or ""

    @property
    def name(self) -> str:
        """Name of its folder, such as "cartpole-cpu-seed-1000"."""
        planted = f"-{self.fault}" if self.fault else ""
        return f"{self.recipe}-{self.device}-seed-{self.seed}{planted}"


class Unit(Artifact):
    """The content of `unit.json`."""

    format: int
    key: UnitKey
    status: Literal["running", "complete"]
    steps: int  # agent steps trained
    fingerprint: dict[str, str]
    wall_s: float  # of the process that finished it
    notes: list[str] = Field(default_factory=list)  # what happened on the way


class FileHash(Artifact):
    """One file of a manifest."""

    sha256: str
    size_bytes: int


class Manifest(Artifact):
    """Every file of a sealed unit but the manifest itself."""

    format: int
    files: dict[str, FileHash]  # by path below the unit's folder, with "/"
    content_hash: str


def without_index(device: str) -> str:
    """The class of a device by name: "cuda:1" is a "cuda"."""
    return re.sub(r":[0-9]+$", "", device)


def unit_key(recipe: Declared, seed: int, device: str, fault: str) -> UnitKey:
    """What a unit is.

    Args:
        recipe: what to train, or the protocol of imported logs.
        seed: of the run.
        device: such as "cuda:1"; its class counts.
        fault: planted in the agent, or "".
    """
    return UnitKey(
        recipe=recipe.name,
        recipe_hash=recipe.digest(),
        seed=seed,
        device=without_index(device),
        fault=fault,
    )


def unit_folder(run: Path, job: Job | ImportedJob, seed: int) -> Path:
    """Where the unit of a seed is, once it is sealed.

    Args:
        run: folder of the whole run.
        job: what was run.
        seed: of the unit.
    """
    return run / unit_key(job.recipe, seed, job.device, job.fault).name


def seal(unit: Unit, folder: Path) -> Manifest:
    """Makes a finished unit final.

    Whatever files its partial folder holds, beside the transient ones, become part of it.

    Args:
        unit: the content of its `unit.json`.
        folder: its final place; must not exist.

    Raises:
        OSError: if something cannot be written; the partial folder can still be sealed.
    """
    partial = partial_path(folder)
    replace_text(partial / UNIT_FILE, unit.model_dump_json(indent=1) + "\n")
    names = _names(partial)
    for name in names:
        sync(partial / name)
    for inner in sorted({(partial / name).parent for name in names}):
        sync(inner)
    files = {name: _hash(partial / name) for name in names}
    manifest = Manifest(format=FORMAT, files=files, content_hash=_content_hash(unit, files))
    replace_text(partial / MANIFEST_FILE, manifest.model_dump_json(indent=1) + "\n")
    rename_sealed(folder)
    return manifest


def rename_sealed(folder: Path) -> None:
    """The last steps of sealing, once the manifest is on the disk.

    Raises:
        OSError: if they cannot be taken; they can be taken again.
    """
    partial = partial_path(folder)
    for name in TRANSIENT:
        if (partial / name).exists():
            shutil.rmtree(partial / name)
    for path in sorted(partial.rglob(".*"), reverse=True):  # left aside by a killed writer
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    move_into_place(partial, folder)


def is_ready(folder: Path) -> bool:
    """Whether the partial folder of a unit only waits for `rename_sealed`."""
    partial = partial_path(folder)
    if not (partial / MANIFEST_FILE).is_file():
        return False
    try:
        read_sealed(partial, _names(partial))
    except StoreError:
        return False
    return True


def read_sealed(folder: Path, names: list[str] | None = None) -> tuple[Unit, Manifest]:
    """A sealed unit, after comparing every file with the manifest.

    Args:
        folder: of the unit.
        names: of the files that count; all files, if not given.

    Raises:
        StoreError: naming each file that is missing, truncated, altered or foreign.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
        present = set(_every_name(folder) if names is None else names) - {MANIFEST_FILE}
        wrong = [
            problem
            for name in sorted(present | manifest.files.keys())
            if (problem := _problem(folder, name, manifest.files.get(name), present))
        ]
        if wrong:
            raise _damaged(folder, "\n            ".join(wrong))
        unit = Unit.model_validate_json((folder / UNIT_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise _damaged(folder, str(error)) from error
    actual = _content_hash(unit, manifest.files)
    if (manifest.format, unit.format, unit.status) != (FORMAT, FORMAT, "complete"):
        raise _damaged(folder, f"format {manifest.format}, status {unit.status}")
    if actual != manifest.content_hash:
        raise _damaged(
            folder, f"{MANIFEST_FILE}: content hash {manifest.content_hash}, computed {actual}"
        )
    return unit, manifest


def _problem(folder: Path, name: str, sealed: FileHash | None, present: set[str]) -> str:
    if sealed is None:
        return f"{name}: foreign, no file of this unit"
    if name not in present:
        return f"{name}: missing"
    found = _hash(folder / name)
    if found.size_bytes < sealed.size_bytes:
        return f"{name}: truncated to {found.size_bytes} of {sealed.size_bytes} bytes"
    if found != sealed:
        return f"{name}: altered, sha256 {found.sha256[:16]}, sealed was {sealed.sha256[:16]}"
    return ""


def _damaged(folder: Path, what: str) -> StoreError:
    return StoreError(
        f"the unit {folder} is not as it was sealed\n"
        f"  actual    {what}\n"
        "  next      find out what changed it; then remove the folder and run the unit again"
    )


def _every_name(folder: Path) -> list[str]:
    """Paths of everything but folders; links are included."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


def _names(partial: Path) -> list[str]:
    """Paths of the files of a unit in the making that will be part of it."""
    return [
        name
        for name in _every_name(partial)
        if name != MANIFEST_FILE
        and name.split("/")[0] not in TRANSIENT
        and not any(part.startswith(".") for part in name.split("/"))
    ]


def _hash(path: Path) -> FileHash:
    if path.is_symlink():
        raise OSError(f"{path} is a link; a unit holds its own files only")
    content = path.read_bytes()
    return FileHash(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _content_hash(unit: Unit, files: dict[str, FileHash]) -> str:
    content: dict[str, Any] = {
        "unit": unit.key.model_dump(),
        "steps": unit.steps,
        "files": {name: file.sha256 for name, file in files.items() if name != UNIT_FILE},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
