"""All checks, cheapest explanation first, and how they are run."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from dqn_core.device import available_cores, prepare_device
from probes.checks import optimizer, replay, target_network, worlds
from probes.checks.check import Check
from probes.faults import subject_with
from reports.schema import Finding, FindingStatus

CHECKS: Final[tuple[Check, ...]] = (
    *replay.CHECKS,
    *target_network.CHECKS,
    *optimizer.CHECKS,
    *worlds.CHECKS,
)


def run_check(code: str, fault: str, seed: int) -> Finding:
    """Runs one check in this process.

    Args:
        code: of the check.
        fault: name of a fault to plant in the subject, or "" for none.
        seed: of everything the check draws.

    Returns:
        Its finding; red too if nothing was compared.
    """
    prepare_device("cpu")
    (check,) = [check for check in CHECKS if check.code == code]
    started = time.monotonic()
    outcome = check.run(subject_with(fault), seed)
    green = outcome.holds and outcome.compared > 0
    return Finding(
        check=check.code,
        component=check.component,
        status=FindingStatus.GREEN if green else FindingStatus.RED,
        expected=outcome.expected,
        actual=outcome.actual,
        compared=outcome.compared,
        wall_s=time.monotonic() - started,
        hint="" if green else check.hint,
    )


def climb(fault: str, seed: int) -> Iterator[Finding]:
    """Runs all checks in worker processes, one for each core, and yields findings in order."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=available_cores(), mp_context=spawn) as pool:
        # The long ones are submitted first, so that no core ends the run alone with one of them.
        futures = {
            check.code: pool.submit(run_check, check.code, fault, seed)
            for check in sorted(CHECKS, key=lambda check: not check.code.endswith("cnn"))
        }
        for check in CHECKS:
            yield futures[check.code].result()
