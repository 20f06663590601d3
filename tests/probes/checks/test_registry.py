"""Which checks an expression selects."""

from __future__ import annotations

import pytest

from probes.checks.registry import CHECKS, UnknownCheckError, select


def test_nothing_means_all_and_no_check_is_an_error():
    assert select("") == CHECKS
    assert {check.code for check in select("not frames")} < {check.code for check in CHECKS}
    with pytest.raises(UnknownCheckError, match=r"nearest   .*replay\."):
        select("replay and world")
