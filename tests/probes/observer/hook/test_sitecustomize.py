"""The hook that an interpreter loads before a script."""

from __future__ import annotations

import subprocess
import sys

from probes.scripts.observed import HOOK


def test_it_loads_in_an_isolated_interpreter_and_without_a_plan_does_nothing():
    code = f"import runpy; runpy.run_path({str(HOOK / 'sitecustomize.py')!r})"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"{code}\nimport sys; print(sorted(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "dqn_harness_observer" not in ran.stdout
    assert "'numpy'" not in ran.stdout


def test_nothing_is_imported_earlier_than_the_script_does(tmp_path):
    (tmp_path / "plan.json").write_text(
        '{"out": "out", "steps": 1, "seconds": 60, "networks": true, "tags": true, '
        '"updates": 1, "world": {"next_state": []}}'
    )
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; print({'numpy', 'torch', 'gym'} & set(sys.modules))"],
        cwd=tmp_path, env={"PYTHONPATH": str(HOOK), "DQN_HARNESS_PLAN": "plan.json"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "set()\n"
    assert (tmp_path / "out" / "seal.json").exists()
