"""`python -m regression`: what is wrong with its words is told plainly, with its code."""

from __future__ import annotations

import pytest

from regression.__main__ import main
from tests.regression.commands.test_run import command


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "--game", "$(touch y)"], 4, "unknown game '$(touch y)'"),
        (["run", "--game", "../../etc"], 4, "unknown game"),
        (["run", "--seeds", "many"], 4, "seeds: expected"),
        (["run", "--device", "tpu"], 4, "expected  one of cpu, cpu-sse4"),
        (["run", "--fault", "no-such-fault"], 4, "nearest"),
        (["run", "--recipe", "nothing"], 4, "unknown recipe"),
        (["run", "--what"], 4, ""),
        (["bless", "--run", "nowhere", "--reason", "because it is so"], 3, "nowhere"),
        (["bless"], 4, "three words"),
    ],
)
def test_bad_words_are_refused_before_anything_is_done(
    tmp_path, monkeypatch, called, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "")
    ended, _, told = called(main, *arguments)
    assert ended == code
    assert message in told
    assert told.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_its_own_refuses_them_too(tmp_path):
    ran = command(tmp_path, "run", "--game", "$(touch x)", CI="")
    assert (ran.returncode, "Traceback" in ran.stderr) == (4, False), ran.stderr
    assert "unknown game '$(touch x)'" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_command_is_told_in_the_help(capsys):
    assert main(["--help"]) == 0
    assert "bless" in capsys.readouterr().out
