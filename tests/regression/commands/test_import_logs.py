"""From logs of other programs to a verdict, by the commands; and judging what is there."""

from __future__ import annotations

import io
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from regression.__main__ import main
from regression.gate.decide import STAGE_TWO_SEEDS
from regression.importers.run_folder import SOURCES_FILE
from regression.job import run_folders
from regression.job.job import resolve_job
from regression.job.job_file import JobError, read_job, resumed_job
from regression.runs.rejudge import judge_stored
from regression.runs.stages import Regression
from regression.store import references
from regression.store.references import history
from regression.store.units import read_sealed
from reports.load import read_curves, read_verdict
from reports.schema import ExitCode, VerdictName
from tests.regression.finished_runs import finished
from tests.regression.runs.test_stages import Played

STEPS = ("--total-steps", "2000", "--window-steps", "100")
STORE = ("--references", "ours")


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    """An empty folder to work in, with an empty store of references of the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(references, "REFERENCES", tmp_path / "package")
    monkeypatch.delenv("CI", raising=False)
    # What the gate would see is told elsewhere, and takes a second each time.
    monkeypatch.setattr("regression.gate.verdict.operating_curves", lambda *_: [])
    # In a test, the parser of the command line throws a die of the global generator.
    monkeypatch.setattr("random.random", lambda: 1.0)


def logs(seeds, level: float = 100.0) -> list[str]:
    """Tables of runs that learn up to a level, which differs a little from seed to seed."""
    paths = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        peak, path = level + 3 * rng.normal(), Path("logs", f"seed{seed}.csv")
        path.parent.mkdir(exist_ok=True)
        rows = (
            f"{step},{peak * min(1, step / 1000) + rng.normal()}" for step in range(20, 2001, 20)
        )
        path.write_text("step,return\n" + "\n".join(rows) + "\n")
        paths.append(str(path))
    return paths


def command(monkeypatch, *words: str) -> ExitCode:
    monkeypatch.setattr("sys.argv", ["regression", *words])
    return ExitCode(main())


def imported(monkeypatch, seeds, level: float = 100.0, *words: str) -> ExitCode:
    told = ("import", "--name", "mine", *STEPS, *STORE, *words, *logs(seeds, level))
    return command(monkeypatch, *told)


def latest() -> Path:
    return run_folders.LATEST.resolve()


@pytest.fixture
def _blessed(monkeypatch) -> None:
    """A store with a reference of twelve healthy seeds."""
    assert imported(monkeypatch, range(1, 13)) is ExitCode.INCONCLUSIVE
    assert "no reference for the recipe mine" in read_verdict(latest()).sentence
    told = ("bless", "--run", str(latest()), "--reason", "healthy seeds of ours", *STORE)
    assert command(monkeypatch, *told) is ExitCode.OK


@pytest.mark.usefixtures("_blessed")
def test_healthy_seeds_pass(monkeypatch, capsys):
    assert not Path("package").exists()
    capsys.readouterr()
    assert imported(monkeypatch, range(101, 106)) is ExitCode.OK
    said = capsys.readouterr().out
    for seed, path in zip(range(101, 106), logs(range(101, 106)), strict=True):
        assert f"seed {seed}    {path}  100 episodes" in said
    assert "format csv, by what is there" in said
    verdict = read_verdict(latest())
    assert (verdict.verdict, verdict.recipe, verdict.device) == (
        VerdictName.PASS,
        "mine",
        "imported",
    )
    assert verdict.reference.seeds == list(range(1, 13))
    assert verdict.level is None
    table = read_curves(latest())
    assert table.groupby(["group", "seed"]).size().eq(20).all()
    assert {seed.weights_digest for seed in verdict.seeds} == {""}
    assert "mine" in (latest() / "report.html").read_text()
    unit, _ = read_sealed(latest() / "mine-imported-seed-101")
    assert (unit.steps, unit.key.seed) == (2000, 101)
    assert (
        (latest() / "mine-imported-seed-101" / SOURCES_FILE).read_text().endswith("  seed101.csv\n")
    )
    # The command that repeats it is one that the command line takes.
    door, *again = verdict.reproduce[0].replace(" LOGS", "").split()
    assert door == "dqn-harness"
    assert command(monkeypatch, *again, *STORE, *logs(range(101, 106))) is ExitCode.OK
    assert read_verdict(latest()).recipe_hash == verdict.recipe_hash


@pytest.mark.usefixtures("_blessed")
def test_a_drop_fails_once_stage_two_has_its_seeds(monkeypatch, capsys):
    assert imported(monkeypatch, range(101, 106), 70.0) is ExitCode.INCONCLUSIVE
    run = latest()
    assert "0 of them are there, 15 are missing" in read_verdict(run).sentence
    into = ("import", "--into", str(run), *STORE)
    assert command(monkeypatch, *into, *logs(range(200, 208), 70.0)) is ExitCode.INCONCLUSIVE
    assert "8 of them are there, 7 are missing" in read_verdict(run).sentence
    assert command(monkeypatch, *into, *logs(range(200, 201), 70.0)) is ExitCode.USAGE
    assert "has seed 200 already" in capsys.readouterr().err
    assert command(monkeypatch, *into, *logs(range(208, 215), 70.0)) is ExitCode.FAIL
    verdict = read_verdict(run)
    assert [c.candidate_n for c in verdict.criteria if c.decides] == [5, STAGE_TWO_SEEDS]
    # Nobody adds seeds until the verdict pleases.
    assert command(monkeypatch, *into, *logs(range(300, 305))) is ExitCode.USAGE
    assert "closed" in capsys.readouterr().err
    assert read_verdict(run) == verdict
    assert command(monkeypatch, "judge", str(run), *STORE) is ExitCode.FAIL
    assert read_verdict(run).criteria == verdict.criteria
    # The package's own references know nothing of it.
    assert command(monkeypatch, "judge", str(run)) is ExitCode.INCONCLUSIVE


@pytest.mark.usefixtures("_blessed")
def test_stage_two_may_clear_the_suspicion(monkeypatch):
    assert imported(monkeypatch, range(101, 106), 70.0) is ExitCode.INCONCLUSIVE
    told = ("import", "--into", str(latest()), *STORE)
    assert command(monkeypatch, *told, *logs(range(200, 215))) is ExitCode.OK
    assert read_verdict(latest()).verdict is VerdictName.WATCH


@pytest.mark.usefixtures("_blessed")
def test_a_reference_of_another_protocol_is_refused_with_the_field_named(monkeypatch):
    for words, field in [
        (("--window-steps", "200"), "window_steps: 100 there, 200 now"),
        (("--total-steps", "1900"), "total_steps: 2000 there, 1900 now"),
        (("--length-column", "step"), "series.length: '' there, 'step' now"),
    ]:
        assert imported(monkeypatch, range(101, 106), 100.0, *words) is ExitCode.INCONCLUSIVE
        assert field in read_verdict(latest()).sentence


@pytest.mark.usefixtures("_blessed")
def test_seeds_of_the_reference_are_no_evidence(monkeypatch):
    assert imported(monkeypatch, range(8, 13)) is ExitCode.INCONCLUSIVE
    assert "so they are not independent" in read_verdict(latest()).sentence


@pytest.mark.parametrize(
    "name", ["", "../x", "/etc", "Mine", "a b", "a\nb", "a" * 42, "-a", "cartpole", "$(touch x)"]
)
def test_names_lead_nowhere_else(monkeypatch, capsys, name):
    told = ("import", f"--name={name}", *STEPS, *logs([1]))
    assert command(monkeypatch, *told) is ExitCode.USAGE
    assert "name" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "one file or folder for each seed"),
        (("--format", "pickle", "logs/seed1.csv"), "expected one of monitor"),
        (("logs/seed1.csv", "logs/seed1.csv"), "seed 1 is that of several logs"),
        (("--total-steps", "9000", "logs/seed1.csv"), "ends too early"),
        (("--total-steps", "2050", "logs/seed1.csv"), "whole windows"),
        (("--into", "nowhere", "logs/seed1.csv"), "not a run that can be resumed"),
        (("logs/seed1.csv", "logs/seed2"), "logs of one format"),
        (("logs/seed9.csv",), "there is no such log"),
        (("--tag", "x", "--format", "tensorboard", "logs/seed1.csv"), "damaged"),
    ],
)
def test_bad_input_leaves_nothing(monkeypatch, capsys, words, message):
    logs([1])
    Path("logs/seed2").mkdir()
    Path("logs/seed2/monitor.csv").touch()
    assert command(monkeypatch, "import", "--name", "mine", *STEPS, *words) is ExitCode.USAGE
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_another_protocol_cannot_be_added_to_a_run(monkeypatch, capsys):
    imported(monkeypatch, range(1, 6))
    run = latest()
    told = ("import", "--into", str(run), *logs([7]))
    for words, field in [
        (("--name", "other"), "name: 'mine' in"),
        (("--window", "200"), "window_steps: 100 in"),
        (("--step-column", "return"), "series: "),
    ]:
        assert command(monkeypatch, *told, *words) is ExitCode.USAGE
        assert field in capsys.readouterr().err
    assert len(list(run.glob("mine-*"))) == 5


def test_make_hands_values_over_in_the_environment(monkeypatch):
    paths = logs(range(1, 6))
    shutil.move(paths[0], "logs/a seed1.csv")
    values = {
        "NAME": "mine", "STEPS": "2000", "WINDOW": "100", "FORMAT": "csv", "REFERENCES": "ours",
        "LOGS": " ".join(["'logs/a seed1.csv'", *paths[1:]]),
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"HARNESS_{name}", value)
    assert command(monkeypatch, "import") is ExitCode.INCONCLUSIVE
    assert read_job(latest()).seeds == [1, 2, 3, 4, 5]
    assert command(monkeypatch, "bless", "--reason", "healthy seeds of ours") is ExitCode.OK
    assert next(history("mine", Path("ours"))).device == "imported"
    monkeypatch.setenv("HARNESS_RECIPE", "mine")
    assert command(monkeypatch, "history") is ExitCode.OK


def test_imported_curves_are_nothing_to_train(monkeypatch):
    imported(monkeypatch, range(1, 6))
    with pytest.raises(JobError, match="were imported: there is nothing to train"):
        resumed_job(latest())
    # Logs may be added on another machine: the job tells of none.
    assert read_job(latest()).fingerprint == {}


def test_a_damaged_or_foreign_unit_stops_the_judge(monkeypatch, capsys):
    imported(monkeypatch, range(1, 6))
    run, unit = latest(), latest() / "mine-imported-seed-3"
    shutil.copytree(unit, unit.with_name("mine-imported-seed-9"))
    assert command(monkeypatch, "judge", str(run)) is ExitCode.INFRA
    assert "of another job" in capsys.readouterr().err
    shutil.rmtree(unit.with_name("mine-imported-seed-9"))
    curve = unit / "curve.csv"
    curve.write_text(curve.read_text().replace("100,5,", "100,6,", 1))
    assert command(monkeypatch, "judge", str(run)) is ExitCode.INFRA
    assert "curve.csv: altered" in capsys.readouterr().err
    shutil.rmtree(unit)
    assert command(monkeypatch, "judge", str(run)) is ExitCode.INFRA
    assert "Seed 3 did not finish" in read_verdict(run).sentence
    # As after an import that was killed: the seed that is missing can be brought again.
    told = ("import", "--into", str(run), *logs([3]))
    assert command(monkeypatch, *told) is ExitCode.INCONCLUSIVE
    assert [seed.status for seed in read_verdict(run).seeds] == ["complete"] * 5
    job = json.loads((run / "job.json").read_text())
    job["recipe"]["window_steps"] = 200
    (run / "job.json").write_text(json.dumps(job))
    assert command(monkeypatch, "judge", str(run)) is ExitCode.USAGE


def test_a_regression_takes_references_from_the_folder_of_a_team(tmp_path, monkeypatch):
    finished(tmp_path / "run")
    told = ("--reason", "the first ones made", *STORE)
    assert command(monkeypatch, "bless", "--run", "run", *told) is ExitCode.OK
    job = resolve_job("cartpole", seeds="1-5", device="cpu")
    for where, name in [(Path("ours"), VerdictName.PASS), (None, VerdictName.INCONCLUSIVE)]:
        monkeypatch.setattr("regression.runs.stages.Runner", Played([108.0]))
        folder = tmp_path / f"fresh-{where}"
        folder.mkdir()
        started = datetime(2026, 1, 1, tzinfo=UTC)
        verdict = Regression(
            job, folder, Console(file=io.StringIO()), started, references_dir=where
        ).run()
        assert verdict.verdict is name


def test_a_run_trained_here_is_judged_as_it_is(tmp_path, monkeypatch):
    for name, level in (("run", 108.0), ("worse", 60.0)):
        finished(tmp_path / name, level)
    told = ("--reason", "the first ones made", *STORE)
    assert command(monkeypatch, "bless", "--run", "run", *told) is ExitCode.OK
    job = json.loads((tmp_path / "worse" / "job.json").read_text())
    # The same seeds as the reference's: of another run they are said to be no evidence.
    verdict = judge_stored(tmp_path / "worse", Path("ours"), print)
    assert (verdict.verdict, verdict.game) == (VerdictName.INCONCLUSIVE, "cartpole")
    assert "so they are not independent" in verdict.sentence
    # As seeds of a reference that were trained again, they are compared bit by bit instead.
    (tmp_path / "worse" / "job.json").write_text(json.dumps(job | {"seeds": [1, 2]}))
    verdict = judge_stored(tmp_path / "worse", Path("ours"), print)
    assert verdict.verdict is VerdictName.INFRA
    assert [check.seed for check in verdict.bits] == [1000, 1001, 1002, 1003, 1004]
    assert {seed.seed for seed in verdict.seeds} == {1, 2}
