"""From words on a command line to a verdict, on runs of a second or two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import regression.references as store
from dqn_core.recipe_file import RecipeError, load_recipe
from regression.curves import areas, final_tenths
from regression.fingerprint import fingerprint, source_digest
from regression.games import FIRST_FRESH_SEED, UsageError, resolve_job
from regression.judge import Evidence, judge
from regression.references import BlessingError, ReferenceError, bless, load_reference
from reports.files import write_text_atomically
from reports.load import read_curves, read_verdict
from reports.schema import CURVE_COLUMNS, CURVES_FILE, VERDICT_FILE, SeedResult, VerdictName
from tests.dqn_core.small import small, toml

ROOT = Path(__file__).parents[2]
STEPS = range(100, 1_100, 100)


def job(seeds: str = "5"):
    return resolve_job("cartpole", "", seeds, "cpu", "")


def curves(group: str, seeds: list[int], level: float) -> pd.DataFrame:
    """Curves that rise from `level` by 10 a window, a little higher for each seed."""
    rows = [
        {"group": group, "seed": seed, "step": step, "episodes": 3, "episode_length": 9.0}
        | {"episode_return": level + step / 10 + index}
        | {"evaluation_return": None, "loss": 0.5, "q_mean": 1.0}
        for index, seed in enumerate(seeds)
        for step in STEPS
    ]
    return pd.DataFrame(rows)[list(CURVE_COLUMNS)]


def result(seed: int, status: str = "complete") -> SeedResult:
    number = float(seed % 7) if status == "complete" else None
    return SeedResult(
        seed=seed, status=status, auc=number, first_tenth=number,
        final_tenth=None if number is None else number + 90, evaluation_return=number,
        weights_digest="0", wall_s=1.0,
        error="" if status == "complete" else "Traceback\nMemoryError: out of memory",
    )  # fmt: skip


def evidence(level: float, *, reference=True, seeds=(1000, 1001, 1002, 1003, 1004), failed=()):
    stored = list(range(20))
    tables = [curves("candidate", list(seeds), level)]
    info = None
    if reference:
        tables.append(curves("reference", stored, 100))
        info = store.ReferenceInfo(
            seeds=stored, content_hash="c", recipe_hash="r", reason="first ones made",
            blessed_on="2026-01-01", fingerprint={},
        )  # fmt: skip
    return Evidence(
        job=job(",".join(str(seed) for seed in seeds)),
        results=[result(s, "failed" if s in failed else "complete") for s in seeds],
        curves=pd.concat(tables),
        reference=info,
        no_reference="there is none",
        fingerprint={"torch version": "1"},
        started_utc="2026-01-01T00:00:00+00:00",
        wall_s=2.0,
    )


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
    on_cpu = resolve_job("pong", "", "", "cpu", "")
    assert on_cpu.recipe.name == "pong-short"
    assert on_cpu.notes == ["GAME=pong means the recipe pong-short on a CPU, pong with CUDA."]
    on_gpu = resolve_job("ALE/Pong-v5", "", "", "cuda", "")
    assert (on_gpu.recipe.name, on_gpu.notes) == ("pong", [])


@pytest.mark.parametrize("game", ["$(touch x)", "../../etc", "", "pnog", "mod:Env-v0", "a\nb"])
def test_unknown_games_are_refused_with_the_nearest(game):
    with pytest.raises(UsageError, match=r"expected  one of cartpole, pong\n  nearest "):
        resolve_job(game, "", "", "cpu", "")


@pytest.mark.parametrize("recipe", ["../../etc/passwd", "$(touch x)", "a;b", "nothing.toml"])
def test_unknown_recipes_are_refused(recipe):
    with pytest.raises((UsageError, RecipeError)):
        resolve_job("cartpole", recipe, "", "cpu", "")


def test_areas_carry_the_last_return_over_windows_without_an_episode():
    table = curves("candidate", [1], 0)
    table.loc[[0, 4], "episode_return"] = None
    # 20 (first known), 20, 30, 40, 40 (carried), 60, ... 100
    expected = (20 + 20 + 30 + 40 + 40 + 60 + 70 + 80 + 90 + 100) / 10
    assert areas(table, "candidate").tolist() == [expected]
    assert final_tenths(table, "candidate").tolist() == [100.0]


def test_verdicts_follow_the_curves():
    # Reference areas spread from 155 to 174, candidates over five of a level.
    assert judge(evidence(108)).verdict is VerdictName.PASS
    failed = judge(evidence(20))
    assert failed.verdict is VerdictName.FAIL
    assert failed.criteria[0].decides
    assert failed.criteria[0].tripped
    assert failed.criteria[0].candidate_mean == pytest.approx(20 + 55 + 2)
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


def test_a_verdict_is_a_pure_function_of_its_evidence():
    assert judge(evidence(99)) == judge(evidence(99))


@pytest.fixture
def references(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "REFERENCES", tmp_path / "references")
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "references"


def finished(folder: Path, **changes: object) -> Path:
    """A run folder with a verdict and curves, as `run` leaves it."""
    made = evidence(108, reference=False)
    verdict = judge(made).model_copy(update=changes)
    folder.mkdir()
    write_text_atomically(folder / VERDICT_FILE, verdict.model_dump_json())
    write_text_atomically(folder / CURVES_FILE, made.curves.to_csv(index=False))
    return folder


@pytest.mark.usefixtures("references")
def test_a_blessed_run_becomes_the_reference_of_its_recipe(tmp_path):
    bless(finished(tmp_path / "run"), "first ones made here", "2026-01-02")
    info, table = load_reference("cartpole", load_recipe("cartpole").digest())
    assert info.reason == "first ones made here"
    assert info.seeds == [1000, 1001, 1002, 1003, 1004]
    assert set(table["group"]) == {"reference"}
    assert areas(table, "reference").tolist() == areas(evidence(108).curves, "candidate").tolist()


@pytest.mark.usefixtures("references")
def test_references_of_other_recipes_altered_or_missing_are_refused(tmp_path):
    digest = load_recipe("cartpole").digest()
    with pytest.raises(ReferenceError, match="there is no reference for the recipe cartpole"):
        load_reference("cartpole", digest)
    folder = bless(finished(tmp_path / "run"), "first ones made here", "2026-01-02")
    with pytest.raises(ReferenceError, match="made with another recipe of that name"):
        load_reference("cartpole", "0" * 64)
    path = folder / CURVES_FILE
    path.write_text(path.read_text().replace("118.0", "119.0"))
    with pytest.raises(ReferenceError, match="was altered"):
        load_reference("cartpole", digest)
    (folder / "reference.json").write_text("{")
    with pytest.raises(ReferenceError, match="cannot be read"):
        load_reference("cartpole", digest)


@pytest.mark.parametrize(
    ("reason", "changes", "message"),
    [
        ("", {}, "at least three words"),
        ("a good reason", {"fault": "no-terminal-mask"}, "no-terminal-mask was planted"),
        ("a good reason", {"seeds": [result(1), result(2)]}, "at least 5 complete seeds, got 2"),
        ("a good reason", {"seeds": [result(s, "failed") for s in range(5)]}, r"failed: \[0, 1"),
        ("a good reason", {"seeds": [result(7)] * 5}, "same curve: was the seed used"),
        (
            "a good reason",
            {"seeds": [result(s).model_copy(update={"final_tenth": 1.0}) for s in range(5)]},
            "no learning",
        ),
        (
            "a good reason",
            {"seeds": [result(s).model_copy(update={"auc": None}) for s in range(5)]},
            "has no auc",
        ),
    ],
)
def test_degenerate_runs_are_never_blessed(tmp_path, references, reason, changes, message):
    with pytest.raises(BlessingError, match=message):
        bless(finished(tmp_path / "run", **changes), reason, "2026-01-02")
    assert not references.exists()


@pytest.mark.usefixtures("references")
def test_nothing_is_blessed_in_ci(tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(BlessingError, match="never in CI"):
        bless(finished(tmp_path / "run"), "a good reason", "2026-01-02")


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
        (["run", "--device", "tpu"], 4, "expected  cpu, cuda"),
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
