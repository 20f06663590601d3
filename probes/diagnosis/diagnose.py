"""From the pattern of red and green checks to the component that is probably broken.

The fault dictionary holds, for every planted fault, which checks it turned red. An unknown subject
is explained in three ways at once: by each fault itself, by what the faults of a component have in
common, and by the components that its red checks name. The first knows faults; the others
generalise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from typing import Final, NamedTuple

from probes.checks.check import Component
from probes.checks.registry import CHECKS
from reports.schema import Dictionary, Finding, FindingStatus, Suspicion

# How often a check is red although the fault leaves it green, and green although it turns it red.
FALSE_RED: Final = 0.02
FALSE_GREEN: Final = 0.1
# What says something of a subject: not what was skipped, was undecided or raised, or is documented.
EVIDENCE: Final = frozenset({FindingStatus.GREEN, FindingStatus.RED})
# How often an unknown fault of a component turns one of the component's own checks red.
OWN_RED: Final = 0.1


class _Row(NamedTuple):
    """A row of the dictionary, quick to look codes up in."""

    fault: str
    component: str
    red: frozenset[str]
    ran: frozenset[str]


def load_dictionary() -> Dictionary:
    """The fault dictionary that comes with the harness."""
    stored = resources.files("probes").joinpath("diagnosis", "dictionary.json")
    return Dictionary.model_validate_json(stored.read_text("utf-8"))


def pattern(findings: Iterable[Finding]) -> dict[str, bool]:
    """Which checks are red, by code; all but green and red ones say nothing and are left out."""
    return {
        finding.check: finding.status is FindingStatus.RED
        for finding in findings
        if finding.status in EVIDENCE
    }


def diagnose(
    red: Mapping[str, bool], dictionary: Dictionary, tried: Collection[str] = ()
) -> tuple[list[Suspicion], str]:
    """Ranks components, and proposes what would distinguish the two likeliest.

    Args:
        red: pattern of one subject, see `pattern`.
        dictionary: of planted faults; those that could have shown in none of the checks that the
            subject allowed are left out.
        tried: codes of further checks that were run on it, but in vain. A component whose own
            checks all were cannot be looked into, and is not suspected.

    Returns:
        Components by falling probability, and the proposal; empty and "" where nothing is red.
    """
    if not any(red.values()):
        return [], ""
    seen = {check.component for check in CHECKS if check.code in red}
    hidden = {check.component for check in CHECKS if check.code in tried} - seen
    known = [
        _Row(row.fault, row.component, frozenset(row.red), frozenset(row.ran))
        for row in dictionary.rows
        if row.component not in hidden and not red.keys().isdisjoint(row.red)
    ]
    likelihoods = {row.fault: _likelihood_of_row(red, row) for row in known}
    components: dict[str, list[_Row]] = {
        component: [] for component in Component if component not in hidden
    }
    for row in known:
        components[row.component].append(row)
    scores = {
        component: _log_mean(
            [
                _likelihood_of_component(red, component, rows),
                _likelihood_of_name(red, component),
                *([_log_mean([likelihoods[row.fault] for row in rows])] if rows else []),
            ]
        )
        for component, rows in components.items()
    }
    total = _log_mean(list(scores.values())) + math.log(len(scores))
    ranked = sorted(scores, key=lambda component: -scores[component])
    suspicions = [
        Suspicion(
            component=component,
            probability=math.exp(scores[component] - total),
            faults=sorted(
                (row.fault for row in components[component]), key=lambda name: -likelihoods[name]
            )[:3],
        )
        for component in ranked
    ]
    return suspicions, _experiment(red, suspicions, known, tried)


def _likelihood_of_row(red: Mapping[str, bool], row: _Row) -> float:
    """Log-probability of the pattern under a fault of the dictionary.

    A check that was not run on the fault counts as green: left out, a red one would cost nothing,
    and the faults on which the fewest checks ran would explain it best.
    """
    return sum(
        math.log(_chance(is_red, 1.0 - FALSE_GREEN if code in row.red else FALSE_RED))
        for code, is_red in red.items()
    )


def _likelihood_of_component(
    red: Mapping[str, bool], component: str, rows: Sequence[_Row]
) -> float:
    """Log-probability of the pattern under some fault of a component, checks taken as independent.

    The component that a check itself names counts like one fault that turns it red.
    """
    named = {check.code: check.component == component for check in CHECKS}
    total = 0.0
    for code, is_red in red.items():
        ran = [row for row in rows if code in row.ran]
        reds = sum(code in row.red for row in ran) + named.get(code, False)
        share = (reds + FALSE_RED) / (len(ran) + 1 + FALSE_RED)
        total += math.log(_chance(is_red, min(share, 1.0 - FALSE_GREEN)))
    return total


def _likelihood_of_name(red: Mapping[str, bool], component: str) -> float:
    """Log-probability of the pattern if a component's own checks are the ones to turn red."""
    own = {check.code for check in CHECKS if check.component == component}
    return sum(
        math.log(_chance(is_red, OWN_RED if code in own else FALSE_RED))
        for code, is_red in red.items()
    )


def _chance(is_red: bool, share: float) -> float:  # noqa: FBT001  # a value, not a switch
    return share if is_red else 1.0 - share


def _log_mean(values: Sequence[float]) -> float:
    highest = max(values)
    return highest + math.log(sum(math.exp(v - highest) for v in values) / len(values))


def _experiment(
    red: Mapping[str, bool],
    suspicions: Sequence[Suspicion],
    known: Sequence[_Row],
    tried: Collection[str],
) -> str:
    """The check not run yet on which the two likeliest components differ; else what a red one says.

    One that was tried in vain, such as a skipped one, is nothing that this subject can do.
    """
    rows = {row.fault: row for row in known}
    likeliest = [rows[suspicion.faults[0]] for suspicion in suspicions if suspicion.faults][:2]
    for check in CHECKS:
        if check.code in {*red, *tried} or not all(check.code in row.ran for row in likeliest):
            continue
        if len({check.code in row.red for row in likeliest}) == 2:
            names = " from ".join(f"{row.fault} ({row.component})" for row in likeliest)
            return f"run {check.code}: it distinguishes {names}"
    return next(
        check.experiment
        for check in sorted(CHECKS, key=lambda check: check.component != suspicions[0].component)
        if red.get(check.code)
    )
