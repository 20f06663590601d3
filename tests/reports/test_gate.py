"""Exit codes, as a build sees them."""

import subprocess
import sys

import pytest

from reports import __main__ as command_line
from reports.__main__ import main
from reports.gate import exit_code
from reports.schema import PAGE_FILE, VERDICT_FILE, VerdictName

CODES = {"PASS": 0, "WATCH": 0, "BETTER": 0, "FAIL": 1, "INFRA": 3, "INCONCLUSIVE": 6}


@pytest.fixture(autouse=True)
def _tyro_draws_nothing(monkeypatch):
    """Only under pytest, tyro re-checks its caches at moments drawn from the global generator."""
    monkeypatch.delitem(sys.modules, "pytest")


def test_every_verdict_has_a_code():
    assert CODES.keys() == set(VerdictName)


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_gate_ends_with_the_code_of_the_verdict(tmp_path, store, verdict, curves, name, code):
    folder = store(tmp_path, verdict.model_copy(update={"verdict": VerdictName(name)}), curves)
    message = f"{name} pong (pong-short): Worse by 2 reference SDs."
    assert exit_code(folder) == (code, message)
    assert main(["gate", str(folder)]) == code


def test_message_stays_on_one_line(tmp_path, store, verdict, curves):
    hostile = verdict.model_copy(update={"sentence": "worse\n::error::\x1b[31m" + "x" * 5000})
    _, message = exit_code(store(tmp_path, hostile, curves))
    assert message.isprintable()
    assert len(message) == 1000


@pytest.mark.parametrize("command", ["gate", "page"])
def test_missing_run_is_never_a_pass(tmp_path, capsys, command):
    assert main([command, str(tmp_path / "typo")]) == 5
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["gate", "page"])
def test_broken_run_is_an_infrastructure_failure(folder, capsys, command):
    (folder / VERDICT_FILE).write_text("{")
    assert main([command, str(folder)]) == 3
    assert capsys.readouterr().err.startswith("the verdict is not JSON\n  where     ")


def test_page_that_cannot_be_written_is_an_infrastructure_failure(folder, capsys):
    (folder / PAGE_FILE).mkdir()
    assert main(["page", str(folder)]) == 3
    assert "Is a directory" in capsys.readouterr().err


def test_page_of_a_failed_comparison_is_still_built(folder, capsys):
    assert main(["page", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / PAGE_FILE}\n"
    assert (folder / PAGE_FILE).is_file()


@pytest.mark.parametrize("args", [[], ["gate", "x", "y"], ["draw", "x"], ["gate", "x", "--loud"]])
def test_wrong_usage_is_told_apart_from_an_interrupt(args):
    assert main(args) == 4


def test_asking_for_help_is_fine(capsys):
    assert main(["--help"]) == 0
    assert "gate" in capsys.readouterr().out


def test_interrupt_has_its_own_code(monkeypatch, folder):
    def interrupt(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "write_page", interrupt)
    assert main(["page", str(folder)]) == 2


def test_process_exits_with_the_code_and_without_a_traceback(folder):
    command = [sys.executable, "-m", "reports", "gate", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout + done.stderr == "FAIL pong (pong-short): Worse by 2 reference SDs.\n"
