"""`calibrate` as a command: promises kept or missed, and faults trained once."""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from dqn_core.files import replace_text
from dqn_core.recipes.file import load_recipe
from probes.faults.catalogue import fault_named
from regression.commands import calibrate as command
from regression.commands.calibrate import (
    TRAINED,
    calibrate,
    faults_markdown,
    measure,
    targets,
    train_faults,
)
from regression.gate.curves import returns_of, scores
from regression.gate.decide import decide
from regression.gate.error_rates import PLANTS, SHAPES, SHIFTS_SD, Rate
from regression.gate.power import DROPS_SD
from regression.gate.verdict import judge
from regression.job.job import resolve_job
from regression.store.references import UnusableReferenceError, load_reference
from reports.rows import difference_sd
from reports.schema import VERDICT_FILE, ExitCode, VerdictName
from tests.regression.gate.test_value_shift import EVERYWHERE, seen
from tests.regression.made import evidence
from tests.regression.runs.test_stages import JOB


def rate(change: str, fails: int, mean_seeds: float = 5.6) -> Rate:
    return Rate(
        "normal, 30+5+15",
        change,
        fails=fails,
        watches=0,
        trials=10_000,
        mean_seeds=mean_seeds,
        designed="as designed",
    )


def test_promises_are_called_kept_or_missed():
    good = [rate("none", 2), rate("1.5 SD lower", 8_000), rate("2 SD lower", 9_500)]
    assert [line.split(",")[0] for line in targets(good)] == ["kept"] * 4
    bad = [rate("none", 12, 6.1), rate("1.5 SD lower", 7_999), rate("2 SD lower", 9_499)]
    assert [line.split(",")[0] for line in targets([*good, *bad])] == ["MISSED"] * 4
    elsewhere = [replace(one, source="normal, 100+5+15") for one in bad]
    assert targets([*good, *elsewhere]) == targets(good)


def test_the_command_measures_prints_and_stores_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, count in (("SYNTHETIC_DRAWS", 50), ("HEALTHY_SPLITS", 4), ("PLANTED_SPLITS", 2)):
        monkeypatch.setattr(command, name, count)
    assert calibrate() is ExitCode.OK
    folder = tmp_path / "runs" / "calibration"
    table, text = pd.read_csv(folder / "rates.csv"), (folder / "rates.md").read_text()
    assert text in capsys.readouterr().out
    assert len(table) == 2 * len(SHAPES) * len(DROPS_SD) + len(PLANTS) + len(SHIFTS_SD)
    assert text.count("\n| ") == len(table) + 1
    assert ((table["fail_low"] <= table["fail"]) & (table["fail"] <= table["fail_high"])).all()


def test_without_a_reference_the_rest_is_measured_and_that_is_said(monkeypatch):
    def missing(*_):
        raise UnusableReferenceError("there is none")

    monkeypatch.setattr(command, "load_reference", missing)
    said = io.StringIO()
    rates = list(
        measure(JOB, synthetic=20, healthy=5, planted=5, console=Console(file=said, width=200))
    )
    assert len(rates) == 2 * len(SHAPES) * len(DROPS_SD)
    assert "stored seeds: not measured: there is none" in said.getvalue()


def test_the_twelve_are_of_many_components_and_a_run_can_have_each():
    assert len(TRAINED) == 12
    assert len({fault_named(name).component for name in TRAINED}) >= 6
    for name in TRAINED:
        parts = fault_named(name).parts
        assert (parts.envs, parts.subject) == (type(parts)().envs, None)


class Judged:
    """In place of training: a stored verdict for each fault, and a list of those asked for."""

    def __init__(self, level: float) -> None:
        self.level, self.asked = level, []

    def __call__(self, job, folder, *_):
        self.job, self.folder = job, folder
        return self

    def run(self):
        self.asked.append(self.job.fault)
        info, _ = load_reference(self.job.recipe)
        made = evidence(self.level)
        verdict = judge(replace(made, job=self.job, reference=info))
        replace_text(self.folder / VERDICT_FILE, verdict.model_dump_json())
        return verdict


def test_a_finished_fault_is_not_trained_again(tmp_path, monkeypatch):
    jobs = [resolve_job("cartpole", device="cpu", fault=name) for name in list(TRAINED)[:2]]
    console = Console(file=io.StringIO())
    played = Judged(108)
    monkeypatch.setattr(command, "Regression", played)
    first = train_faults(jobs[:1], tmp_path, console)
    assert played.asked == ["no-terminal-mask"]
    both = train_faults(jobs, tmp_path, console)
    assert played.asked == ["no-terminal-mask", "discount-missing"]
    assert both.iloc[0].to_dict() == first.iloc[0].to_dict()
    assert both["verdict"].tolist() == ["PASS", "PASS"]
    (place,) = (tmp_path / "trained").glob("cartpole-*")
    assert pd.read_csv(place / "faults.csv")["fault"].tolist() == [
        "no-terminal-mask",
        "discount-missing",
    ]
    assert "FAIL on 0 of 2 planted faults." in (place / "faults.md").read_text()


def test_the_table_tells_what_moved_inside_in_the_last_stage():
    job = resolve_job("cartpole", device="cpu", fault="discount-missing")
    verdict = judge(seen({"q_mean": 4.0}, EVERYWHERE, both=True))
    of_stage_two = [one for one in verdict.criteria if one.stage == 2 and "Q-value" in one.name]
    (told,) = [difference_sd(one) for one in of_stage_two]
    assert told > 2.0
    row = command._row(job, verdict)
    assert (row["q_mean_moved_sd"], row["seeds"]) == (told, 20)
    assert f"| {told:+.1f} | {row['loss_moved_sd']:+.1f} | 20 |" in faults_markdown(
        pd.DataFrame([row])
    )


@pytest.mark.parametrize(
    "change", [{"recipe_hash": "of another"}, {"reference": None}, {"verdict": VerdictName.INFRA}]
)
def test_a_verdict_on_something_else_does_not_count_as_finished(tmp_path, monkeypatch, change):
    job = resolve_job("cartpole", device="cpu", fault="no-terminal-mask")
    played = Judged(108)
    monkeypatch.setattr(command, "Regression", played)
    console = Console(file=io.StringIO())
    train_faults([job], tmp_path, console)
    (path,) = tmp_path.glob(f"trained/cartpole-*/{job.fault}/{VERDICT_FILE}")
    verdict = command.read_verdict(path.parent).model_copy(update=change)
    path.write_text(verdict.model_dump_json())
    train_faults([job], tmp_path, console)
    assert played.asked == ["no-terminal-mask"] * 2


def test_nothing_is_trained_where_there_is_no_reference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnusableReferenceError, match="breakout"):
        calibrate(train="1", recipe="breakout")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_that_no_run_can_have_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no run of a recipe has it"):
        calibrate(train="no-terminal-mask,no-no-ops")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", ["cartpole", "pong-short"])
def test_a_stored_reference_judges_its_own_seeds_healthy(recipe):
    """All its seeds as candidates: nothing moved, nothing dead, nothing better."""
    _, table = load_reference(load_recipe(recipe))
    own = scores(returns_of(table, "reference"))
    decision = decide("return", own, own)
    assert decision.verdict is VerdictName.PASS
    assert decision.criteria[0].p_value > 0.5
    assert not any(criterion.tripped for criterion in decision.criteria)
