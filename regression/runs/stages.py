"""Both stages of a regression: trains fresh seeds, and more where the first ones trip the gate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from pathlib import Path

import pandas as pd
from rich.console import Console

from regression.console import say
from regression.gate.curves import read_unit, record_notes
from regression.gate.verdict import Evidence, judge, stage_two_seeds, weigh
from regression.job.job import Job
from regression.machine.bits import compare_bits, read_digests
from regression.machine.levels import claim
from regression.runs.launchers.launcher import Launcher
from regression.runs.runner import Runner
from regression.store.locks import WhenHeld
from regression.store.references import UnusableReferenceError, load_reference
from regression.store.units import UNIT_FILE, Unit, unit_folder
from reports.files import write_text_atomically
from reports.page import write_page
from reports.schema import (
    CURVE_COLUMNS,
    CURVES_FILE,
    VERDICT_FILE,
    Fingerprint,
    ReferenceInfo,
    SeedResult,
    Verdict,
)


@dataclass(frozen=True)
class Regression:
    """One regression.

    Attributes:
        job: what to train; its seeds are those of stage one.
        folder: of the whole run.
        console: where progress is shown, and why stage two is needed where it is.
        started: UTC, for the page only.
        when_held: what to do where another process works on this run.
        bits: how many seeds of the reference to train again, to compare bits.
        references_dir: folder of all references; the package's own, if None.
        launcher: of the units; processes of this machine, if None.
    """

    job: Job
    folder: Path
    console: Console
    started: datetime
    _: KW_ONLY
    when_held: WhenHeld = "refuse"
    bits: int = 0
    references_dir: Path | None = None
    launcher: Launcher | None = None

    def run(self) -> Verdict:
        """Trains, judges, and leaves verdict, curves, page and summary in the folder."""
        clock = time.monotonic()
        evidence = self._read(self._runner(self.job).run())
        wanted = weigh(evidence)
        if wanted.seeds_wanted and evidence.reference:
            seeds = stage_two_seeds(self.job, evidence.reference)
            self._say(f"{wanted.sentence}\nstage two: seeds {seeds[0]}-{seeds[-1]}")
            more_job = replace(self.job, seeds=seeds)
            more = self._runner(more_job).run()
            evidence = self._read([*evidence.results, *more], seeds)
        if self.bits and evidence.reference:
            evidence = self._with_bits(evidence, evidence.reference)
        verdict = judge(replace(evidence, wall_s=time.monotonic() - clock))
        for note in evidence.notes:
            self._say(note)
        write_text_atomically(self.folder / CURVES_FILE, evidence.curves.to_csv(index=False))
        write_text_atomically(self.folder / VERDICT_FILE, verdict.model_dump_json(indent=1) + "\n")
        write_page(self.folder)
        return verdict

    def _say(self, text: str) -> None:
        say(text, self.console)

    def _runner(self, job: Job) -> Runner:
        return Runner(
            job, self.folder, self.console, when_held=self.when_held, launcher=self.launcher
        )

    def _with_bits(self, evidence: Evidence, reference: ReferenceInfo) -> Evidence:
        """Trains the first seeds of the reference again, and compares them with what is stored.

        They are not candidates: the gate never sees them. One that fails makes the run INFRA.
        """
        job = replace(self.job, seeds=reference.seeds[: self.bits])
        here = Fingerprint.model_validate(evidence.fingerprint)
        promised = claim(here, reference.fingerprint).level > 0 and not job.fault
        _, stored = load_reference(job.recipe, self.references_dir)
        results = self._runner(job).run()
        checks, notes = [], []
        for seed in (result.seed for result in results if result.status == "complete"):
            curve = read_digests(unit_folder(self.folder, job, seed))
            of_seed = stored[stored["seed"] == seed]
            check = compare_bits(seed, curve, of_seed, promised=promised)
            checks += [check] if check else []
            notes += [] if check else [f"The reference stores no bits of seed {seed}."]
        return replace(
            evidence,
            results=[*evidence.results, *(one for one in results if one.status == "failed")],
            bits=checks,
            notes=[*evidence.notes, *notes],
        )

    def _read(self, results: list[SeedResult], stage_two: Sequence[int] = ()) -> Evidence:
        """The evidence so far, from the files of the units and of the reference."""
        job = self.job
        units = {
            result.seed: unit_folder(self.folder, job, result.seed)
            for result in results
            if result.status == "complete"
        }
        tables = [read_unit(unit, seed, "candidate") for seed, unit in units.items()]
        reference, why_not = None, ""
        try:
            reference, stored = load_reference(job.recipe, self.references_dir)
            tables.append(stored[list(CURVE_COLUMNS)])
        except UnusableReferenceError as error:
            why_not = str(error)
        return Evidence(
            job=job,
            results=results,
            curves=pd.concat(tables) if tables else pd.DataFrame(columns=list(CURVE_COLUMNS)),
            reference=reference,
            no_reference=why_not,
            fingerprint=merged_fingerprint(units),
            started_utc=self.started.isoformat(timespec="seconds"),
            wall_s=0.0,
            stage_two=list(stage_two),
            notes=[
                note
                for seed, unit in units.items()
                for note in record_notes(unit, seed, job.recipe)
            ],
        )


def merged_fingerprint(units: Mapping[int, Path]) -> dict[str, str]:
    """The fingerprint of a run: what its units saw where they were trained, all that differs.

    Args:
        units: their folders, by seed.
    """
    facts = [
        Unit.model_validate_json((unit / UNIT_FILE).read_bytes()).fingerprint
        for unit in units.values()
    ]
    return {
        name: " | ".join(sorted({of_unit.get(name, "unknown") for of_unit in facts}))
        for name in sorted({name for of_unit in facts for name in of_unit})
    }
