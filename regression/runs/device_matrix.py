"""One recipe on several devices: a regression for each cell, and a verdict on all of them.

Each cell has a folder of its own below the matrix's, with its units, verdict and page, which can be
resumed, judged or blessed like any run. The matrix adds what no cell can see: with several
looks a false alarm is likelier, so Holm's correction is over all cells; and where the fingerprints
of two cells promise equal bits, those of equal seeds are compared.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError
from rich.console import Console

from dqn_core.files import replace_text
from regression.console import say
from regression.gate.decide import STAGE_TWO_ALPHA
from regression.gate.permutation import holm
from regression.gate.value_shift import comparable_p, confirmed
from regression.job.job import Job, UsageError
from regression.job.job_file import describe, record, resumed_job
from regression.machine.bits import compare_bits, read_digests
from regression.machine.levels import claim
from regression.runs.launchers.launcher import Launcher
from regression.runs.stages import Regression
from regression.store.locks import WhenHeld
from regression.store.units import unit_folder
from reports.files import write_text_atomically
from reports.page import write_page
from reports.schema import CURVES_FILE, VERDICT_FILE, Artifact, Cell, Verdict, VerdictName

CELLS_FILE: Final = "cells.json"
# The first one that any cell has is the matrix's.
WORST_FIRST: Final = (
    VerdictName.FAIL,
    VerdictName.INFRA,
    VerdictName.INCONCLUSIVE,
    VerdictName.WATCH,
    VerdictName.BETTER,
    VerdictName.PASS,
)

# Names of folders below the matrix's, and nowhere else.
CellName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,100}$")]


class Cells(Artifact):
    """What a matrix consists of, in `cells.json`."""

    names: list[CellName]


@dataclass(frozen=True)
class SharedBits:
    """Seeds that two cells have trained, where equal bits are promised.

    Attributes:
        cells: names of the two.
        level: that their fingerprints claim, 1 to 3.
        seeds: compared.
        parted: those whose bits differ, with the step of the first window that does.
    """

    cells: tuple[str, str]
    level: int
    seeds: list[int]
    parted: dict[int, int]


@dataclass(frozen=True)
class DeviceMatrix:
    """A regression for each of several jobs, one after another.

    Attributes:
        jobs: the cells; each has another device.
        folder: of the whole matrix.
        console: where progress is shown.
        started: UTC, for the page only.
        when_held: what to do where another process works on a cell.
        bits: how many seeds of the reference each cell trains again.
        references_dir: folder of all references; the package's own, if None.
        launcher: of the units; processes of this machine, if None.
    """

    jobs: Sequence[Job]
    folder: Path
    console: Console
    started: datetime
    _: KW_ONLY
    when_held: WhenHeld = "refuse"
    bits: int = 0
    references_dir: Path | None = None
    launcher: Launcher | None = None

    def run(self) -> Verdict:
        """Trains and judges every cell, and leaves the verdict on all, with a page, above them."""
        clock = time.monotonic()
        folders = {cell_name(job): self.folder / cell_name(job) for job in self.jobs}
        # First of all, so that an interrupted matrix knows its cells, and never passes without one.
        replace_text(
            self.folder / CELLS_FILE, Cells(names=list(folders)).model_dump_json(indent=1) + "\n"
        )
        for job in self.jobs:
            folders[cell_name(job)].mkdir(exist_ok=True)
            record(folders[cell_name(job)], describe(job))
        verdicts = {}
        for job in self.jobs:
            name = cell_name(job)
            self._say(f"cell {name}")
            verdicts[name] = Regression(
                job,
                folders[name],
                self.console,
                self.started,
                when_held=self.when_held,
                bits=self.bits,
                references_dir=self.references_dir,
                launcher=self.launcher,
            ).run()
        whole, worst = judge_matrix(verdicts, self._shared_bits(verdicts))
        whole = whole.model_copy(update={"wall_s": time.monotonic() - clock})
        curves = (folders[worst] / CURVES_FILE).read_text(encoding="utf-8")
        write_text_atomically(self.folder / CURVES_FILE, curves)
        write_text_atomically(self.folder / VERDICT_FILE, whole.model_dump_json(indent=1) + "\n")
        write_page(self.folder)
        return whole

    def _shared_bits(self, verdicts: dict[str, Verdict]) -> list[SharedBits]:
        """Of each two cells that promise each other bits, over the seeds that both have."""
        found = []
        for one, other in combinations(self.jobs, 2):
            names = (cell_name(one), cell_name(other))
            here, there = (verdicts[name] for name in names)
            level = claim(here.fingerprint, there.fingerprint).level
            if level == 0 or one.recipe.digest() != other.recipe.digest():
                continue
            seeds = sorted(_complete(here) & _complete(there))
            parted = {}
            for seed in seeds:
                ours, theirs = (
                    read_digests(unit_folder(self.folder / name, job, seed))
                    for name, job in zip(names, (one, other), strict=True)
                )
                check = compare_bits(seed, ours, theirs, promised=True)
                if check and check.first_difference is not None:
                    parted[seed] = check.first_difference
            found.append(SharedBits(names, level, seeds, parted))
        return found

    def _say(self, text: str) -> None:
        say(text, self.console)


def cell_name(job: Job) -> str:
    """Of a cell and of its folder, such as "pong-cuda-1"."""
    return f"{job.recipe.name}-{job.device}".replace(":", "-")


def resumed_cells(folder: Path) -> list[Job]:
    """The jobs of a matrix's folder, to resume it; none if it is another kind of run.

    Raises:
        UsageError: if a cell is missing or cannot be read, or if its job has changed.
    """
    try:
        stored = (folder / CELLS_FILE).read_bytes()
    except FileNotFoundError:
        return []
    try:
        names = Cells.model_validate_json(stored).names
    except ValidationError as error:
        raise UsageError(f"{folder / CELLS_FILE} cannot be read: {error}") from error
    jobs = [resumed_job(folder / name) for name in names]
    for name, job in zip(names, jobs, strict=True):
        if name != cell_name(job):
            raise UsageError(
                f"{folder / name} is not a cell of a matrix: its job is {cell_name(job)}"
            )
    return jobs


def judge_matrix(verdicts: dict[str, Verdict], shared: Sequence[SharedBits]) -> tuple[Verdict, str]:
    """The verdict on all cells, and the name of the worst one, whose numbers it shows.

    A FAIL stands only where the p-value of stage two, by Holm's correction over all cells, is at
    most the gate's alpha; a cell that stage two was not needed for counts with p = 1. Bits that
    differ where equal ones are promised turn a PASS into a WATCH.

    Args:
        verdicts: of the cells, by name.
        shared: cells that promise each other bits.

    References:
        Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    p_values = [_p_value(verdict) for verdict in verdicts.values()]
    adjusted = holm([1.0 if p is None else p for p in p_values])
    cells = {
        name: _cell(name, verdict, p, corrected)
        for (name, verdict), p, corrected in zip(verdicts.items(), p_values, adjusted, strict=True)
    }
    worst = min(cells, key=lambda name: WORST_FIRST.index(cells[name].verdict))
    named, sentence = cells[worst].verdict, f"{worst}: {cells[worst].sentence}"
    parted = [one for one in shared if one.parted]
    if parted:
        pairs = "; ".join(" and ".join(one.cells) for one in parted)
        sentence += f" Bits differ between cells that promise equal ones: {pairs}."
        named = VerdictName.WATCH if named is VerdictName.PASS else named
    whole = verdicts[worst].model_copy(
        update={
            "verdict": named,
            "sentence": sentence,
            "device": ", ".join(verdict.device for verdict in verdicts.values()),
            "cells": list(cells.values()),
            "reproduce": [line for verdict in verdicts.values() for line in verdict.reproduce],
            "notes": [
                *(f"{name}: {note}" for name, one in verdicts.items() for note in one.notes),
                *map(_shared_note, shared),
            ],
        }
    )
    return whole, worst


