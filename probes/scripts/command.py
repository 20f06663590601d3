"""`dqn-harness script`: what a script does, read off while it trains, without editing it."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import tyro
from rich.console import Console

from probes.checks.registry import CHECKS
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern
from probes.diagnosis.show_report import exit_code, show_report
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.judging import as_finding, judged
from probes.recordings.of_seeds import other_run, same_run
from probes.recordings.reading_world import reading_world
from probes.recordings.recording import Recording, read_recording
from probes.scripts.constants import read_settings
from probes.scripts.learning import findings_in_worlds
from probes.scripts.observed import Plan, Script, ScriptError, observe
from probes.scripts.settings import seeded_otherwise, shortened
from probes.scripts.show_recording import AT_THE_BUDGET, show_failure, show_recording
from reports.command_line import run_function
from reports.schema import SCHEMA_VERSION, ExitCode, Finding, FindingStatus, ProbeReport

SEAL: Final = "seal.json"
OWN: Final = "--"  # what follows is the script's
OFTEN: Final = 0.1  # of the updates, in which another network is no slip
LONGER: Final = 5
MOST_ATTEMPTS: Final = 4  # at settings under which everything is seen
SAME_RUN: Final = "seeding.same-seed-same-run"
OTHER_RUN: Final = "seeding.other-seed-other-run"


class Work(NamedTuple):
    """How long a script is run.

    Attributes:
        steps: while it is read.
        updates: in each world with solved values; 0 leaves them out.
        seconds: of each run, at most.
        online: a name of the network that is judged; "" for the one that is trained most.
    """

    steps: int
    updates: int
    seconds: float
    online: str


def main(words: Sequence[str], called: str) -> ExitCode:
    """Runs a command line: options, the script, and after `--` its own arguments."""
    split = list(words).index(OWN) if OWN in words else len(words)
    own = tuple(words[split + 1 :])
    options, module = _without_module(list(words[:split]))
    # What a front end cannot give as words.
    if not options and (named := os.environ.get("HARNESS_SCRIPT")):
        options, own = [named], tuple(shlex.split(os.environ.get("HARNESS_ARGUMENTS", "")))
        if interpreter := os.environ.get("HARNESS_INTERPRETER"):
            options += ["--python", interpreter]

    def script(  # noqa: PLR0913, PLR0917  # one for each option
        file: Annotated[Path, tyro.conf.Positional],
        python: str = "",
        steps: int = 600,
        updates: int = 1_500,
        seconds: float = 60.0,
        online: str = "",
        keep: Path | None = None,
        constants: Annotated[
            tyro.conf.UseAppendAction[tuple[str, ...]],
            tyro.conf.arg(name="set", metavar="NAME=VALUE"),
        ] = (),
    ) -> ExitCode:
        """Runs a script as it is in a world of ours, and tells what it does.

        Args:
            file: the script, or -m and the name of a module; what follows -- is given to it. A
                folder with a recording is judged as it is.
            python: the interpreter that runs it, such as .venv/bin/python of its project; the one
                of this command, if not given.
            steps: of its environments, after which it is stopped while it is read.
            updates: after which it is stopped in each world with solved values; 0 leaves them out.
            seconds: after which it is stopped anyway.
            online: which network is judged, where several are trained, as the script calls it.
            keep: folder where the recording is left; it must be new or empty.
            constants: another value for a constant of the script, such as GAMMA=0.9; may be given
                again.
        """
        if (file / SEAL).is_file():
            return show_kept(file, online)
        chosen = Script(file, own, python or sys.executable, read_settings(constants), module)
        return show_script(chosen, Work(steps, updates, seconds, online), keep)

    return run_function(script, options, called)


def _without_module(words: list[str]) -> tuple[list[str], str]:
    """The words with the file of a module in place of `-m` and its name, and that name."""
    if "-m" not in words or words.index("-m") + 1 == len(words):
        return words, ""
    place = words.index("-m")
    name = words[place + 1]
    stem = Path(*name.split("."))
    package = stem / "__main__.py"
    file = package if package.is_file() else stem.with_suffix(".py")
    return [*words[:place], str(file), *words[place + 2 :]], name


def show_script(script: Script, work: Work, keep: Path | None) -> ExitCode:
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
        script, plan, recording = _recorded(script, work, folder, console)
        facts = Facts(recording, work.online)
        _refuse_several(facts, work.online)
        show_recording(facts, script.path.name, console)
        show_failure(script, recording, console)
        if not recording.meta.optimizer_steps:
            return ExitCode.USAGE
        findings = list(judged(facts))
        red = [one.check for one in findings if one.status is FindingStatus.RED]
        first = f"{len(red)} red so far{': ' if red else ''}{', '.join(red)}"
        console.print(f"{first}; now run again", markup=False)
        findings += _run_again(script, plan, recording, folder)
        if work.updates:
            findings += findings_in_worlds(
                script, facts, work.updates, work.seconds, folder,
                say=lambda words: console.print(words, markup=False, style="dim"),
            )  # fmt: skip
    return _conclude(str(script.path), findings, started, console)


def show_kept(folder: Path, online: str) -> ExitCode:
    """Prints what a recording that was kept shows, without running anything.

    Raises:
        RecordingError: if it is not whole.
    """
    started = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 160)
    recording = read_recording(folder)
    facts = Facts(recording, online)
    _refuse_several(facts, online)
    show_recording(facts, Path(recording.meta.arguments[0]).name, console)
    if not recording.meta.optimizer_steps:
        return ExitCode.USAGE
    return _conclude(str(folder), list(judged(facts)), started, console)


def _conclude(subject: str, findings: list[Finding], started: float, console: Console) -> ExitCode:
    """Prints what is wrong and which component it points to."""
    suspicions, experiment = diagnose(
        pattern(findings), load_dictionary(), tried=[check.code for check in CHECKS]
    )
    report = ProbeReport(
        schema_version=SCHEMA_VERSION, subject=subject, seed=0, findings=findings,
        suspicions=suspicions, experiment=experiment, wall_s=time.monotonic() - started,
    )  # fmt: skip
    show_report(report, console, news_only=True)
    return exit_code(findings)


def _refuse_several(facts: Facts, online: str) -> None:
    """Asks which network is meant, where none or several are.

    Raises:
        ScriptError: naming those that are trained.
    """
    trained = facts.trained
    told = ", ".join(f"{name} ({count:,} updates)" for name, count in trained.items())
    if online and online not in {
        name for names in facts.recording.meta.network_names for name in names
    }:
        raise ScriptError(f"--online: expected a network of {told or 'none'}, got {online!r}")
    few = min(trained.values(), default=0)
    if not online and len(trained) > 1 and few > OFTEN * sum(trained.values()):
        raise ScriptError(f"several networks are trained: {told}\n  next      --online NAME")


def _recorded(
    script: Script, work: Work, folder: Path, console: Console
) -> tuple[Script, Plan, Recording]:
    """A recording in the reading world, with smaller settings where larger ones hide something."""
    plan = Plan(work.steps, work.seconds, reading_world())
    recording = observe(script, plan, folder / "watched")
    for attempt in range(MOST_ATTEMPTS):
        if not (kinds := _hidden(Facts(recording, work.online))):
            break
        shorter, told = shortened(script, kinds)
        waiting = "warmup" in kinds and recording.meta.ended == AT_THE_BUDGET
        if not told and waiting and plan.steps == work.steps:
            plan = replace(plan, steps=LONGER * work.steps)
            told = [f"{plan.steps:,} steps (were {work.steps:,})"]
        if not told:
            break
        for words in told:
            console.print(f"set for this run alone: {words}", markup=False)
        script = shorter
        recording = observe(script, plan, folder / f"watched-{attempt + 2}")
    return script, plan, recording


def _hidden(facts: Facts) -> list[str]:
    """What a recording does not show because it comes late."""
    if facts.recording.meta.ended.startswith("MemoryError"):
        return ["memory"]
    if not facts.recording.meta.environments:
        return []
    try:
        facts.updates  # noqa: B018  # raises where there is none
    except NotSeenError:
        return ["warmup", "sync"]
    try:
        facts.syncs  # noqa: B018
    except NotSeenError:
        return ["sync"] if facts.roles.target is not None else []
    return []


def _run_again(script: Script, plan: Plan, recording: Recording, folder: Path) -> Iterator[Finding]:
    """The same run without being looked into, and one with another seed."""
    plan = replace(plan, networks=False)
    yield as_finding(
        SAME_RUN, same_run(recording, observe(script, plan, folder / "alone")), advises=True
    )
    other = seeded_otherwise(script)
    if other is None:
        yield as_finding(OTHER_RUN, "no argument and no constant is called seed")
    else:
        found = other_run(recording, observe(other, plan, folder / "seed"))
        # A constant of that name may be another one than the seed that is used.
        yield as_finding(OTHER_RUN, found, advises=other.arguments == script.arguments)
