"""`python -m regression`: what is wrong with its words is told plainly, with its code."""

from __future__ import annotations

import pytest

from tests.regression.commands.test_run import command


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "--game", "$(touch x)"], 4, "unknown game '$(touch x)'"),
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
def test_bad_words_are_refused_before_anything_is_done(tmp_path, arguments, code, message):
    ran = command(tmp_path, *arguments, CI="")
    assert (ran.returncode, "Traceback" in ran.stderr) == (code, False), ran.stderr
    assert message in ran.stderr
    assert list(tmp_path.iterdir()) == []
