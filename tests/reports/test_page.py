"""The page and the summary say what is stored, whatever the names in it."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import groupby

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports.page import render_page, render_summary, write_page
from reports.schema import (
    PAGE_FILE,
    SUMMARY_FILE,
    BitsCheck,
    Fingerprint,
    OperatingCurve,
    OperatingPoint,
    Verdict,
    VerdictName,
)
from reports.text import one_line, visible

ATTACKS = [
    "</title><script>alert(1)</script>",
    "' onload='x' \" onload=\"x",
    "{{ 7 * 7 }} {% raw %}",
    "<!-- --> ]]> &lt;b&gt; &#64;",
    "a|b\n::error::x\n# h\n- l\n```\n@team [x](http://x) **b** $x_1^2$",
    "::error::x",
    "\x00\x1b[31m\u202e",
]


class Page(HTMLParser):
    """Lists start tags with their attributes' names, and all text."""

    def __init__(self, page):
        super().__init__()
        self.structure, self.text = [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.structure.append((tag, [name for name, _ in attrs]))

    def handle_data(self, data):
        self.text += data


def surrounded(verdict, text):
    """The verdict with `text` before and after every name, key and message in it."""

    def walk(value):
        match value:
            case "complete" | "failed" | "normal" | "reference":  # the schema knows no others
                return value
            case str():
                return text + value + text
            case list():
                return [walk(one) for one in value]
            case dict():
                return {
                    key if key in fields else walk(key): walk(one) for key, one in value.items()
                }
        return value

    models = [
        Verdict,
        Fingerprint,
        BitsCheck,
        OperatingCurve,
        OperatingPoint,
        type(verdict.reference),
        type(verdict.criteria[0]),
        type(verdict.seeds[0]),
    ]
    fields = {name for model in models for name in model.model_fields}
    return Verdict(**walk(verdict.model_dump(mode="json")) | {"verdict": verdict.verdict})


def attacked(test):
    test = given(text=st.text(min_size=1).filter(one_line))(test)
    for attack in ATTACKS:
        test = example(text=attack)(test)
    return settings(max_examples=15, deadline=None)(test)


@attacked
def test_no_name_adds_an_element_or_attribute_to_the_page(verdict, curves, text):
    page = Page(render_page(surrounded(verdict, text), curves.iloc[:0]))
    plain = Page(render_page(surrounded(verdict, "x"), curves.iloc[:0]))
    assert page.structure == plain.structure
    for name in ("pong", "stale-target", "RuntimeError: boom", "2.12", "a note", "first one"):
        assert visible(text + name + text) in page.text


def parsed(summary):
    """Types of all Markdown tokens, a run of text counting once, and the text of each block."""
    blocks = MarkdownIt().enable(["table", "strikethrough"]).parse(summary)
    types = [one.type for block in blocks for one in (block, *(block.children or []))]
    texts = [
        "".join(child.content for child in block.children).replace("@\u200b", "@")
        for block in blocks
        if block.children
    ]
    return [kind for kind, _ in groupby(types)], texts


@attacked
def test_no_name_adds_structure_to_the_summary(verdict, text):
    summary = render_summary(surrounded(verdict, text))
    types, texts = parsed(summary)
    assert types == parsed(render_summary(surrounded(verdict, "x")))[0]
    for name in ("Worse by 2 reference SDs.", "RuntimeError: boom", "a note"):
        assert one_line(text + name + text) in texts
    assert not re.search(r"^\s*(::|##\[)", summary, re.MULTILINE)
    assert not re.search(r"@\w", summary.split("Reproduce:")[0])


def test_page_fetches_and_runs_nothing(verdict, curves):
    page = render_page(verdict, curves)
    tags = {tag for tag, _ in Page(page).structure}
    assert "svg" in tags
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert set(re.findall(r"https?://[^\"]+", page)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }  # names of namespaces


@pytest.mark.parametrize(
    "needle",
    [
        "FAIL",
        "Worse by 2 reference SDs.",
        "A fault was planted on purpose: stale-target",
        "1 of 2",  # seeds complete
        "1 min 3 s",
        "area under the training curve",
        "tripped",
        "-2",  # reference SDs
        "0123456789ab",  # start of the weights' digest
        "RuntimeError: boom",
        "100, 101",
        "2026-01-02",
        "make regress GAME=pong",
        "a note",
    ],
)
def test_page_shows(verdict, curves, needle):
    assert needle in Page(render_page(verdict, curves)).text


def test_blocks_come_in_the_order_in_which_questions_arise(verdict, curves):
    page = render_page(verdict, curves)
    assert re.findall("<h[12]>(.*)</h[12]>", page) == [
        "FAIL",
        "Learning curves",
        "Why this verdict",
        "What this gate would see",
        "Seeds, worst first",
        "Reference",
        "What differs from the reference",
        "Reproduce",
        "Notes",
    ]


def test_figure_has_a_table_with_the_same_numbers(verdict, curves):
    page = render_page(verdict, curves)
    row = (
        r"<td>200</td><td class=\"text\">reference</td><td>3</td><td>1.5</td><td>2</td><td>3.5</td>"
    )
    assert re.search(row, page)


def test_page_and_summary_tell_what_the_gate_would_see(verdict, curves):
    page, told = render_page(verdict, curves.iloc[:0]), "misses more than half"
    row = r"<th>1</th><td>0.1</td><td>31.0 %</td><td>4.0 %</td><td>42.0 %</td><td>4.0 %</td>"
    assert re.search(row, page)
    assert told in page
    assert told in render_summary(verdict)
    assert "2000 simulated runs" in page
    bare = verdict.model_copy(update={"operating": []})
    assert "What this gate would see" not in render_page(bare, curves.iloc[:0])
    assert told not in render_summary(bare)


def test_each_stage_has_a_row_of_its_own(verdict, curves, criterion):
    second = criterion.model_copy(update={"stage": 2, "p_value": 0.3, "tripped": False})
    both = verdict.model_copy(update={"criteria": [criterion, second]})
    text = Page(render_page(both, curves.iloc[:0])).text
    assert text.index("stage 2, mean episode return") < text.index("stage 1, mean episode return")


def test_no_fault_no_warning(verdict, curves):
    page = render_page(verdict.model_copy(update={"fault": ""}), curves)
    assert "planted" not in page


@pytest.mark.parametrize("name", VerdictName)
def test_every_verdict_has_its_colour(verdict, curves, name):
    page = render_page(verdict.model_copy(update={"verdict": name}), curves.iloc[:0])
    assert f'<div class="bar {name}">' in page
    assert re.search(rf"\.{name} {{ background: var\(--\w+\) }}", page)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (59.4, "59.4 s"),
        (59.97, "1 min 0 s"),
        (3599.0, "59 min 59 s"),
        (7325.0, "2 h 2 min"),
    ],
)
def test_duration_is_given_in_the_units_people_use(verdict, seconds, shown):
    summary = render_summary(verdict.model_copy(update={"wall_s": seconds}))
    assert f"seeds complete in {shown};" in summary


