"""From words on a command line to a verdict, on runs of a second or two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dqn_core.recipes.file import RecipeError
from regression.gate.curves import returns_of, scores
from regression.gate.verdict import judge
from regression.job.job import FIRST_FRESH_SEED, UsageError, resolve_job
from regression.machine.fingerprint import fingerprint
from regression.machine.source_digest import source_digest
from reports.load import read_curves, read_verdict
from reports.schema import VerdictName
from tests.dqn_core.small import small, toml
from tests.regression.made import curves, evidence, job

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        ("", list(range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + 5))),
        ("2", [1000, 1001]),
        ("7-9", [7, 8, 9]),
        ("3,1,4", [3, 1, 4]),
    ],
)
def test_seeds_by_number_range_or_list(words, seeds):
    assert job(words).seeds == seeds


@pytest.mark.parametrize("words", ["0", "-1", "9-7", "1,1", "a", "1;2", "$(touch x)", "0-99999"])
def test_other_seeds_are_refused(words):
    with pytest.raises(UsageError, match="seeds: expected"):
        job(words)


def test_pong_means_another_recipe_without_a_gpu_and_says_so():
    on_cpu = resolve_job("pong", device="cpu")
    assert on_cpu.recipe.name == "pong-short"
    assert on_cpu.notes == ["GAME=pong means the recipe pong-short on a CPU, pong with CUDA."]
    on_gpu = resolve_job("ALE/Pong-v5", device="cuda")
    assert (on_gpu.recipe.name, on_gpu.notes) == ("pong", [])


@pytest.mark.parametrize("game", ["$(touch x)", "../../etc", "", "pnog", "mod:Env-v0", "a\nb"])
def test_unknown_games_are_refused_with_the_nearest(game):
    with pytest.raises(UsageError, match=r"expected  one of cartpole, pong\n  nearest "):
        resolve_job(game, device="cpu")


@pytest.mark.parametrize("recipe", ["../../etc/passwd", "$(touch x)", "a;b", "nothing.toml"])
def test_unknown_recipes_are_refused(recipe):
    with pytest.raises((UsageError, RecipeError)):
        resolve_job("cartpole", recipe=recipe, device="cpu")


def test_areas_carry_the_last_return_over_windows_without_an_episode():
    table = curves("candidate", [1], 0)
    table.loc[[0, 4], "episode_return"] = None
    # 20 (first known), 20, 30, 40, 40 (carried), 60, ... 100
    expected = (20 + 20 + 30 + 40 + 40 + 60 + 70 + 80 + 90 + 100) / 10
    found = scores(returns_of(table, "candidate"))
    assert [found.area, found.first_tenth, found.final_tenth, found.peak] == [
        [expected],
        [20.0],
        [100.0],
        [100.0],
    ]


def test_curves_come_in_the_order_of_the_seeds_asked_for():
    table = curves("candidate", [7, 3, 5], 0)
    assert returns_of(table, "candidate")[:, 0].tolist() == [11.0, 12.0, 10.0]  # 3, 5, 7
    assert returns_of(table, "candidate", [5, 7])[:, 0].tolist() == [12.0, 10.0]
    table.loc[table["seed"] == 3, "episode_return"] = None
    assert np.isnan(returns_of(table, "candidate")).sum(axis=1).tolist() == [10, 0, 0]


def test_verdicts_follow_the_curves():
    # Reference areas spread from 155 to 174, candidates over five of a level.
    assert judge(evidence(108)).verdict is VerdictName.PASS
    seeds = range(1000, 1020)
    failed = judge(evidence(20, seeds=seeds, stage_two=seeds[5:]))
    assert failed.verdict is VerdictName.FAIL
    first, second = (criterion for criterion in failed.criteria if criterion.decides)
    assert first.tripped
    assert second.tripped
    assert first.candidate_mean == pytest.approx(20 + 55 + 2)  # of the first five of twenty
    assert second.candidate_mean == pytest.approx(20 + 55 + 12)
    tripped = judge(evidence(20))
    assert tripped.verdict is VerdictName.INCONCLUSIVE
    assert "15 further fresh seeds must decide" in tripped.sentence
    assert judge(evidence(300)).verdict is VerdictName.BETTER


def test_no_reference_or_shared_seeds_are_inconclusive_never_a_pass():
    nothing = judge(evidence(108, reference=False))
    assert nothing.verdict is VerdictName.INCONCLUSIVE
    assert "there is none" in nothing.sentence
    shared = judge(evidence(108, seeds=(19, 1000, 1001, 1002, 1003)))
    assert shared.verdict is VerdictName.INCONCLUSIVE
    assert "Seeds [19] are in the reference too" in shared.sentence


def test_a_failed_seed_is_infrastructure_and_named():
    verdict = judge(evidence(108, failed=(1001,)))
    assert verdict.verdict is VerdictName.INFRA
    assert verdict.sentence == "Seed 1001 did not finish: MemoryError: out of memory"


def test_seeds_that_are_one_run_fail_however_well_they_learn():
    healthy = evidence(108)
    twins = [
        one.model_copy(update={"weights_digest": "0badcafe"}) if one.seed in {1001, 1003} else one
        for one in healthy.results
    ]
    verdict = judge(replace(healthy, results=twins))
    assert verdict.verdict is VerdictName.FAIL
    assert "Seeds [1001, 1003] ended with the same weights, bit for bit" in verdict.sentence
    of_logs = [one.model_copy(update={"weights_digest": ""}) for one in healthy.results]
    assert judge(replace(healthy, results=of_logs)).verdict is VerdictName.PASS


def test_a_verdict_is_a_pure_function_of_its_evidence():
    assert judge(evidence(99)) == judge(evidence(99))


def test_a_fingerprint_names_what_results_depend_on_and_no_one():
    facts = fingerprint("cpu")
    assert {"torch version", "numpy version", "cpu", "source digest", "threads"} <= set(facts)
    assert facts["source digest"] == source_digest()
    text = json.dumps(facts)
    assert os.uname().nodename not in text
    assert str(Path.home()) not in text


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
    again = command(tmp_path, *verdict.reproduce[0].split()[3:])
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
