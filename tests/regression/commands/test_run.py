"""From words on a command line to a verdict, on runs of a second or two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from reports.load import read_curves, read_verdict
from reports.schema import VerdictName
from tests.dqn_core.small import small, toml

ROOT = Path(__file__).parents[3]


def tiny_recipe(folder: Path) -> Path:
    """CartPole for 400 steps, as a file."""
    loop = {"total_steps": 400}
    evaluation = {"episodes": 1, "num_envs": 1, "rolling_episodes": 2}
    recipe = small(loop=loop, evaluation=evaluation).model_copy(update={"name": "tiny"})
    return toml(recipe, folder / "tiny.toml")


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, "-m", "regression", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_whole_run_leaves_verdict_curves_page_and_summary(tmp_path):
    recipe = tiny_recipe(tmp_path)
    ran = command(tmp_path, "run", "--recipe", recipe.name, HARNESS_SEEDS="3", HARNESS_DEVICE="cpu")
    assert ran.returncode == 6, ran.stderr
    assert "INCONCLUSIVE: Nothing to compare with" in ran.stdout
    folder = tmp_path / "runs" / "latest"
    verdict = read_verdict(folder)
    assert [seed.status for seed in verdict.seeds] == ["complete"] * 3
    table = read_curves(folder)
    assert sorted(set(table["seed"])) == [1000, 1001, 1002]
    assert len(table) == 3 * 10
    assert (folder / "report.html").is_file()
    assert (folder / "summary.md").is_file()
    # The command on the page does the same again, bit for bit.
    door, name, *words = verdict.reproduce[0].split()
    assert (door, name) == ("dqn-harness", "regress")
    again = command(tmp_path, "run", *words)
    assert again.returncode == 6
    repeated = read_verdict(tmp_path / "runs" / "latest")
    assert len(list((tmp_path / "runs").glob("regress-tiny-*"))) == 2
    assert [s.weights_digest for s in repeated.seeds] == [s.weights_digest for s in verdict.seeds]
    assert len({s.weights_digest for s in verdict.seeds}) == 3


def test_a_seed_that_breaks_is_named_and_costs_itself_only(tmp_path):
    recipe = tiny_recipe(tmp_path)
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import sys\n"
        "if '1001' in sys.argv:\n"
        "    raise SystemExit('the disk is on fire')\n"
    )  # fmt: skip
    ran = command(
        tmp_path, "run", "--recipe", recipe.name, "--seeds", "3", "--device", "cpu",
        PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}",
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    verdict = read_verdict(tmp_path / "runs" / "latest")
    assert [seed.status for seed in verdict.seeds] == ["complete", "failed", "complete"]
    assert "the disk is on fire" in verdict.seeds[1].error
    assert verdict.verdict is VerdictName.INFRA
