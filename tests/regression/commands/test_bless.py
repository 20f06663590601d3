"""`bless` and `history` as commands."""

from __future__ import annotations

import pytest

from regression.commands import bless as command
from regression.commands.history import history as list_references
from regression.store.blessing import BlessingError
from regression.store.references import history
from reports.schema import ExitCode, VerdictName
from tests.regression.finished_runs import finished


def test_make_bless_takes_the_latest_run_of_the_game_and_shows_what_moved(
    store, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "RUNS", tmp_path / "runs")
    with pytest.raises(BlessingError, match="there is no finished run of cartpole"):
        command.bless(game="cartpole", reason="the first ones made")
    early, late = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    finished(tmp_path / "runs" / "regress-b", started_utc=early)
    finished(
        tmp_path / "runs" / "regress-a", 60.0, started_utc=late, verdict=VerdictName.FAIL,
        sentence="It dropped.",
    )  # fmt: skip
    finished(tmp_path / "runs" / "regress-c", 70.0, started_utc=late + "9", game="pong")
    command.bless(tmp_path / "runs" / "regress-b", reason="the first ones made")
    # A FAIL is shown, and does not stop a person who gives a reason.
    assert command.bless(game="cartpole", reason="slower for a reason") is ExitCode.OK
    said = capsys.readouterr().out
    assert "FAIL: It dropped." in said
    assert "worse: p = 0.004" in said
    assert [bundle.reason for bundle in history("cartpole")] == [
        "slower for a reason", "the first ones made",
    ]  # fmt: skip
    list_references()
    listed = capsys.readouterr().out
    assert listed.index("slower for a reason") < listed.index("the first ones made")
    assert len(list((store / "cartpole").iterdir())) == 3
