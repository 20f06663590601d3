"""Command line: `python -m reports page FOLDER`, `gate FOLDER`, `matrix`, and `bench`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import tyro
from pydantic import ValidationError

from reports.benchmarks import benchmarks_markdown
from reports.command_line import Command, run_command
from reports.files import write_text_atomically
from reports.gate import exit_code
from reports.load import ArtifactError, MissingArtifactError
from reports.matrix import draw_matrix
from reports.page import write_page
from reports.schema import Dictionary, ExitCode

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


def matrix(
    dictionary: tyro.conf.Positional[Path] = Path("probes/diagnosis/dictionary.json"),
    drawing: tyro.conf.Positional[Path] = Path("docs/faults.svg"),
) -> ExitCode:
    """Draw which fault turns which check red.

    Args:
        dictionary: as `python -m probes faults` wrote it.
        drawing: the SVG file to write.
    """
    try:
        stored = Dictionary.model_validate_json(dictionary.read_text("utf-8"))
        drawing.parent.mkdir(exist_ok=True)
        write_text_atomically(drawing, draw_matrix(stored) + "\n")
    except (OSError, ValidationError) as error:
        print(f"{dictionary}: {error}", file=sys.stderr)
        return ExitCode.INFRA
    print(drawing)
    return ExitCode.OK


def bench(
    stored: tyro.conf.Positional[Path] = Path("runs/bench.json"),
    page: tyro.conf.Positional[Path] = Path("docs/benchmarks.md"),
) -> ExitCode:
    """Tabulate a run of the benchmarks.

    Args:
        stored: as `pytest --benchmark-json` wrote it.
        page: the Markdown file to write.
    """
    try:
        write_text_atomically(page, benchmarks_markdown(stored))
    except (OSError, ValidationError) as error:
        print(f"{stored}: {error}", file=sys.stderr)
        return ExitCode.INFRA
    print(page)
    return ExitCode.OK


COMMANDS: Final[Mapping[str, Command]] = {
    "page": page,
    "gate": gate,
    "matrix": matrix,
    "bench": bench,
}


def main(words: Sequence[str] | None = None, called: str = "") -> int:
    """Runs a command line; returns the exit code.

    Args:
        words: of the command line; those of this process, if None.
        called: how the command is called, if not by `python -m`.
    """
    try:
        words = sys.argv[1:] if words is None else words
        return run_command(COMMANDS, words, "python -m reports", called)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
