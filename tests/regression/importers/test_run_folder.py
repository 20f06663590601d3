"""Logs of a run: which seed each is of, and that all are of one environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from regression.importers.episodes import LogError
from regression.importers.run_folder import read_logs, seeds_of
from regression.job.job import UsageError
from tests.regression.importers.logs import HEADER, protocol, written


@pytest.mark.parametrize(
    ("path", "seed"),
    [
        ("logs/seed3/monitor.csv", 3), ("seed_12.csv", 12), ("seed-5/seed6.csv", 6),
        ("CartPole-v1__dqn__1__1718000000", 1), ("a/Seed 4/x/y.csv", 4),
    ],
)  # fmt: skip
def test_seeds_by_their_names(path, seed):
    assert seeds_of([Path(path)], "") == [seed]


@pytest.mark.parametrize("path", ["monitor.csv", "a__1__2__3", "seed1-seed2.csv", "seedless/1.csv"])
def test_seeds_that_cannot_be_seen_are_not_guessed(path):
    with pytest.raises(UsageError, match="--seeds"):
        seeds_of([Path(path)], "")


@pytest.mark.parametrize("words", ["1", "1,2,3", "2-1", "1-99999", "a", "1,", "-1", "1;2", "1,1"])
def test_seeds_that_do_not_fit_the_logs_are_refused(words):
    with pytest.raises(UsageError, match="seed"):
        seeds_of([Path("a"), Path("b")], words)


def test_seeds_as_told_come_in_the_order_of_the_logs():
    assert seeds_of([Path("seed9"), Path("b"), Path("c")], "7,3-4") == [7, 3, 4]
    with pytest.raises(UsageError, match="seed 9 is that of several logs: a/seed9, b/seed9"):
        seeds_of([Path("a/seed9"), Path("b/seed9")], "")


def test_all_logs_are_of_one_environment(tmp_path):
    rows = "r,l,t\n" + "1,10,1\n" * 10
    one = written(tmp_path / "1.csv", HEADER + rows)
    other = written(tmp_path / "2.csv", HEADER.replace("CartPole", "Acrobot") + rows)
    wanted = protocol(format="monitor", series={})
    found, logs = read_logs([one, one], [1, 2], wanted)
    assert (found.environment, [log.seed for log in logs]) == ("CartPole-v1", [1, 2])
    assert found.digest() != wanted.digest()
    for paths, asked in [([one, other], wanted), ([other], found)]:
        with pytest.raises(LogError, match="'Acrobot-v1'"):
            read_logs(paths, list(range(len(paths))), asked)
