"""Running one check on one subject, in this process."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from probes.checks.check import Check
from probes.checks.support.testbed import PLAIN, Testbed
from probes.checks.support.variants import declaration, in_words, observed
from probes.running.place import error_text, place_of
from probes.subject import (
    BrokenProtocol,
    EnvMaker,
    Factory,
    Misbehaviour,
    Settings,
    Subject,
    Unsupported,
    missing,
)
from probes.traits import Traits
from reports.schema import Finding, FindingStatus

CAUSED: Final = (FindingStatus.RED, FindingStatus.ADVICE)
NOTHING_DECLINED: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class _End:
    """How a check ended."""

    status: FindingStatus
    expected: str
    actual: str
    compared: int = 0
    place: str = ""


def run_check(
    check: Check,
    factory: Factory,
    seed: int,
    declined: Mapping[str, str] = NOTHING_DECLINED,
    traits: Traits = PLAIN,
    raised: Collection[str] = (),
) -> Finding:
    """Runs a check on a subject.

    Args:
        check: what to run.
        factory: of the subject.
        seed: of everything the check draws, and of the subject.
        declined: what is not made use of although it is there, and why; see
            `probes.running.preflight`.
        traits: of the subject, as it declares them.
        raised: what of the declined took its arguments, and raised.

    Returns:
        Its finding: red too if nothing was compared; an error if the subject raised or broke its
        protocol, so that nothing is known of the property; skipped if it lacks what is needed;
        inconclusive if a variant that is not declared would explain what is seen, or if what it
        needs raised.
    """
    started = time.monotonic()
    broken = [name for name in check.needs if name in raised]
    if broken:
        words = " and ".join(broken)
        end = _End(FindingStatus.INCONCLUSIVE, f"{words} that can be used", f"declined: {words}")
    else:
        end = _run(check, factory, seed, declined, traits)
    return Finding(
        check=check.code,
        component=check.component,
        status=end.status,
        expected=end.expected,
        actual=end.actual,
        compared=end.compared,
        wall_s=time.monotonic() - started,
        place=end.place,
        hint="; ".join(check.causes) if end.status in CAUSED else "",
    )


def _run(
    check: Check, factory: Factory, seed: int, declined: Mapping[str, str], traits: Traits
) -> _End:
    def needing(make_env: EnvMaker, settings: Settings) -> Subject:
        subject = factory(make_env, settings)
        lacking = missing(subject, check.needs)
        if lacking:
            raise Unsupported(f"not offered: {', '.join(lacking)}")
        return subject

    unusable = [name for name in check.needs if name in declined]
    if unusable:
        return _End(FindingStatus.SKIP, "", f"declined: {', '.join(unusable)}")
    try:
        end = _seen(check, Testbed(needing, seed, declined, traits))
        if end.status is FindingStatus.RED:
            end = _as_variant(check, Testbed(needing, seed, declined, traits), end)
        if end.status is FindingStatus.RED and check.advises:
            end = replace(end, status=FindingStatus.ADVICE)
    except Unsupported as unsupported:
        return _End(FindingStatus.SKIP, "", str(unsupported))
    except Misbehaviour as seen:
        return _End(FindingStatus.RED, seen.expected, seen.actual, 1)
    except BrokenProtocol as broken:
        place = place_of(broken, only_theirs=True)
        return _End(FindingStatus.ERROR, broken.expected, broken.actual, 0, place)
    except Exception as error:  # noqa: BLE001  # whatever the subject raises is told apart
        return _End(FindingStatus.ERROR, "no exception", error_text(error), 0, place_of(error))
    return end


def _seen(check: Check, testbed: Testbed) -> _End:
    """The end of a check that could be run."""
    outcome = check.run(testbed)
    if outcome.holds is None:
        status = FindingStatus.INCONCLUSIVE
    else:
        holds = outcome.holds and outcome.compared > 0
        status = FindingStatus.GREEN if holds else FindingStatus.RED
    return _End(status, outcome.expected, outcome.actual, outcome.compared)


def _as_variant(check: Check, testbed: Testbed, red: _End) -> _End:
    """A red end in the light of the variants that the subject behaves as, though undeclared.

    One that is right by the truth of its variant is not red: only its owner knows whether it is
    meant.
    """
    for variant in check.variants:
        seen = observed(variant, testbed)
        if not seen:
            continue
        try:
            held = _seen(check, replace(testbed, traits=replace(testbed.traits, **seen)))
        except Unsupported:
            held = replace(red, status=FindingStatus.GREEN)
        words = in_words(variant, seen)
        if held.status is FindingStatus.RED:
            return replace(held, actual=f"{held.actual}, though held to {words}, as it behaves")
        actual = f"{red.actual}; it behaves as {words}: {declaration(seen)}, or is it a fault?"
        return replace(red, status=FindingStatus.INCONCLUSIVE, actual=actual)
    return red
