"""Packages of our names: passed by in the working folder, told where ours hides them."""

from __future__ import annotations

from pathlib import Path

from dqn_harness.shadows import PACKAGES
from tests.dqn_harness.test_commands import harness

ROOT = Path(__file__).parents[2]


def test_packages_of_our_names_in_the_working_folder_are_passed_by(tmp_path):
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('{name} is not ours')\n")
    (tmp_path / "mine.py").write_text("from examples.dqn import make\n")
    told = harness("probes", "--agent", "mine:make", "-k", "constant-reward.vector", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "1 of 1 check ran, 0 red" in told.stdout


def test_an_agent_whose_own_package_ours_hides_is_told_so(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "__init__.py").write_text("")
    (tmp_path / "reports" / "mine.py").write_text("")
    (tmp_path / "agent.py").write_text("import reports.mine\n")
    told = harness("probes", "--agent", "agent:make", "-k", "constant", cwd=tmp_path)
    assert told.returncode == 4
    assert f"{ROOT / 'reports'} hides {tmp_path / 'reports'}: rename" in told.stderr
