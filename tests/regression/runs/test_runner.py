"""Whole runs, interrupted, or with units that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.dqn_core.small import small, toml

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def tiny(folder: Path, steps: int = 400) -> str:
    recipe = small(
        loop={"total_steps": steps},
        evaluation={"episodes": 1, "num_envs": 1, "rolling_episodes": 2},
    )
    toml(recipe.model_copy(update={"name": "tiny"}), folder / "tiny.toml")
    return "tiny.toml"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "regression", *arguments]


def test_an_interrupted_run_ends_with_its_children_and_goes_on(tmp_path):
    arguments = command(
        "run", "--recipe", tiny(tmp_path, 40_000), "--seeds", "2", "--device", "cpu"
    )
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        headline = process.stdout.readline()
        folder = tmp_path / headline.split()[-1]
        while not list(folder.glob(".*.partial/checkpoints/step_*")):
            assert process.poll() is None
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
    assert (process.returncode, len(children)) == (2, 2)
    assert not any(child.is_running() for child in children)
    assert f"dqn-harness regress --resume {folder.relative_to(tmp_path)}" in said
    assert not (folder / "verdict.json").exists()
    # Gone on with, one of its units is found where it was.
    checkpoint = next(folder.glob(".*.partial/checkpoints/step_*"))
    reached = max(path.name for path in checkpoint.parent.glob("step_*"))
    again = subprocess.Popen(
        command("run", "--resume", str(folder)),
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with again:
        lines = iter(again.stdout.readline, "")
        assert any(f"went on from step {int(reached[5:])}" in line for line in lines)
        # Not SIGINT: what a shell has started in the background ignores that.
        again.send_signal(signal.SIGTERM)
        again.stdout.read()
    assert again.returncode == 2


def test_a_unit_that_is_killed_is_tried_once_more_and_then_failed(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "if '--seed' in sys.argv:\n"
        "    tries = Path('tries-' + sys.argv[sys.argv.index('--seed') + 1])\n"
        "    with tries.open('a') as file:\n"
        "        file.write('x')\n"
        "    if '1001' in sys.argv or len(tries.read_text()) == 1:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    ran = subprocess.run(
        command("run", "--recipe", tiny(tmp_path), "--seeds", "2", "--device", "cpu"),
        cwd=tmp_path, env=ENVIRONMENT | {"PYTHONPATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    assert "seed 1000: killed by SIGKILL; tried again, and finished" in ran.stdout
    folder = tmp_path / "runs" / "latest"
    verdict = json.loads((folder / "verdict.json").read_text())
    assert [seed["status"] for seed in verdict["seeds"]] == ["complete", "failed"]
    assert "killed by SIGKILL, and once more killed by SIGKILL" in verdict["seeds"][1]["error"]
    assert (tmp_path / "tries-1001").read_text() == "xx"
