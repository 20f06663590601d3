"""Checks by observation: what a recording shows of the properties that the probes look for.

Each is one of the checks of the probes, under its code: the same property, of the same component,
seen from another side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from probes.checks.registry import check_named
from probes.outcome import Outcome
from probes.recordings import of_learning, of_steps
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.recording import Recording
from reports.schema import Finding, FindingStatus

JUDGED: Final[dict[str, Callable[[Facts], Outcome]]] = {
    "td.terminal-masks-and-time-limits-bootstrap": of_learning.masks_and_bootstraps,
    "td.bootstraps-from-target": of_learning.bootstraps_from_target,
    "loss.reaches-actions-taken-alone": of_learning.reaches_actions_taken_alone,
    "loss.ignores-values-after-an-end": of_learning.masks_ends,
    "loss.averages-over-rows": of_learning.averages_over_rows,
    "loss.aims-at-target": of_learning.aims_at_target,
    "target.begins-as-online": of_learning.begins_as_online,
    "target.moves-on-sync-only": of_learning.moves_by_copies,
    "network.values-are-of-one-row": of_learning.values_are_of_one_row,
    "optimizer.holds-online-only": of_learning.holds_online_only,
    "optimizer.rate-stays-to-the-end": of_learning.rate_stays,
    "optimizer.remembers": of_learning.remembers,
    "optimizer.still-without-a-gradient": of_learning.decays_no_weight,
    "termination.resets-after-every-end": of_steps.resets_after_ends,
    "termination.final-observation-kept": of_steps.final_observations_kept,
    "termination.time-limit-is-no-end": of_learning.limits_bootstrap,
    "termination.no-dead-steps": of_steps.no_dead_steps,
    "replay.transitions-are-real": of_steps.transitions_are_real,
    "replay.environments-stay-apart": of_steps.environments_stay_apart,
    "exploration.random-while-warming-up": of_steps.random_while_warming_up,
    "exploration.greedy-when-epsilon-is-zero": of_steps.acts_greedily_where_asked,
}


def judged(facts: Facts, again: Recording) -> Iterator[Finding]:
    """What a recording shows of each property that it can show; skipped where it was not seen.

    Args:
        facts: of the recording.
        again: the same run, whose networks were not looked at.
    """
    for code, judge in JUDGED.items():
        try:
            yield _finding(code, judge(facts))
        except NotSeenError as missing:
            yield _finding(code, str(missing))
    # A script that takes no seed promises no second run like the first; it cannot be debugged then.
    yield _finding(
        "seeding.same-seed-same-run", of_steps.same_run(facts.recording, again), advises=True
    )


def _finding(code: str, outcome: Outcome | str, *, advises: bool = False) -> Finding:
    """Of a check, by what it came to, or by why it could not be seen."""
    check = check_named(code)
    if isinstance(outcome, str):
        return Finding(
            check=code, component=check.component, status=FindingStatus.SKIP, expected="",
            actual=outcome, compared=0, wall_s=0.0,
        )  # fmt: skip
    status = FindingStatus.GREEN if outcome.holds else FindingStatus.RED
    if status is FindingStatus.RED and (check.advises or advises):
        status = FindingStatus.ADVICE
    return Finding(
        check=code,
        component=check.component,
        status=FindingStatus.INCONCLUSIVE if outcome.holds is None else status,
        expected=outcome.expected,
        actual=outcome.actual,
        compared=outcome.compared,
        wall_s=0.0,
        hint="; ".join(check.causes) if not outcome.holds else "",
    )
