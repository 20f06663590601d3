"""Judging a run folder as it is: nothing is trained, all is read and verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from dqn_core.files import replace_text
from regression.gate.curves import read_unit, record_notes, summarise
from regression.gate.decide import STAGE_TWO_SEEDS
from regression.gate.verdict import Evidence, judge, weigh
from regression.job.job import Job
from regression.job.job_file import StoredJob, read_job
from regression.job.log_protocol import ImportedJob, LogProtocol
from regression.machine.bits import compare_bits, read_digests
from regression.machine.levels import claim
from regression.runs.stages import merged_fingerprint
from regression.store.locks import held
from regression.store.references import UnusableReferenceError, load_reference
from regression.store.units import MANIFEST_FILE, StoreError, Unit, read_sealed, unit_key
from reports.command_line import next_command
from reports.load import ArtifactError, read_verdict
from reports.page import write_page
from reports.schema import (
    CURVE_COLUMNS,
    CURVES_FILE,
    VERDICT_FILE,
    BitsCheck,
    Fingerprint,
    ReferenceInfo,
    SeedResult,
    Verdict,
)

Units = dict[int, tuple[Path, Unit]]


def judge_stored(run: Path, references_dir: Path | None, say: Callable[[str], None]) -> Verdict:
    """Compares what a run folder holds with the stored reference of its name, and writes it down.

    The seeds that the run was asked for are those of stage one, all others of stage two; they
    count once there are as many as stage two needs.

    Args:
        run: folder of the run; verdict, curves, page and summary in it are replaced.
        references_dir: folder of all references; the package's own, if None.
        say: called with a note where the folder is taken over from a dead process.

    Raises:
        JobError: if it is not a run folder.
        StoreError: for a unit that is damaged, or of another job.
        LockHeldError: if another process works on the folder.
        OSError: if it cannot be written.
    """
    with held(run, "run", "refuse", say):
        stored = read_job(run)
        units = sealed_units(run, stored)
        evidence = _evidence(run, stored, units, references_dir)
        verdict = judge(evidence)
        wanted, later = weigh(evidence).seeds_wanted, _later(stored, units, evidence.reference)
        if wanted:
            verdict = verdict.model_copy(
                update={"sentence": f"{verdict.sentence} {_missing(evidence.job, later, wanted)}"}
            )
        replace_text(run / CURVES_FILE, evidence.curves.to_csv(index=False))
        replace_text(run / VERDICT_FILE, verdict.model_dump_json(indent=1) + "\n")
        write_page(run)
        return verdict


def sealed_units(run: Path, stored: StoredJob) -> Units:
    """Folder and content of every unit of a run, by seed, each verified.

    Raises:
        StoreError: for a unit that is damaged, or of another job.
    """
    units: Units = {}
    for manifest in sorted(run.glob(f"[!.]*/{MANIFEST_FILE}")):
        folder = manifest.parent
        unit, _ = read_sealed(folder)
        expected = unit_key(stored.declared(), unit.key.seed, stored.device, stored.fault)
        if unit.key != expected or folder.name != expected.name:
            raise StoreError(
                f"the unit {folder} is of another job\n"
                f"  expected  {expected.model_dump()}\n"
                f"  actual    {unit.key.model_dump()}\n"
                "  next      remove it, or judge the run that it belongs to"
            )
        units[unit.key.seed] = (folder, unit)
    return units


def _evidence(run: Path, stored: StoredJob, units: Units, references_dir: Path | None) -> Evidence:
    job = _job(stored)
    reference, why_not, truth = None, "", None
    try:
        reference, truth = load_reference(job.recipe, references_dir)
    except UnusableReferenceError as error:
        why_not = str(error)
    later = _later(stored, units, reference)
    candidates = {seed: units[seed] for seed in [*job.seeds, *later] if seed in units}
    tables = [read_unit(folder, seed, "candidate") for seed, (folder, _) in candidates.items()]
    if truth is not None:
        tables.append(truth[list(CURVE_COLUMNS)])
    began = _began(run)
    evidence = Evidence(
        job=job,
        results=[_result(seed, candidates) for seed in [*job.seeds, *later]],
        curves=pd.concat(tables) if tables else pd.DataFrame(columns=list(CURVE_COLUMNS)),
        reference=reference,
        no_reference=why_not,
        fingerprint=merged_fingerprint({seed: folder for seed, (folder, _) in candidates.items()}),
        started_utc=began,
        wall_s=sum(unit.wall_s for _, unit in candidates.values()),
        stage_two=later if len(later) >= STAGE_TWO_SEEDS else [],
        notes=_notes(job, candidates),
    )
    if reference is None or truth is None:
        return evidence
    return replace(evidence, bits=_bits(evidence, units, reference, truth))


def _job(stored: StoredJob) -> Job | ImportedJob:
    found = stored.declared()
    if isinstance(found, LogProtocol):
        return ImportedJob(found, stored.seeds, [])
    return Job(
        game=stored.game,
        recipe_name=stored.recipe_name,
        recipe=found,
        seeds=stored.seeds,
        device=stored.device,
        fault=stored.fault,
        notes=[],
    )


def _later(stored: StoredJob, units: Units, reference: ReferenceInfo | None) -> list[int]:
    """Seeds of stage two: neither asked for first, nor trained again to compare bits."""
    trained_here = not isinstance(stored.declared(), LogProtocol)
    again = set(reference.seeds) if reference and trained_here else set()
    return sorted(units.keys() - set(stored.seeds) - again)


def _result(seed: int, candidates: Units) -> SeedResult:
    if seed in candidates:
        folder, unit = candidates[seed]
        result = summarise(folder, seed, unit.wall_s)
        # A log holds no weights; pandas calls that nan.
        known = "" if result.weights_digest == "nan" else result.weights_digest
        return result.model_copy(update={"weights_digest": known})
    return SeedResult(
        seed=seed,
        status="failed",
        auc=None,
        first_tenth=None,
        final_tenth=None,
        evaluation_return=None,
        weights_digest="",
        wall_s=0.0,
        error="the run folder holds no finished unit of this seed",
    )


def _notes(job: Job | ImportedJob, candidates: Units) -> list[str]:
    """What is wrong with the records of trained units, and what was left out of imported ones."""
    if isinstance(job, ImportedJob):
        return [f"Seed {seed}: {n}" for seed, (_, unit) in candidates.items() for n in unit.notes]
    return [
        note
        for seed, (folder, _) in candidates.items()
        for note in record_notes(folder, seed, job.recipe)
    ]


def _bits(
    evidence: Evidence, units: Units, reference: ReferenceInfo, truth: pd.DataFrame
) -> list[BitsCheck]:
    """Of the reference's seeds that were trained again in this run."""
    job = evidence.job
    if isinstance(job, ImportedJob):
        return []
    here = Fingerprint.model_validate(evidence.fingerprint)
    promised = claim(here, reference.fingerprint).level > 0 and not job.fault
    checks = (
        compare_bits(
            seed, read_digests(units[seed][0]), truth[truth["seed"] == seed], promised=promised
        )
        for seed in sorted(units.keys() & set(reference.seeds) - set(job.seeds))
    )
    return [check for check in checks if check]


def _missing(job: Job | ImportedJob, later: Sequence[int], wanted: int) -> str:
    imported = isinstance(job, ImportedJob)
    way = (
        next_command("import", "LOGS", into="RUN")
        if imported
        else next_command("regress", resume="RUN")
    )
    return f"{len(later)} of them are there, {wanted - len(later)} are missing; {way} adds them."


def _began(run: Path) -> str:
    """When the run began, as its first verdict says; now, if there is none."""
    try:
        return read_verdict(run).started_utc
    except ArtifactError:
        return datetime.now(UTC).isoformat(timespec="seconds")
