"""Folders of runs, and the latest."""

from __future__ import annotations

from regression.job.run_folders import LATEST, new_run_folder, point_latest_at


def test_the_latest_run_can_be_gone_on_with_by_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = new_run_folder("one")
    point_latest_at(first)
    point_latest_at(LATEST)
    assert LATEST.resolve() == first.resolve()
    point_latest_at(tmp_path)  # not among the runs
    assert LATEST.resolve() == first.resolve()
