"""The command `merge`: run folders of several machines become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from regression.console import say
from regression.runs.merge import merge_runs
from reports.command_line import next_command
from reports.schema import ExitCode


def merge(
    into: Annotated[Path, tyro.conf.Positional], runs: Annotated[list[Path], tyro.conf.Positional]
) -> ExitCode:
    """Brings the sealed units of several runs of one job into one folder.

    Args:
        into: folder of the whole run; made if missing.
        runs: folders to take units from; nothing in them is changed.
    """
    for note in merge_runs(into, runs):
        say(note)
    say(f"judge the whole with {next_command('regress', resume=str(into))}")
    return ExitCode.OK
