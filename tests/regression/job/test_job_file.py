"""The file of a job: another one is refused, the same gone on with."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from regression.job.job import resolve_job
from regression.job.job_file import JobError, describe, read_job, record, resumed_job
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
    record(
        folder,
        describe(resolve_job("cartpole", seeds="4-5", device="cpu")),
    )
    return resumed_job(folder)


def test_an_interruption_at_any_line_is_an_interruption(tmp_path, monkeypatch):
    """A signal is noticed between two lines of Python; every line of ours is tried."""
    monkeypatch.setattr("regression.job.job_file.fingerprint", lambda _: {})  # thousands of lines
    job = resolve_job("cartpole", device="cpu")
    for line in range(1_000):
        folder = tmp_path / str(line)
        folder.mkdir()
        try:
            with interrupted_at(line):
                record(folder, describe(job))
        except KeyboardInterrupt:
            continue
        break
    assert 10 < line < 999
    assert read_job(folder) == describe(job)


class interrupted_at:  # noqa: N801  # a context manager
    """Raises KeyboardInterrupt at the line of that number, of those of our packages that run."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __enter__(self) -> None:
        self.before = sys.gettrace()
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("dqn_core", "regression", "reports")):
            return None
        if event == "line":
            self.left -= 1
            if self.left == -1:
                raise KeyboardInterrupt
        return self.trace
