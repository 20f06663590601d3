"""The plugin for pytest: after a session that ran checks, it names what is probably broken.

pytest loads this module in every session of an environment that has us installed, most of which
have nothing to do with us. So it imports nothing of ours: a test that uses us has done so by then.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import pytest

FINDINGS: Final = pytest.StashKey[list[Any]]()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Keeps the finding of a test that called a check."""
    testing = sys.modules.get("dqn_harness.testing")
    callspec = getattr(item, "callspec", None)
    check = callspec.params.get("check") if callspec is not None else None
    if testing is not None and isinstance(check, testing.CheckRun) and check.finding is not None:
        item.config.stash.setdefault(FINDINGS, []).append(check.finding)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Names the components that are probably broken."""
    findings = config.stash.get(FINDINGS, [])
    if not findings:
        return
    terminalreporter.section("dqn-harness")
    for line in sys.modules["dqn_harness.testing"].summary(findings):
        terminalreporter.write_line(line)
