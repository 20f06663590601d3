"""Reds that are known of a subject and documented: they are neither news nor evidence.

A subject documents them by a member `expected`, a person by a file of TOML, each a reason by the
code of a check. The list is strict: what starts to pass is red until it is taken off.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dqn_core.names import dotted
from probes.checks.registry import UnknownCheckError, check_named
from reports.schema import Finding, FindingStatus


class ExpectedError(ValueError):
    """A list of documented reds that cannot be used."""


def read_expected(path: Path) -> dict[str, str]:
    """The documented reds of a file: reasons by code.

    Raises:
        ExpectedError: if it cannot be read, names no check, or gives no reason.
    """
    try:
        stored = dotted(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExpectedError(
            f"--expected {path}: cannot be read: {error}\n"
            '  expected  lines such as "td.double-closed-form" = "has no double DQN, #12"'
        ) from error
    return checked(stored, f"--expected {path}")


def checked(expected: Mapping[str, object], where: str) -> dict[str, str]:
    """A list of documented reds, after a look at it.

    Args:
        expected: reasons by code.
        where: it was found, for messages.

    Raises:
        ExpectedError: if a code is none, or a reason is missing.
    """
    found = {}
    for code, reason in expected.items():
        try:
            check_named(code)
        except UnknownCheckError as error:
            raise ExpectedError(f"{where}: {error}") from error
        if not isinstance(reason, str) or not reason.strip():
            raise ExpectedError(f"{where}: expected a reason for {code}, got {reason!r}")
        found[code] = reason
    return found


def held_to(finding: Finding, expected: Mapping[str, str]) -> Finding:
    """A finding in the light of what is documented.

    Args:
        finding: as it was found.
        expected: reasons by code.
    """
    reason = expected.get(finding.check)
    if reason is None:
        return finding
    if finding.status in {FindingStatus.RED, FindingStatus.ERROR}:
        return finding.model_copy(update={"status": FindingStatus.EXPECTED, "hint": reason})
    if finding.status is FindingStatus.GREEN:
        update = {
            "status": FindingStatus.RED,
            "expected": f"red, as documented: {reason}",
            "actual": "it passes",
            "hint": "take it off the list of documented reds",
        }
        return finding.model_copy(update=update)
    return finding


def evidence(findings: Sequence[Finding], expected: Mapping[str, str]) -> list[Finding]:
    """Findings without those that are documented, whichever way they turned out."""
    return [finding for finding in findings if finding.check not in expected]
