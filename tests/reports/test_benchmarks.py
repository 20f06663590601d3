"""The table of benchmarks: every figure in its row, and what it was measured on."""

from __future__ import annotations

import json

import pytest

from reports.__main__ import bench
from reports.schema import ExitCode

STORED = {
    "machine_info": {"node": "n", "fingerprint": {"cpu": "Xeon", "gpu": "none", "pid": "7"}},
    "benchmarks": [
        {
            "group": "speed",
            "name": "test_speed[one]",
            "extra_info": {"ours": 2214.4, "ratio": 4.14},
        },
        {"group": "speed", "name": "test_speed[two]", "extra_info": {"ours": 7.0}},
        {"group": "another", "name": "test_whole_thing", "extra_info": {"ratio": 0.5}},
    ],
}


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(STORED))
    return path


def test_every_figure_stands_in_the_row_of_its_case(stored, tmp_path, capsys):
    page = tmp_path / "benchmarks.md"
    assert bench(stored, page) is ExitCode.OK
    assert capsys.readouterr().out.strip() == str(page)
    lines = page.read_text().splitlines()
    first, second = lines.index("## Another"), lines.index("## Speed")
    assert first < second
    assert lines[first + 2 : first + 5] == ["| | ratio |", "| :-- | --: |", "| whole thing | 0.5 |"]
    assert lines[second + 2 : second + 6] == [
        "| | ours | ratio |",
        "| :-- | --: | --: |",
        "| one | 2,214 | 4.14 |",
        "| two | 7 | — |",
    ]
    # What only tells of the moment is left out.
    assert [line for line in lines if line.startswith(("| cpu ", "| gpu ", "| pid "))] == [
        "| cpu | Xeon |",
        "| gpu | none |",
    ]


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_what_is_no_run_of_the_benchmarks_is_refused(content, stored, tmp_path, capsys):
    stored.unlink()
    if content is not None:
        stored.write_text(content)
    page = tmp_path / "benchmarks.md"
    assert bench(stored, page) is ExitCode.INFRA
    assert str(stored) in capsys.readouterr().err
    assert not page.exists()
