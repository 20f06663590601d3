"""Text of others reaches a report as text."""

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports.text import markdown, one_line, visible


@given(st.text() | st.text(string.punctuation + "ab1 \n"))
@example(r"\&lt; a\*b* &copy;")
def test_markdown_renders_as_itself(text):
    (paragraph,) = (
        MarkdownIt().enable(["table", "strikethrough"]).parse(f"x {markdown(text)} x")[1:2]
    )
    assert {token.type for token in paragraph.children} == {"text"}
    rendered = "".join(token.content for token in paragraph.children)
    assert rendered.replace("@\u200b", "@").split() == f"x {one_line(text)} x".split()


def test_mention_is_broken_up():
    assert markdown("@team") == "@&#8203;team"  # a zero-width space


@pytest.mark.parametrize("live", ["::error::x", "##[error]x"])
def test_workflow_commands_are_broken_up(live):
    assert not re.search("::|##", markdown(live))


def test_cells_of_a_table_stay_cells():
    table = MarkdownIt().enable("table").parse(f"|a|b|\n|-|-|\n|{markdown('1|2')}|3|\n")
    assert [token.content for token in table if token.type == "inline"] == ["a", "b", "1|2", "3"]


@given(st.text(), st.integers(1, 40))
def test_one_line_is_one_short_printable_line(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()


def test_cut_is_shown():
    assert one_line("abcdef", limit=4) == "abc…"
    assert one_line("abcd", limit=4) == "abcd"


@pytest.mark.parametrize("hidden", ["\x1b", "\x00", "\r", "\u202e", "\u200b"])
def test_invisible_characters_become_visible(hidden):
    assert visible(f"a{hidden}b\n\tc") == "a\ufffdb\n\tc"
