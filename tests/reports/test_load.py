"""Stored artifacts are read as they were written, or refused with a message that helps."""

import json
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from reports.load import ArtifactError, MissingArtifactError, read_curves, read_verdict
from reports.schema import CURVE_COLUMNS, CURVES_FILE, VERDICT_FILE

HEADER = ",".join(CURVE_COLUMNS)
ROW = "candidate,0,100,4,0.5,25,,0.1,0.2"
returns = st.floats(allow_nan=True, allow_infinity=False)
losses = st.floats(allow_nan=True, allow_infinity=True)
row_values = st.tuples(st.integers(0, 999), returns, st.floats(0, 1e6), returns, losses, losses)


def test_verdict_survives_storage(folder, verdict):
    assert read_verdict(folder) == verdict


@given(st.lists(row_values))
def test_curves_survive_storage_bit_for_bit(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("run")
    rows = [("candidate", 0, step, *row) for step, row in enumerate(values)]
    counts = dict.fromkeys(["seed", "step", "episodes"], "int64")
    dtypes = {"group": "str"} | dict.fromkeys(CURVE_COLUMNS, "float64") | counts | {"group": "str"}
    curves = pd.DataFrame(rows, columns=list(CURVE_COLUMNS)).astype(dtypes)
    curves.to_csv(folder / CURVES_FILE, index=False)
    assert_frame_equal(read_curves(folder), curves, check_exact=True)


def test_columns_may_come_in_any_order(folder, curves):
    curves[sorted(curves.columns)].to_csv(folder / CURVES_FILE, index=False)
    assert_frame_equal(read_curves(folder), curves)


@pytest.mark.parametrize("read", [read_verdict, read_curves])
def test_missing_folder_and_missing_file_are_told_apart(read, tmp_path):
    with pytest.raises(MissingArtifactError, match="actual    no such file"):
        read(tmp_path)
    with pytest.raises(MissingArtifactError, match="actual    no such folder"):
        read(tmp_path / "typo")


@pytest.mark.parametrize(
    ("read", "name"), [(read_verdict, VERDICT_FILE), (read_curves, CURVES_FILE)]
)
def test_a_folder_in_place_of_a_file_is_refused(read, name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(ArtifactError, match="cannot be read"):
        read(tmp_path)


CURVES = {
    "empty": ("", "the curves are not a table"),
    "cut in a row": (f"{HEADER}\n{ROW}\ncandidate,0,20", "line 3\n.*\n.*actual    3 cells"),
    "cut in the last cell": (f"{HEADER}\n{ROW}", "line 2\n.*\n.*the file was cut off"),
    "too many cells": (f"{HEADER}\n{ROW},1\n", "line 2\n.*9 cells.*\n.*actual    10 cells"),
    "open quote": (f'{HEADER}\n"{ROW}\n', "the curves are not a table"),
    "missing column": (f"{HEADER.replace(',loss', '')}\n", "missing 'loss'; unexpected none; 8"),
    "unexpected column": (f"{HEADER},reward\n", "missing none; unexpected 'reward'; 10"),
    "repeated column": (f"{HEADER},loss\n", "missing none; unexpected none; 10"),
    "unknown group": (
        f"{HEADER}\n{ROW}\n{ROW.replace('candidate', 'control')}\n",
        "line 3, column group\n  expected  'reference' or 'candidate'\n  actual    'control'",
    ),
    "text as number": (
        f"{HEADER}\n{ROW.replace('0.5', 'half')}\n",
        "line 2, column episode_return\n  expected  a finite number, or nothing\n  actual +'half'",
    ),
    "infinite return": (f"{HEADER}\n{ROW.replace('0.5', 'inf')}\n", "actual    'inf'"),
    "nan, not empty": (f"{HEADER}\n{ROW.replace('0.1', 'nan')}\n", "column loss\n.*\n.*'nan'"),
    "fractional step": (f"{HEADER}\n{ROW.replace('100', '99.5')}\n", "column step\n.*whole number"),
    "no seed": (f"{HEADER}\n{ROW.replace(',0,', ',,')}\n", "column seed\n.*\n  actual    ''"),
    "huge step": (f"{HEADER}\n{ROW.replace('100', '9' * 30)}\n", "column step"),
    "row twice": (
        f"{HEADER}\n{ROW}\n{ROW}\n",
        "line 3, column step\n  expected  one row per group",
    ),
}


@pytest.mark.parametrize(("content", "message"), CURVES.values(), ids=CURVES)
def test_broken_curves_are_refused_with_place_and_reason(tmp_path, content, message):
    (tmp_path / CURVES_FILE).write_text(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        read_curves(tmp_path)
    assert str(tmp_path / CURVES_FILE) in str(caught.value)
    assert re.search("^  next      run the regression again$", str(caught.value), re.MULTILINE)


def test_curves_that_are_not_text_are_refused(tmp_path):
    (tmp_path / CURVES_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match="comma-separated UTF-8 text"):
        read_curves(tmp_path)


def test_infinite_loss_of_a_diverged_network_is_kept(tmp_path):
    (tmp_path / CURVES_FILE).write_text(f"{HEADER}\n{ROW.replace('0.1', 'inf')}\n")
    assert read_curves(tmp_path)["loss"].tolist() == [float("inf")]


VERDICTS = {
    "other version": ({"schema_version": 1}, "field schema_version\n  expected  2\n  actual    1"),
    "no version": (
        {"schema_version": None},
        "field schema_version\n  expected  2\n  actual    none",
    ),
    "unknown key": ({"colour": "red"}, "field colour\n  expected  Extra inputs are not permitted"),
    "key as command": ({"a\n::error::b": 1}, "field a ::error::b\n"),
    "unknown verdict": ({"verdict": "MAYBE"}, "field verdict\n.*'PASS'.*\n  actual    'MAYBE'"),
    "text as number": ({"wall_s": "9"}, "field wall_s\n.*valid number\n  actual    '9'"),
    "two wrong": ({"game": 1, "wall_s": "9"}, r"field game \(first of 2\)"),
    "nested": ({"criteria": [{"name": "x"}]}, r"field criteria\.0\.unit \(first of 12\)"),
}


@pytest.mark.parametrize(("change", "message"), VERDICTS.values(), ids=VERDICTS)
def test_wrong_verdict_is_refused_with_field_and_reason(folder, change, message):
    path = folder / VERDICT_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=message):
        read_verdict(folder)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b"{} {}"])
def test_bytes_that_are_not_json_are_refused(folder, content):
    (folder / VERDICT_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match="the verdict is not JSON"):
        read_verdict(folder)


@pytest.mark.parametrize("content", [b"[]", b"null", b'"PASS"'])
def test_json_that_is_not_an_object_has_no_version(folder, content):
    (folder / VERDICT_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match="actual    none"):
        read_verdict(folder)


@given(st.floats(0, 1, exclude_max=True))
def test_verdict_cut_anywhere_is_refused(tmp_path_factory, verdict, share):
    folder = tmp_path_factory.mktemp("run")
    whole = verdict.model_dump_json()
    (folder / VERDICT_FILE).write_text(whole[: int(share * len(whole))])
    with pytest.raises(ArtifactError, match="the verdict is not JSON"):
        read_verdict(folder)
