"""`dqn-harness`: every command by one name, and one form of errors."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dqn_harness.commands import COMMANDS, GROUPS, main
from dqn_harness.shadows import PACKAGES

ROOT = Path(__file__).parents[2]
WORDS = sorted(COMMANDS)
for package in PACKAGES:  # some libraries draw from a global generator when they are imported
    importlib.import_module(f"{package}.__main__")


def harness(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dqn_harness", *words],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def here(monkeypatch, called):
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dqn-harness", *words])
        return called(lambda _: main())

    return run


def test_the_overview_names_every_command_once(here):
    code, told, _ = here("--help")
    assert code == 0
    lines = [line.split()[0] for line in told.splitlines() if line.startswith("  ")]
    assert sorted(lines) == WORDS
    assert len(WORDS) == sum(map(len, GROUPS.values()))
    assert here()[0] == 4
    assert here("--version")[1].startswith("dqn-harness ")


@pytest.mark.parametrize("name", WORDS)
def test_every_command_explains_itself_and_names_its_placeholders(here, name):
    code, told, errors = here(name, "--help")
    assert (code, errors) == (0, "")
    assert told.startswith(f"usage: dqn-harness {name}")
    assert not {"STR", "INT", "FLOAT", "PATH", "{None}|PATH"} & set(re.split(r"[\s\[\]]+", told))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["porbes"], "error: unknown command 'porbes'\n  nearest   probes"),
        (["probes", "--falt", "x"], "error: unrecognized options: --falt, x\n  nearest   --fault"),
        (["probes", "explian", "x"], "error: unknown command 'explian'\n  nearest   explain"),
        (["regress", "--seeds"], "error: missing value"),
        (["train", "--sed", "3"], "error: unrecognized options: --sed, 3\n  nearest   --seed"),
        (["explain", "world.constant"], "error: unknown check 'world.constant'"),
        (["probes", "-k", "td and"], "error: checks: cannot read 'td and'"),
    ],
)
def test_wrong_words_are_told_in_one_form(here, words, message):
    code, told, errors = here(*words)
    assert (code, told) == (4, "")
    assert errors.startswith(message), errors
    assert not set("╭│╰") & set(errors)


def test_messages_name_commands_that_their_reader_has(here, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "")
    monkeypatch.delenv("DQN_HARNESS_TARGETS", raising=False)
    plain = here("records", "empty")[2]
    assert "next      name a folder under runs/, or train: dqn-harness train" in plain
    monkeypatch.setenv("DQN_HARNESS_TARGETS", "bless")
    made = here("bless", "--reason", "no")[2]
    assert "next      make bless REASON='why the new curves are right'" in made
    monkeypatch.setenv("DQN_HARNESS_TARGETS", "bless probes")
    made = here("records", "empty")[2]
    assert ".venv/bin/dqn-harness train" in made


def test_an_agent_is_found_in_a_file_with_what_lies_beside_it(here, tmp_path):
    (tmp_path / "beside.py").write_text("from examples.dqn import make\n")
    (tmp_path / "agent.py").write_text("from beside import make\n")
    words = ("probes", "-k", "constant-reward.vector", "--agent")
    told = harness(*words, f"{tmp_path}/agent.py:make")
    assert told.returncode == 0, told.stderr
    assert "1 of 1 check ran, 0 red" in told.stdout
    code, _, errors = here(*words, f"{tmp_path}/other.py:make")
    assert code == 4
    assert "there is no file" in errors


def test_checks_are_listed_and_selected(here):
    code, told, _ = here("probes", "--list", "-k", "td.* and not double")
    codes = [line.split()[0] for line in told.splitlines()]
    assert code == 0
    assert "td.rows-are-independent" in codes
    assert all(code.startswith("td.") and "double" not in code for code in codes)


def test_reds_alone_with_one_worker(here):
    words = ("--fault", "discount-missing", "-k", "discounting.vector or reward-by-action.vector")
    code, told, _ = here("probes", "--red", "--workers", "1", *words)
    assert code == 1
    assert "world.two-step-discounting.vector" in told
    assert "world.reward-by-action.vector" not in told
    assert "2 of 2 checks ran, 1 red" in told
    assert here("probes", "--workers", "-1")[0] == 4


def test_output_may_be_cut_short_by_its_reader():
    words = [sys.executable, "-m", "dqn_harness", "probes", "--list"]
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as told:
        told.stdout.close()
        assert told.stderr.read() == ""
        assert told.wait() == 2
