"""Plain tables, read by the names of their columns or refused."""

from __future__ import annotations

import pytest

from regression.importers.episodes import LogError
from regression.importers.plain import read_plain
from regression.importers.table import LONGEST_LINE
from tests.regression.importers.logs import csv, written


def test_a_plain_table_by_the_names_of_its_columns(tmp_path):
    path = written(tmp_path / "a.csv", "\ufeffx,t,r,n\r\nhello,10,1.5,10\r\n=1+1,20.0,-2e1,10\r\n")
    found = read_plain(path, "t", "r", "n")
    assert (found.steps.tolist(), found.returns.tolist()) == ([10.0, 20.0], [1.5, -20.0])
    assert (found.lengths.tolist(), found.notes) == ([10.0, 10.0], [])
    with pytest.raises(LogError, match=r"no column 'step'(.|\n)*one of 'x', 't', 'r', 'n'"):
        read_plain(path, "step", "r", "")


@pytest.mark.parametrize("tail", ["30", "30,", "30,1", "30,12.5"])
def test_one_torn_line_is_dropped_and_told_even_if_it_looks_whole(tmp_path, tail):
    found = csv(tmp_path / "a.csv", f"step,return\n10,1\n20,2\n{tail}")
    assert found.steps.tolist() == [10.0, 20.0]
    assert found.notes == [
        f"a.csv: the last line has no end and was dropped ({len(tail)} letters)."
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"step,return", "empty"),
        (b"step,return\n10\n20,2\n", "row 2\n(.|\n)*expected  2 cells"),
        (b"step,return\n10,1\n\n20,2\n", "row 3\n"),
        (b"step,return\n10,1,9\n", "not whole"),
        (b"step,step\n1,2\n", "two columns"),
        (b"step,return\n10,1\n20,two\n", "row 3, column return\n(.|\n)*'two'"),
        (b"step,return\n1_0,1\n", "not a number"),
        (b"step,return\n10,__import__('os')\n", "not a number"),
        ("step,return\n\u0661\u0660,1\n".encode(), "not a number"),
        (b"step,return\n10.5,1\n", "whole number"),
        (b'step,return\n10,"1\n20,2\n', "not a table"),
        ("step,return\n10,1\n".encode("utf-16"), "not text"),
        ("step,return\n10,1é\n".encode("latin-1"), "not text"),
        (b"step,return\n10,1\0\n", "zero byte"),
        (b"a" * (LONGEST_LINE + 1) + b",return\n10,1\n", "too long"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(tmp_path, content, message):
    with pytest.raises(LogError, match=message):
        csv(tmp_path / "a.csv", content)
