"""`dqn-harness script`: what a script does, read off while it trains, without editing it."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import tyro
from rich.console import Console
from rich.table import Table

from probes.checks.registry import CHECKS
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern
from probes.diagnosis.show_report import exit_code, show_report
from probes.recordings.asked import surprises
from probes.recordings.facts import Facts
from probes.recordings.judging import judged
from probes.recordings.reading import Reading
from probes.recordings.reading_world import reading_world
from probes.recordings.readings import readings
from probes.recordings.recording import Recording
from probes.scripts.constants import read_settings
from probes.scripts.observed import Plan, Script, ScriptError, observe
from reports.command_line import run_function
from reports.schema import SCHEMA_VERSION, ExitCode, ProbeReport

OWN: Final = "--"  # what follows is the script's
ENOUGH: Final = ("at the budget", "by itself")


def main(words: Sequence[str], called: str) -> ExitCode:
    """Runs a command line: options, the script, and after `--` its own arguments."""
    split = list(words).index(OWN) if OWN in words else len(words)
    own = tuple(words[split + 1 :])

    def script(
        file: Annotated[Path, tyro.conf.Positional],
        python: str = "",
        steps: int = 600,
        seconds: float = 120.0,
        keep: Path | None = None,
        constants: Annotated[
            tyro.conf.UseAppendAction[tuple[str, ...]],
            tyro.conf.arg(name="set", metavar="NAME=VALUE"),
        ] = (),
    ) -> ExitCode:
        """Runs a script as it is in a world of ours, and tells what it does.

        Args:
            file: the script; what follows -- is given to it.
            python: the interpreter that runs it, such as .venv/bin/python of its project; the one
                of this command, if not given.
            steps: of its environments, after which it is stopped.
            seconds: after which it is stopped anyway.
            keep: folder where the recording is left; it must be new or empty.
            constants: another value for a constant of the script, such as GAMMA=0.9; may be given
                again.
        """
        chosen = Script(file, own, python or sys.executable, read_settings(constants))
        return show_script(chosen, Plan(steps, seconds, reading_world()), keep)

    return run_function(script, list(words[:split]), called)


def show_script(script: Script, plan: Plan, keep: Path | None) -> ExitCode:
    """Observes a script, and prints what it does, and what of it is wrong.

    Returns:
        What the checks come to; USAGE if the script did not train.

    Raises:
        ScriptError: if nothing was recorded.
    """
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise ScriptError(f"--keep: expected a new or empty folder, {keep} holds files")
    started = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="dqn-harness-") as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        recording = observe(script, plan, folder / "watched")
        trained = bool(recording.meta.optimizer_steps)
        alone = replace(plan, networks=False)
        again = observe(script, alone, folder / "alone") if trained else recording
    facts = Facts(recording)
    console.print(_table(script, readings(facts)))
    for surprise in surprises(recording):
        console.print(f"asked for: {surprise}", markup=False)
    for note in recording.meta.notes:
        console.print(f"note: {note}", markup=False, style="dim")
    _tell_its_end(script, recording, console)
    findings = list(judged(facts, again))
    suspicions, experiment = diagnose(
        pattern(findings), load_dictionary(), tried=[check.code for check in CHECKS]
    )
    report = ProbeReport(
        schema_version=SCHEMA_VERSION, subject=str(script.path), seed=0, findings=findings,
        suspicions=suspicions, experiment=experiment, wall_s=time.monotonic() - started,
    )  # fmt: skip
    show_report(report, console, news_only=True)
    return ExitCode.USAGE if not recording.meta.optimizer_steps else exit_code(findings)


def _table(script: Script, found: Sequence[Reading]) -> Table:
    table = Table(f"{script.path.name} does", "as observed", "Mnih et al. 2015")
    for reading in found:
        table.add_row(reading.name, reading.found, reading.published,
                      style=None if reading.seen else "yellow")  # fmt: skip
    return table


def _tell_its_end(script: Script, recording: Recording, console: Console) -> None:
    meta = recording.meta
    took = f"{meta.steps:,} steps and {len(meta.optimizer_steps):,} updates"
    console.print(f"{took}, {meta.processor_s:.1f} s; ended {meta.ended}", markup=False)
    where = f" at {meta.place}" if meta.place else ""
    if meta.ended not in ENOUGH and not meta.ended.startswith("after"):
        versions = ", ".join(f"{name} {version}" for name, version in meta.versions.items())
        console.print(
            f"{script.path.name} broke{where}: {meta.ended}\n"
            f"  with      {versions}\n"
            "  next      run it by itself; name the interpreter that it is written for by --python",
            markup=False, style="red",
        )  # fmt: skip
