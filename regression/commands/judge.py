"""The command `judge`: compares a run folder, as it is, with the stored reference."""

from __future__ import annotations

from pathlib import Path

import tyro

from regression.console import say, say_verdict
from regression.job.run_folders import LATEST
from regression.runs.rejudge import judge_stored
from reports.schema import EXIT_CODES, ExitCode


def judge(run: tyro.conf.Positional[Path] = LATEST, references: Path | None = None) -> ExitCode:
    """Compares a run folder, as it is, with the stored reference of its name.

    Args:
        run: folder of the run; its verdict and its page are written anew.
        references: folder of the references; the package's own, if not given.
    """
    verdict = judge_stored(run, references, say)
    say_verdict(verdict, run)
    return EXIT_CODES[verdict.verdict]
