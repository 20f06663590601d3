"""Runs of several machines become one, or are refused."""

from __future__ import annotations

import shutil

import pytest

from regression.job.job_file import JobError, read_job, record
from regression.runs.merge import merge_runs
from regression.store.units import StoreError, read_sealed
from tests.dqn_core.small import files
from tests.regression.tiny_runs import JOB, NAME, broken_off, sealed_run


def test_runs_of_several_machines_become_one(copied, tmp_path):
    sealed_run(tmp_path / "there", seed=2)
    broken_off(tmp_path / "there", 48)  # unfinished: stays behind
    notes = merge_runs(tmp_path / "whole", [copied, tmp_path / "there"])
    assert notes[-1] == "2 units came, 2 are there"
    assert read_job(tmp_path / "whole").seeds == [1]
    assert files(tmp_path / "whole" / NAME) == files(copied / NAME)
    again = merge_runs(tmp_path / "whole", [copied, tmp_path / "there"])
    assert again == ["0 units came, 2 are there"]


def test_units_of_one_key_that_differ_are_refused_with_both_hashes(copied, tmp_path):
    sealed_run(tmp_path / "there", seed=2)
    unit, manifest = read_sealed(copied / NAME)
    other = tmp_path / "there" / f".{NAME}.partial"
    shutil.copytree(copied / NAME, other)
    curve = other / "curve.csv"
    curve.write_text(curve.read_text().replace("16,", "17,", 1))
    (other / "manifest.json").unlink()
    from regression.store.units import seal

    altered = seal(unit, tmp_path / "there" / NAME)
    with pytest.raises(StoreError, match=f"{manifest.content_hash}(.|\n)*{altered.content_hash}"):
        merge_runs(tmp_path / "whole", [copied, tmp_path / "there"])
    assert not list((tmp_path / "whole").glob("*seed*"))
    (tmp_path / "other").mkdir()
    record(tmp_path / "other", JOB.model_copy(update={"fault": "no-terminal-mask"}))
    with pytest.raises(JobError, match="fault"):
        merge_runs(tmp_path / "whole", [copied, tmp_path / "other"])
