"""Command line: `python -m reports page FOLDER` and `python -m reports gate FOLDER`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import tyro

from reports.gate import exit_code
from reports.load import ArtifactError, MissingArtifactError
from reports.page import write_page
from reports.schema import ExitCode

# The run to show or judge, if none is named: make passes RUN= in this variable.
_RUN: Final = Path(os.environ.get("HARNESS_RUN") or "runs/latest")


def page(folder: tyro.conf.Positional[Path] = _RUN) -> ExitCode:
    """Build report.html and summary.md from the artifacts of a run.

    Args:
        folder: the run's folder.
    """
    try:
        print(write_page(folder))
    except (ArtifactError, OSError) as error:
        print(error, file=sys.stderr)
        missing = isinstance(error, MissingArtifactError)
        return ExitCode.NOTHING_RAN if missing else ExitCode.INFRA
    return ExitCode.OK


def gate(folder: tyro.conf.Positional[Path] = _RUN) -> ExitCode:
    """Exit with the code of the verdict that a run has stored.

    Args:
        folder: the run's folder.
    """
    code, message = exit_code(folder)
    print(message, file=sys.stdout if code is ExitCode.OK else sys.stderr)
    return code


def main(args: Sequence[str] | None = None) -> ExitCode:
    """Runs one command; `args` defaults to those of the process."""
    try:
        return tyro.extras.subcommand_cli_from_dict(
            {"page": page, "gate": gate}, prog="python -m reports", args=args
        )
    except SystemExit as stopped:
        # The parser's own code for wrong usage, 2, means an interrupted run here.
        return ExitCode.USAGE if stopped.code else ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
