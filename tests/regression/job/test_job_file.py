"""The file of a job: another one is refused, the same gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from regression.job.job_file import JobError, read_job, record, resumed_job
from tests.regression.tiny_runs import JOB


def test_a_folder_of_another_job_is_refused_with_the_fields_named(copied):
    for change, named in [
        ({"fault": "no-terminal-mask"}, "fault: '' in .*, 'no-terminal-mask' here"),
        ({"device": "cuda"}, "device: 'cpu' in .*, 'cuda' here"),
        ({"recipe": JOB.recipe | {"td": JOB.recipe["td"] | {"gamma": 0.5}}},
         r"recipe\.td\.gamma: 0\.99 in .*, 0\.5 here"),
        ({"fingerprint": {"source digest": "0"}}, "source digest: None in .*, '0' here"),
    ]:  # fmt: skip
        with pytest.raises(JobError, match=named):
            record(copied, JOB.model_copy(update=change))
    record(copied, JOB.model_copy(update={"seeds": [7, 8]}))  # a second stage
    assert read_job(copied) == JOB


def test_a_run_is_gone_on_with_as_it_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = resumed_job_of(tmp_path)
    assert (asked.seeds, asked.device, asked.recipe.name) == ([4, 5], "cpu", "cartpole")
    with pytest.raises(JobError, match=r"seeds: \[4, 5\] in .*, \[8, 9\] here"):
        resumed_job(tmp_path, seeds="8-9")
    with pytest.raises(JobError, match=r"game: 'cartpole' in .*, 'pong' here"):
        resumed_job(tmp_path, game="pong")
    with pytest.raises(JobError, match=r"readable job\.json"):
        resumed_job(tmp_path / "nowhere")


def resumed_job_of(folder: Path):
    from regression.job.job import resolve_job
    from regression.job.job_file import describe

    record(
        folder,
        describe(resolve_job("cartpole", seeds="4-5", device="cpu")),
    )
    return resumed_job(folder)
