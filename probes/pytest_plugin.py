"""Checks as tests: a plugin for pytest.

    from probes.pytest_plugin import parametrize_with_checks
    from mypackage.dqn import make

    @parametrize_with_checks(make, expected_failures={"exploration.follows-the-schedule": "#12"})
    def test_dqn(check):
        check()

Every check becomes a test of its own, named by its code. One that needs a capability the subject
lacks is skipped; one that is expected to fail turns red when it starts to pass. After the session
the likely components are named.

Nothing heavy is imported before it is needed: pytest loads this module in every session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from probes.subject import Factory
    from reports.schema import Finding

FINDINGS: Final = pytest.StashKey[list["Finding"]]()


class CheckRun:
    """A check on a subject, to be called by a test.

    Args:
        code: of the check.
        factory: of the subject, or its name "module:factory".
        seed: of both.
    """

    def __init__(self, code: str, factory: Factory | str, seed: int) -> None:
        self.code = code
        self.finding: Finding | None = None
        self._factory = factory
        self._seed = seed

    def __call__(self) -> None:
        """Runs the check.

        Raises:
            AssertionError: if it is red, with expected, actual and likely causes.
        """
        from probes.checks.registry import check_named  # noqa: PLC0415
        from probes.running.run_check import run_check  # noqa: PLC0415  # see above
        from probes.subject import load_factory  # noqa: PLC0415
        from reports.schema import FindingStatus  # noqa: PLC0415

        name = self._factory
        factory = load_factory(name) if isinstance(name, str) else name
        self.finding = finding = run_check(check_named(self.code), factory, self._seed)
        if finding.status is FindingStatus.SKIP:
            pytest.skip(finding.actual)
        if finding.status is FindingStatus.RED:
            raise AssertionError(told(finding))

    def __repr__(self) -> str:
        return self.code


def told(finding: Finding) -> str:
    """A red finding in a few lines."""
    return (
        f"{finding.check} ({finding.component})\n"
        f"  expected  {finding.expected}\n"
        f"  actual    {finding.actual}\n"
        f"  causes    {finding.hint}\n"
        f"  next      python -m probes explain {finding.check}"
    )


def parametrize_with_checks(
    factory: Factory | str,
    *,
    checks: str = "",
    seed: int = 0,
    expected_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Parametrizes a test over the argument `check`, which the test calls.

    Args:
        factory: of the subject, or its name "module:factory".
        checks: only those whose code contains or matches this.
        seed: of checks and subject.
        expected_failures: reasons by code; strict, so that a check that starts to pass is told.

    Raises:
        UnknownCheckError: for a code or pattern that fits no check.
    """
    from probes.checks.registry import check_named, select  # noqa: PLC0415  # see above

    reasons = dict(expected_failures or {})
    for code in reasons:
        check_named(code)
    params = [
        pytest.param(
            CheckRun(check.code, factory, seed),
            id=check.code,
            marks=[pytest.mark.xfail(reason=reasons[check.code], strict=True)]
            if check.code in reasons
            else [],
        )
        for check in select(checks)
    ]
    return pytest.mark.parametrize("check", params)


def check_agent(
    factory: Callable[..., Any],
    *,
    checks: str = "",
    seed: int = 0,
    expected_failures: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Runs all checks on a subject in this process.

    Args:
        factory: of the subject.
        checks: only those whose code contains or matches this.
        seed: of checks and subject.
        expected_failures: reasons by code.

    Returns:
        All findings.

    Raises:
        AssertionError: if a check is red that was not expected to be, or green that was; with all
            of them and the likely component.
    """
    from probes.checks.registry import select  # noqa: PLC0415
    from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern  # noqa: PLC0415  # see above
    from probes.running.run_check import run_check  # noqa: PLC0415
    from reports.schema import FindingStatus  # noqa: PLC0415

    expected = dict(expected_failures or {})
    findings = [run_check(check, factory, seed) for check in select(checks)]
    problems = [
        told(finding)
        for finding in findings
        if finding.status is FindingStatus.RED and finding.check not in expected
    ]
    problems += [
        f"{finding.check} passes, though it was expected to fail: {expected[finding.check]}"
        for finding in findings
        if finding.status is FindingStatus.GREEN and finding.check in expected
    ]
    if problems:
        suspicions, experiment = diagnose(pattern(findings), load_dictionary())
        suspects = [f"{s.component} ({s.probability:.0%})" for s in suspicions[:3]]
        if suspects:
            problems.append(f"suspect {', '.join(suspects)}; next: {experiment}")
        raise AssertionError("\n".join(problems))
    return findings


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Keeps the finding of a test that called a check."""
    callspec = getattr(item, "callspec", None)
    check = callspec.params.get("check") if callspec is not None else None
    if isinstance(check, CheckRun) and check.finding is not None:
        item.config.stash.setdefault(FINDINGS, []).append(check.finding)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Names the components that are probably broken."""
    findings = config.stash.get(FINDINGS, [])
    if not findings:
        return
    from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern  # noqa: PLC0415  # see above
    from reports.schema import FindingStatus  # noqa: PLC0415

    ran = [finding for finding in findings if finding.status is not FindingStatus.SKIP]
    red = [finding for finding in ran if finding.status is FindingStatus.RED]
    terminalreporter.section("dqn-harness")
    terminalreporter.write_line(f"{len(ran)} of {len(findings)} checks ran, {len(red)} red")
    suspicions, experiment = diagnose(pattern(findings), load_dictionary())
    for rank, suspicion in enumerate(suspicions[:3], start=1):
        looks = f", looks like {suspicion.faults[0]}" if suspicion.faults else ""
        terminalreporter.write_line(
            f"{rank}. {suspicion.component} ({suspicion.probability:.0%}){looks}"
        )
    if experiment:
        terminalreporter.write_line(f"next: {experiment}")
