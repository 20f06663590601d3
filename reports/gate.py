"""Turns a stored verdict into an exit code, so that a build can stop on it."""

from __future__ import annotations

from pathlib import Path

from reports.load import ArtifactError, MissingArtifactError, read_verdict
from reports.schema import EXIT_CODES, ExitCode
from reports.text import one_line


def exit_code(folder: Path) -> tuple[ExitCode, str]:
    """What a build should do with the run in `folder`, and the message that says why.

    A run that left nothing, or something unreadable, is never a pass.

    Args:
        folder: a run's folder.

    Returns:
        The exit code; the verdict on one line, or the several lines of what is wrong.
    """
    try:
        verdict = read_verdict(folder)
    except MissingArtifactError as error:
        return ExitCode.NOTHING_RAN, str(error)
    except ArtifactError as error:
        return ExitCode.INFRA, str(error)
    message = f"{verdict.verdict} {verdict.game} ({verdict.recipe}): {verdict.sentence}"
    return EXIT_CODES[verdict.verdict], one_line(message, limit=1000)
