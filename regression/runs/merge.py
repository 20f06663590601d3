"""Several run folders of one job become one: what several machines trained is judged as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from dqn_core.files import replacing, require_room
from regression.job.job_file import read_job, record, require_same
from regression.store import units
from regression.store.locks import held
from regression.store.units import StoreError
from reports.command_line import next_command


def merge_runs(into: Path, runs: Sequence[Path]) -> list[str]:
    """Copies sealed units; what is there already is kept, and must be the same.

    Args:
        into: folder of the whole run; made if missing.
        runs: folders to take units from; nothing in them is changed.

    Returns:
        What was done with each unit.

    Raises:
        JobError: naming the fields in which the jobs differ.
        StoreError: for a damaged unit, or two units of one key whose content differs. Nothing was
            copied then.
        LockHeldError: if another process works on the folder.
        OSError: if it cannot be written.
    """
    jobs = {run: read_job(run) for run in runs}
    first = jobs[runs[0]]
    for run in runs[1:]:
        require_same(first, jobs[run], run)
    seeds = sorted({seed for job in jobs.values() for seed in job.seeds})
    into.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    with held(into, "run", "refuse", notes.append):
        record(into, first.model_copy(update={"seeds": seeds}))
        wanted = _wanted(into, runs)
        size = sum(path.stat().st_size for unit in wanted.values() for path in unit.rglob("*"))
        require_room(into, size, f"{len(wanted)} units")
        for name, unit in wanted.items():
            with held(into, name, "refuse", notes.append):
                _copy(unit, into / name)
            notes.append(f"{name}: from {unit.parent}")
    return [*notes, f"{len(wanted)} units came, {len(_units(into))} are there"]


def _wanted(into: Path, runs: Sequence[Path]) -> dict[str, Path]:
    """Units to be copied, by name, after comparing all that share one."""
    known = {unit.name: (unit, _content(unit)) for unit in _units(into)}
    wanted: dict[str, Path] = {}
    for run in runs:
        for unit in _units(run):
            content = _content(unit)
            if unit.name not in known:
                known[unit.name] = (unit, content)
                wanted[unit.name] = unit
            elif (other := known[unit.name])[1] != content:
                raise StoreError(
                    f"two units of one recipe, seed and device differ\n"
                    f"  expected  {other[1]} in {other[0]}\n"
                    f"  actual    {content} in {unit}\n"
                    f"  next      {next_command('diff', a='...', b='...')} shows where they part; "
                    "remove one"
                )
    return wanted


def _units(run: Path) -> list[Path]:
    return sorted(path.parent for path in run.glob(f"[!.]*/{units.MANIFEST_FILE}"))


def _content(unit: Path) -> str:
    return units.read_sealed(unit)[1].content_hash


def _copy(unit: Path, folder: Path) -> None:
    """A sealed unit, again by one rename."""
    with replacing(folder) as partial:
        shutil.copytree(unit, partial)
        units.read_sealed(partial)
