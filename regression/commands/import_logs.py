"""The command `import`: makes a run folder of the logs of another program, and judges it."""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import tyro
from pydantic import ValidationError

from dqn_core.recipes.file import recipe_names
from regression.console import say, say_verdict
from regression.importers.event_files import TAG
from regression.importers.formats import FORMATS, METRICS, guess_format
from regression.importers.run_folder import read_logs, seeds_of, store_logs
from regression.job.job import UsageError
from regression.job.job_file import JobError, read_job
from regression.job.log_protocol import IMPORTED, LogFormat, LogProtocol
from regression.job.run_folders import new_run_folder, point_latest_at
from regression.runs.rejudge import judge_stored
from reports.schema import EXIT_CODES, ExitCode

# Which part of a log is read, if nothing else is asked for.
SERIES: Final[dict[LogFormat, dict[str, str]]] = {
    "monitor": {},
    "evaluations": {},
    "tensorboard": {"tag": TAG},
    "csv": {"step": "step", "return": "return", "length": ""},
}
LOGS: Final = "HARNESS_LOGS"  # the logs, where a front end cannot give arguments


def import_logs(  # noqa: PLR0913  # one for each flag
    paths: tyro.conf.Positional[tuple[Path, ...]] = (),
    *,
    name: str = "",
    format: str = "",
    seeds: str = "",
    total_steps: Annotated[int, tyro.conf.arg(aliases=("--steps",))] = 0,
    window_steps: Annotated[int, tyro.conf.arg(aliases=("--window",))] = 0,
    tag: str = "",
    step_column: str = "",
    return_column: str = "",
    length_column: str = "",
    into: Path | None = None,
    references: Path | None = None,
) -> ExitCode:
    """Makes a run folder of the logs of another program, and judges it.

    Args:
        paths: one file or folder for each seed.
        name: of what is compared: lower case, digits and dashes.
        format: monitor, evaluations, tensorboard or csv; by what is there, if not given.
        seeds: of the logs, in their order (3,4,7 or 3-7); by their names, if not given.
        total_steps: agent steps of every run, a multiple of the window.
        window_steps: agent steps of a window, over which episodes are averaged.
        tag: of the returns in event files; charts/episodic_return, if not given.
        step_column: name of the column of agent steps in csv; step, if not given.
        return_column: name of the column of returns in csv; return, if not given.
        length_column: name of the column of lengths in csv; none, if not given.
        into: add further seeds, as stage two, to the run in this folder.
        references: folder of the references; the package's own, if not given.
    """
    logs = paths or tuple(map(Path, shlex.split(os.environ.get(LOGS, ""))))
    if not logs:
        raise UsageError("import: expected one file or folder for each seed, got none")
    started = datetime.now(UTC)
    there = _protocol(into) if into else None
    chosen = _format(format or (there.format if there else ""), logs)
    words = {"tag": tag, "step": step_column, "return": return_column, "length": length_column}
    before = there.series if there else SERIES[chosen]
    asked: dict[str, Any] = {
        "name": name,
        "format": chosen,
        "series": {part: words[part] or default for part, default in before.items()},
        "total_steps": total_steps,
        "window_steps": window_steps,
    }
    protocol = _as_asked(there, asked, into) if there else _new(asked)
    protocol, read = read_logs(logs, seeds_of(logs, seeds), protocol)
    for log in read:
        say("\n  ".join([str(log), *log.notes]))
    folder = into or new_run_folder(f"import-{protocol.name}-{started:%Y%m%dT%H%M%S}")
    store_logs(folder, protocol, read, say)
    if not into:
        point_latest_at(folder)
    verdict = judge_stored(folder, references, say)
    say_verdict(verdict, folder)
    return EXIT_CODES[verdict.verdict]


def _format(words: str, logs: tuple[Path, ...]) -> LogFormat:
    """The format asked for; else the one that all logs look like."""
    if not words:
        guessed = {guess_format(path): path for path in logs}
        if len(guessed) > 1:
            found = ", ".join(f"{path} {name}" for name, path in guessed.items())
            raise UsageError(f"import: expected logs of one format, got {found}")
        say(f"format {next(iter(guessed))}, by what is there")
        return next(iter(guessed))
    for known in FORMATS:
        if known == words:
            return known
    raise UsageError(f"format: expected one of {', '.join(FORMATS)}, got {words!r}")


def _new(asked: dict[str, Any]) -> LogProtocol:
    if asked["name"] in recipe_names():
        raise UsageError(f"name: {asked['name']} is a recipe of the harness; take another one")
    try:
        return LogProtocol(kind=IMPORTED, metric=METRICS[asked["format"]], environment="", **asked)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, e['loc'])) or 'steps'}: {e['msg']}, got {str(e['input'])[:100]!r}"
            for e in error.errors(include_url=False)
        ]
        way_out = "next      say --name, --total-steps and --window-steps, the same for all seeds"
        raise UsageError(
            "\n  ".join(["import: such curves cannot be made", *wrong, way_out])
        ) from None


def _protocol(into: Path) -> LogProtocol:
    found = read_job(into).declared()
    if not isinstance(found, LogProtocol):
        raise JobError(
            f"{into} was trained here; only imported seeds can be added to imported ones"
        )
    return found


def _as_asked(protocol: LogProtocol, asked: dict[str, Any], into: Path | None) -> LogProtocol:
    """The protocol of a run, unless something else was asked for."""
    there = protocol.model_dump()
    differing = [
        f"{name}: {there[name]!r} in {into}, {value!r} here"
        for name, value in asked.items()
        if value and value != there[name]
    ]
    if differing:
        way_out = "next      import a new run, or leave these flags out"
        raise JobError("\n  ".join([f"{into} has another protocol", *differing, way_out]))
    return protocol