def test_criterion_out_of_reach_is_called_that(verdict, curves, criterion):
    weak = criterion.model_copy(update={"tripped": False, "smallest_p": 0.05})
    page = render_page(verdict.model_copy(update={"criteria": [weak]}), curves.iloc[:0])
    assert "cannot trip: too few seeds" in page


def test_run_without_anything_still_has_a_page_and_a_summary(verdict, curves):
    nothing = {
        "criteria": [],
        "operating": [],
        "seeds": [],
        "reference": None,
        "reproduce": [],
        "notes": [],
    }
    bare = verdict.model_copy(update=nothing | {"fingerprint": Fingerprint()})
    page = Page(render_page(bare, curves.iloc[:0])).text
    assert "There is no curve" in page
    assert "Nothing was compared" in page
    assert "There is no stored reference" in page
    assert "0 of 0 seeds complete" in render_summary(bare)


def test_summary_is_capped_and_counts_what_it_cut(verdict, seed_result, criterion):
    long = "&@|" * 10_000
    seeds = [
        seed_result.model_copy(update={"seed": n, "auc": float(n), "error": long})
        for n in reversed(range(1000))
    ]
    criteria = [criterion.model_copy(update={"name": long, "unit": long})] * 1000
    lists = {
        "seeds": seeds,
        "criteria": criteria,
        "notes": [long] * 1000,
        "reproduce": [long] * 1000,
    }
    fields = Fingerprint(informative={f"{n}{long}": "" for n in range(1000)})
    names = {"sentence": long, "game": long, "fingerprint": fields}
    summary = render_summary(verdict.model_copy(update=lists | names))
    assert len(summary.encode()) < 128 * 1024
    assert re.findall(r"^\| (\d+) \|", summary, re.MULTILINE) == [str(n) for n in range(20)]
    assert re.findall("980 more [a-z]+", summary) == [
        "980 more criteria", "980 more seeds", "980 more notes", "980 more commands",
    ]  # fmt: skip


def test_rebuilding_in_another_process_gives_the_same_bytes(folder):
    write_page(folder)
    first = [(folder / name).read_bytes() for name in (PAGE_FILE, SUMMARY_FILE)]
    command = [
        sys.executable,
        "-c",
        f"import reports.__main__ as m; m.main({['page', str(folder)]})",
    ]
    env = os.environ | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    (folder / PAGE_FILE).unlink()
    subprocess.run(command, check=True, env=env)
    assert [(folder / name).read_bytes() for name in (PAGE_FILE, SUMMARY_FILE)] == first


def test_nothing_is_written_from_a_broken_run(folder):
    stored = json.loads((folder / "verdict.json").read_text())
    (folder / "verdict.json").write_text(json.dumps(stored | {"game": 1}))
    with pytest.raises(Exception, match="field game"):
        write_page(folder)
    assert {path.name for path in folder.iterdir()} == {"verdict.json", "curves.csv"}
