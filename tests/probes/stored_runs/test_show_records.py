"""`probes records`: stored runs, red, unreadable, or still running."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from probes.__main__ import main
from probes.stored_runs.curve import StoredCurveError, read_curve
from probes.stored_runs.show_records import StoredRunError, runs_in

ROOT = Path(__file__).parents[3]


def spoil(run: Path, column: str, row: int, value: str) -> None:
    """Changes one cell of a curve."""
    lines = [line.split(",") for line in (run / "curve.csv").read_text().splitlines()]
    lines[row][lines[0].index(column)] = value
    (run / "curve.csv").write_text("\n".join(",".join(line) for line in lines) + "\n")


def in_process(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command, without a process of its own."""
    monkeypatch.setattr(sys, "argv", ["probes", "records", *arguments])
    code = main()
    return code, *capsys.readouterr()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "probes", "records", *arguments],
        env=os.environ, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_finished_run_is_green_and_its_recipe_is_found(run, monkeypatch, capsys):
    code, out, err = in_process(monkeypatch, capsys, str(run))
    assert code == 0, err
    assert out.count("│ green") == 7
    assert out.count("│ skip") == 2
    assert "not known: value_range" in out


def test_a_red_property_of_one_seed_of_a_regression_has_exit_code_one(run, tmp_path):
    for seed in (2, 10):
        shutil.copytree(run, tmp_path / "regression" / f"seed-{seed}")
    spoil(tmp_path / "regression" / "seed-10", "loss", 12, "nan")
    ran = command(str(tmp_path / "regression"), "--json")
    assert ran.returncode == 1, ran.stderr
    runs = json.loads(ran.stdout)["runs"]
    assert [Path(each["folder"]).name for each in runs] == ["seed-2", "seed-10"]
    red = [finding for finding in runs[1]["findings"] if finding["status"] == "red"]
    assert [finding["check"] for finding in red] == ["records.numbers-are-finite"]
    assert "loss is nan in the window that ends at step 480" in red[0]["actual"]
    assert all(finding["status"] != "red" for finding in runs[0]["findings"])


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda run: (run / "curve.csv").unlink(), "no run there"),
        (lambda run: spoil(run, "loss", 3, "a lot"), "line 4: expected a number as loss"),
        (lambda run: (run / "curve.csv").write_text(""), "expected a column `step`"),
        (lambda run: (run / "curve.csv").write_bytes(b"\xff\xfe"), "cannot be read"),
        (
            lambda run: next(run.glob("checkpoints/*/state.json")).write_text("{}"),
            "holds no recipe of this version",
        ),
    ],
)
def test_a_folder_that_holds_no_readable_run_is_a_usage_error(
    run, monkeypatch, capsys, spoiled, message
):
    spoiled(run)
    code, out, err = in_process(monkeypatch, capsys, str(run))
    assert (code, out) == (4, "")
    assert message in err


def test_a_running_run_is_read_up_to_its_last_whole_line(run, monkeypatch, capsys):
    path = run / "curve.csv"
    text = path.read_text()
    whole = read_curve(path, None).step
    for truncate_last in range(1, 60):
        path.write_text(text[:-truncate_last])
        assert len(read_curve(path, None).step) in {len(whole) - 1, len(whole)}
    path.write_text(text.splitlines()[0] + "\n")
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "best")
    assert in_process(monkeypatch, capsys, str(run))[0] == 5  # nothing to look at yet


def test_folders_that_are_no_runs_are_refused(tmp_path):
    with pytest.raises(StoredRunError, match="no folder of that name"):
        runs_in(tmp_path / "nowhere")
    with pytest.raises(StoredCurveError, match="cannot be read"):
        read_curve(tmp_path / "curve.csv", None)
