"""The pages of checks and faults are the generated ones, and their links lead somewhere."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from probes import __main__ as command
from probes.checks.registry import CHECKS
from probes.diagnosis.diagnose import load_dictionary
from probes.diagnosis.docs_pages import (
    CHECKS_PAGE,
    DOCS,
    FAMILIES,
    FAULTS_PAGE,
    RENEW,
    checks_page,
    faults_page,
)
from probes.faults.catalogue import ABSENT, FAULTS
from reports.schema import ExitCode

STORED = load_dictionary()
PAGES = {CHECKS_PAGE: checks_page(STORED), FAULTS_PAGE: faults_page(STORED)}


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)


def anchors(page: str) -> list[str]:
    """As GitHub makes them: lower case, spaces as hyphens, no other punctuation."""
    lowered = [heading.lower().replace(" ", "-") for heading in headings(page)]
    return ["".join(sign for sign in text if sign.isalnum() or sign in "-_") for text in lowered]


def section(page: str, heading: str) -> str:
    """The text below one heading of the third rank."""
    _, text = page.split(f"\n### {heading}\n")
    return text.split("\n##", maxsplit=1)[0]


@pytest.mark.parametrize("page", PAGES)
def test_the_stored_page_is_the_generated_one(page):
    stored = (DOCS / page).read_text("utf-8")
    assert stored == PAGES[page], f"docs/{page} is out of date\n  next      {RENEW}"


def test_every_check_and_every_fault_has_a_section_of_its_own():
    checks, faults = (headings(PAGES[page]) for page in (CHECKS_PAGE, FAULTS_PAGE))
    for code in (check.code for check in CHECKS):
        assert checks.count(code) == 1
    for name in (fault.name for fault in (*FAULTS, *ABSENT)):
        assert faults.count(name) == 1
    assert set(FAMILIES) == {check.code.split(".")[0] for check in CHECKS}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_heading_or_a_file(page):
    assert len(set(anchors(PAGES[page]))) == len(anchors(PAGES[page]))
    links = re.findall(r"\]\(([^)]+)\)", PAGES[page])
    local = [link for link in links if not link.startswith("https://")]
    assert len(local) > 300
    for link in local:
        name, _, anchor = link.partition("#")
        if anchor:
            assert anchor in anchors(PAGES[name or page]), link
        else:
            assert (DOCS / name).is_file(), link


def test_a_check_is_told_with_all_that_it_knows_of_itself():
    for check in CHECKS:
        text = section(PAGES[CHECKS_PAGE], check.code).replace("\\", "")
        told = (check.what, check.why, check.experiment, *check.causes, check.component)
        assert all(part in text for part in told), check.code
        assert all(f"`{name}`" in text for name in check.needs), check.code
        assert all(f"({link})" in text for link in check.seen), check.code
        proofs = [fault.name for fault in FAULTS if check.code in fault.caught_by]
        assert all(f"[{name}]({FAULTS_PAGE}#{name})" in text for name in proofs), check.code
        reds = sum(check.code in row.red for row in STORED.rows)
        assert f"**Red on:** {reds} of the " in text


def test_a_fault_is_told_with_its_reds_and_where_it_was_seen():
    for fault, row in zip(FAULTS, STORED.rows, strict=True):
        text = section(PAGES[FAULTS_PAGE], fault.name)
        assert text.count(f"({CHECKS_PAGE}#") == len({*row.red, *fault.caught_by}), fault.name
        must, _, also = text.partition("**Also red")
        assert must.count(f"({CHECKS_PAGE}#") == len(fault.caught_by), fault.name
        assert ("Seen in" in text) == bool(fault.seen)
        assert all(f"({link})" in also + must for link in fault.seen), fault.name


def test_places_are_told_in_words():
    page = PAGES[FAULTS_PAGE]
    for words in (
        "[DLR-RM/stable-baselines3 issue 132](https://github.com/DLR-RM/stable-baselines3/issues/132)",
        "[pfnet/pfrl pull request 200](https://github.com/pfnet/pfrl/pull/200)",
        "[google/dopamine commit 7315342](https://github.com/google/dopamine/commit/7315342)",
        "[google-deepmind/bsuite bsuite/baselines/tf/dqn/agent.py](https://",
        "[openai.com/index/openai-baselines-dqn](https://openai.com/index/openai-baselines-dqn/)",
    ):
        assert words in page


def test_signs_of_markdown_are_escaped_outside_of_code():
    page = PAGES[CHECKS_PAGE]
    assert r"compare the learned value with gamma\*\*2" in page
    assert "the setting `double` is not passed on" in page
    texts = chain.from_iterable((check.what, check.why, check.experiment) for check in CHECKS)
    assert not [text for text in texts if text.count("`") % 2]


def test_reds_are_those_of_the_dictionary_given():
    first, *others = STORED.rows
    cleared = STORED.model_copy(update={"rows": [first.model_copy(update={"red": []}), *others]})
    code = first.red[0]
    reds = sum(code in row.red for row in STORED.rows)
    assert f"**Red on:** {reds} of" in section(checks_page(STORED), code)
    assert f"**Red on:** {reds - 1} of" in section(checks_page(cleared), code)
    assert "Also red" in section(faults_page(STORED), first.fault)
    assert "Also red" not in section(faults_page(cleared), first.fault)


def test_the_command_writes_both_pages_where_it_is_told_to(tmp_path, capsys):
    assert command._command(["docs", "--folder", str(tmp_path)], "") is ExitCode.OK
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == PAGES
    assert str(tmp_path / CHECKS_PAGE) in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"--folder: cannot write the pages to .*nowhere"):
        command._command(["docs", "--folder", str(tmp_path / "nowhere")], "")
