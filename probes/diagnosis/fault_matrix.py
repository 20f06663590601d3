"""`python -m probes faults`: plants every fault, runs the checks, and stores the dictionary."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import tyro
from rich.console import Console
from rich.table import Table

from dqn_core.files import replace_text
from probes.checks.registry import CHECKS, check_named
from probes.diagnosis.diagnose import EVIDENCE, diagnose
from probes.diagnosis.docs_pages import CHECKS_PAGE, DOCS, write_pages
from probes.faults.catalogue import FAULTS
from probes.faults.fault import Fault
from probes.running.isolation import CheckJob, Loaded, run_jobs
from reports.schema import (
    SCHEMA_VERSION,
    Dictionary,
    DictionaryRow,
    ExitCode,
    Finding,
    FindingStatus,
)

HEARTBEAT_S: Final = 10.0
# A fault is seen where a check is red, or advises against it.
SEEN: Final = frozenset({FindingStatus.RED, FindingStatus.ADVICE})
IN_A_CHECKOUT: Final = (DOCS / CHECKS_PAGE).exists()
# An installed package is left as it is, and has no pages beside it.
STORED: Final = (
    Path(__file__).parent / "dictionary.json" if IN_A_CHECKOUT else Path("runs") / "faults.json"
)


def measure(
    seed: Annotated[int, tyro.conf.arg(help="of checks and subjects")] = 0,
    out: Annotated[Path, tyro.conf.arg(help="where the dictionary is written")] = STORED,
    pages: Annotated[Path, tyro.conf.arg(help="folder whose pages are renewed, if any")] = DOCS,
) -> ExitCode:
    """Runs every check on every planted fault; with frames only where a fault needs them."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    started = last_beat = time.monotonic()
    jobs = [
        CheckJob(check, "", fault.name, seed)
        for fault in FAULTS
        for check in CHECKS
        if not check.shows_frames or _needs_frames(fault)
    ]
    console.print(f"{len(FAULTS)} faults, {len(CHECKS)} checks, {len(jobs)} runs")
    found: dict[str, list[Finding]] = {fault.name: [] for fault in FAULTS}
    judged_ones = (one for one in run_jobs(jobs) if not isinstance(one, Loaded))
    for index, (job, finding) in enumerate(judged_ones, start=1):
        found[job.fault].append(finding)
        if time.monotonic() - last_beat > HEARTBEAT_S:
            last_beat = time.monotonic()
            left = (last_beat - started) * (len(jobs) - index) / index
            console.print(f"{index:,} of {len(jobs):,} runs, {left:.0f} s left", style="dim")
    rows = [_row(fault, found[fault.name]) for fault in FAULTS]
    dictionary = judged(seed, rows, time.monotonic() - started)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_text(out, dictionary_text(dictionary))
    if (pages / CHECKS_PAGE).exists():
        write_pages(dictionary, pages)
    console.print(_table(dictionary))
    console.print(
        f"{dictionary.detected:.0%} of {len(rows)} faults turn a check red, {dictionary.named:.0%} "
        f"have their component ranked first, {dictionary.named_unseen:.0%} without their own row; "
        f"{dictionary.wall_s:.0f} s"
    )
    return ExitCode.OK if dictionary.detected == 1.0 else ExitCode.FAIL


def _needs_frames(fault: Fault) -> bool:
    """Whether a fault is shown frames, which take long, and which few faults need."""
    return any(check_named(code).shows_frames for code in fault.caught_by)


def _row(fault: Fault, findings: Sequence[Finding]) -> DictionaryRow:
    return DictionaryRow(
        fault=fault.name,
        component=fault.component,
        what=fault.what,
        red=sorted(f.check for f in findings if f.status in SEEN),
        ran=sorted(f.check for f in findings if f.status in EVIDENCE | SEEN),
        wall_s=sum(finding.wall_s for finding in findings),
    )


def judged(seed: int, rows: list[DictionaryRow], wall_s: float) -> Dictionary:
    """The dictionary of some rows, with what it knows of each fault, with and without its row."""
    blank = Dictionary(
        schema_version=SCHEMA_VERSION,
        checks={check.code: check.version for check in CHECKS},
        seed=seed,
        rows=rows,
        detected=sum(bool(row.red) for row in rows) / len(rows),
        named=0.0,
        named_unseen=0.0,
        wall_s=wall_s,
    )
    named = unseen = 0
    for row in rows:
        others = blank.model_copy(update={"rows": [other for other in rows if other != row]})
        named += _first(row, blank) == row.component
        unseen += _first(row, others) == row.component
    return blank.model_copy(update={"named": named / len(rows), "named_unseen": unseen / len(rows)})


def dictionary_text(dictionary: Dictionary) -> str:
    """The dictionary as JSON with one line for each check and each fault, for readable diffs."""
    dumps = partial(json.dumps, ensure_ascii=False)
    fields = []
    for name, value in dictionary.model_dump(mode="json").items():
        match value:
            case dict():
                entries = [f"{dumps(key)}: {dumps(entry)}" for key, entry in value.items()]
                text = "{\n  " + ",\n  ".join(entries) + "\n }"
            case list():
                text = "[\n  " + ",\n  ".join(map(dumps, value)) + "\n ]"
            case _:
                text = dumps(value)
        fields.append(f" {dumps(name)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _first(row: DictionaryRow, dictionary: Dictionary) -> str:
    """The component that is ranked first for the pattern of a fault."""
    red = {code: code in row.red for code in row.ran}
    suspicions, _ = diagnose(red, dictionary)
    return suspicions[0].component if suspicions else ""


def _table(dictionary: Dictionary) -> Table:
    table = Table("fault", "component", "red", "time")
    for row in dictionary.rows:
        shown = ", ".join(row.red[:4]) + (f" and {len(row.red) - 4} more" if row.red[4:] else "")
        table.add_row(row.fault, row.component, shown, f"{row.wall_s:.1f} s")
    return table
