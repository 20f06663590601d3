"""Documented reds: neither news nor evidence, and strict."""

from __future__ import annotations

import pytest

from probes.running.expected import ExpectedError, checked, evidence, held_to, read_expected
from reports.schema import Finding, FindingStatus

CODE = "td.double-closed-form"


def finding(status: FindingStatus) -> Finding:
    return Finding(
        check=CODE, component="x", status=status, expected="a", actual="b", compared=1, wall_s=0.0
    )


@pytest.mark.parametrize(
    ("found", "becomes"),
    [
        (FindingStatus.RED, FindingStatus.EXPECTED),
        (FindingStatus.ERROR, FindingStatus.EXPECTED),
        (FindingStatus.GREEN, FindingStatus.RED),
        (FindingStatus.SKIP, FindingStatus.SKIP),
        (FindingStatus.INCONCLUSIVE, FindingStatus.INCONCLUSIVE),
        (FindingStatus.ADVICE, FindingStatus.ADVICE),
    ],
)
def test_what_is_documented_counts_for_nothing_until_it_passes(found, becomes):
    held = held_to(finding(found), {CODE: "known, #3"})
    assert held.status is becomes
    assert held_to(finding(found), {}) == finding(found)
    assert evidence([held], {CODE: "known, #3"}) == []
    if becomes is FindingStatus.RED:
        assert "known, #3" in held.expected


def test_a_file_is_read_dotted_or_not(tmp_path):
    path = tmp_path / "expected.toml"
    path.write_text(f'"{CODE}" = "no double"\n[loss]\nfits-fixed-targets = "squashed"\n')
    assert read_expected(path) == {CODE: "no double", "loss.fits-fixed-targets": "squashed"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "cannot be read"),
        ('"td.duoble" = "why"', "unknown check"),
        (f'"{CODE}" = ""', "a reason"),
        (f'"{CODE}" = 3', "a reason"),
    ],
)
def test_a_file_that_says_nothing_is_refused(tmp_path, text, words):
    path = tmp_path / "expected.toml"
    path.write_text(text)
    with pytest.raises(ExpectedError, match=words):
        read_expected(path)
    with pytest.raises(ExpectedError, match="cannot be read"):
        read_expected(tmp_path / "nowhere.toml")


def test_a_mapping_is_looked_at_too():
    assert checked({CODE: "why"}, "here") == {CODE: "why"}
    with pytest.raises(ExpectedError, match="here: unknown check"):
        checked({"no.check": "why"}, "here")