def _cell(name: str, verdict: Verdict, p_value: float | None, corrected: float) -> Cell:
    named, sentence = verdict.verdict, verdict.sentence
    # Without a p-value chance is no explanation: two seeds were one run, or one diverged.
    if named is VerdictName.FAIL and p_value is not None and corrected > STAGE_TWO_ALPHA:
        named = VerdictName.WATCH
        sentence += (
            f" Over all cells of the matrix that is no FAIL: by Holm's correction p = "
            f"{corrected:.2g}, above {STAGE_TWO_ALPHA:g}."
        )
    return Cell(
        name=name,
        device=verdict.device,
        verdict=named,
        sentence=sentence,
        seeds=len(verdict.seeds),
        p_value=p_value,
        p_holm=None if p_value is None else corrected,
        level=verdict.level,
    )


def _p_value(verdict: Verdict) -> float | None:
    """Of what stage two confirmed; None where it was not needed, or nothing was compared."""
    decisive = [one.p_value for one in verdict.criteria if one.decides and one.stage == 2]
    decisive += [comparable_p(one) for one in confirmed(verdict.criteria)]
    return min(decisive, default=None)


def _complete(verdict: Verdict) -> set[int]:
    return {result.seed for result in verdict.seeds if result.status == "complete"}


def _shared_note(shared: SharedBits) -> str:
    head = f"{' and '.join(shared.cells)} promise equal bits (level {shared.level})"
    if not shared.seeds:
        return f"{head}, but have no seed in common."
    if not shared.parted:
        return f"{head}: equal in all windows of {len(shared.seeds)} seeds."
    steps = ", ".join(f"{seed} from step {step} on" for seed, step in shared.parted.items())
    return f"{head}, but differ: seed {steps}."
