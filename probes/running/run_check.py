"""Running one check on one subject, in this process."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from probes.checks.check import Check
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.subject import (
    EnvMaker,
    Factory,
    Misbehaviour,
    Settings,
    Subject,
    Unsupported,
    missing,
)
from reports.schema import Finding, FindingStatus


def run_check(check: Check, factory: Factory, seed: int) -> Finding:
    """Runs a check on a subject.

    Args:
        check: what to run.
        factory: of the subject.
        seed: of everything the check draws, and of the subject.

    Returns:
        Its finding: red too if nothing was compared, if the subject broke its protocol, or if it
        raised; skipped if it lacks what the check needs.
    """
    started = time.monotonic()

    def needing(make_env: EnvMaker, settings: Settings) -> Subject:
        subject = factory(make_env, settings)
        lacking = missing(subject, check.needs)
        if lacking:
            raise Unsupported(f"not offered: {', '.join(lacking)}")
        return subject

    skipped = False
    try:
        outcome = check.run(Testbed(needing, seed))
    except Unsupported as unsupported:
        skipped = True
        outcome = Outcome(False, "", str(unsupported), 0)  # noqa: FBT003  # holds
    except Misbehaviour as broken:
        outcome = Outcome(False, broken.expected, broken.actual, 1)  # noqa: FBT003  # holds
    except Exception as error:  # noqa: BLE001  # whatever the subject raises is a finding
        outcome = Outcome(False, "no exception", _error_text(error), 1)  # noqa: FBT003  # holds
    green = outcome.holds and outcome.compared > 0
    status = FindingStatus.GREEN if green else FindingStatus.RED
    return Finding(
        check=check.code,
        component=check.component,
        status=FindingStatus.SKIP if skipped else status,
        expected=outcome.expected,
        actual=outcome.actual,
        compared=outcome.compared,
        wall_s=time.monotonic() - started,
        hint="" if green or skipped else "; ".join(check.causes),
    )


def _error_text(error: Exception) -> str:
    """An exception, and where it was raised: file and line, without folders."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line} ({Path(place.filename).name}:{place.lineno})"
