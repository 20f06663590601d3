"""Bundles of references: blessed with a reason, verified whenever read, never lost."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dqn_core.files import partial_path, replace_text
from dqn_core.recipes.file import load_recipe
from regression.commands import bless as command
from regression.commands.history import history as list_references
from regression.job.job import resolve_job
from regression.job.job_file import StoredJob, describe, record
from regression.store import references
from regression.store.blessing import (
    MOST_SPREAD,
    BlessingError,
    moved_between,
    proposed,
    refuse_degenerate,
    refuse_thoughtless,
)
from regression.store.references import (
    UnusableReferenceError,
    curves_of,
    history,
    load_reference,
    put_in_force,
)
from regression.store.units import (
    FORMAT,
    StoreError,
    Unit,
    seal,
    unit_folder,
    unit_key,
)
from reports.schema import CURVES_FILE, VERDICT_FILE, ExitCode, SeedResult, Verdict, VerdictName
from tests.regression.made import curves, evidence, result

SEEDS = [1000, 1001, 1002, 1003, 1004]
UNIT_COLUMNS = (
    "step", "episodes", "episode_return", "episode_length", "evaluation_return", "rolling_return",
    "loss", "q_mean", "epsilon", "learning_rate", "weights_digest",
)  # fmt: skip


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    """An empty folder of references."""
    monkeypatch.setattr(references, "REFERENCES", tmp_path / "references")
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "references"


def finished(folder: Path, level: float = 108.0, **changes: object) -> Path:
    """A run as `make regress` leaves it: five sealed units, a job and a verdict."""
    from regression.gate.verdict import judge

    job = resolve_job("cartpole", seeds="1000-1004", device="cpu")
    folder.mkdir(parents=True)
    record(folder, describe(job))
    table = curves("candidate", SEEDS, level)
    for seed in SEEDS:
        _seal_unit(folder, job, seed, table[table["seed"] == seed])
    results = [digested(seed) for seed in SEEDS]
    verdict = judge(evidence(level, reference=False)).model_copy(
        update={"seeds": results} | changes
    )
    replace_text(folder / VERDICT_FILE, verdict.model_dump_json())
    return folder


def _digest(seed: int, window: int) -> str:
    """Which reads like a number, too."""
    return f"1e{seed % 100:02d}{window:04d}"


def _seal_unit(folder: Path, job, seed: int, table: pd.DataFrame) -> None:
    place = unit_folder(folder, job, seed)
    partial_path(place).mkdir()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, UNIT_COLUMNS, extrasaction="ignore", restval="nan")
    writer.writeheader()
    for index, row in enumerate(table.to_dict("records")):
        cells = {k: "nan" if pd.isna(v) else v for k, v in row.items()}
        writer.writerow(cells | {"weights_digest": _digest(seed, index)})
    (partial_path(place) / "curve.csv").write_text(text.getvalue(), newline="")
    unit = Unit(
        format=FORMAT, key=unit_key(job.recipe, seed, "cpu", ""), status="complete", steps=1000,
        fingerprint={}, wall_s=1.0,
    )  # fmt: skip
    seal(unit, place)


def propose(run: Path, reason: str = "first ones made here"):
    verdict = Verdict.model_validate_json((run / VERDICT_FILE).read_bytes())
    job = StoredJob.model_validate_json((run / "job.json").read_bytes())
    return proposed(run, verdict, job, reason=reason, today="2026-01-02")


def bless(run: Path, reason: str = "first ones made here") -> Path:
    return put_in_force(*propose(run, reason))


@pytest.mark.usefixtures("store")
def test_a_blessed_run_becomes_the_reference_of_its_recipe(tmp_path):
    folder = bless(finished(tmp_path / "run"))
    recipe = load_recipe("cartpole")
    info, table = load_reference(recipe)
    assert (info.reason, info.seeds) == ("first ones made here", SEEDS)
    assert folder.name == info.content_hash[:16]
    assert set(table["group"]) == {"reference"}
    expected = curves("candidate", SEEDS, 108.0)
    for name in ("seed", "step", "episode_return", "loss"):
        assert table[name].tolist() == expected[name].tolist()
    # Digests are text: as numbers, these would be one.
    assert table["weights_digest"].tolist()[:2] == ["1e000000", "1e000001"]
    assert table["evaluation_return"].isna().all()


@pytest.mark.usefixtures("store")
def test_numbers_stay_the_text_that_the_run_wrote(tmp_path):
    run = finished(tmp_path / "run", 0.1 + 0.2)
    bundle, text = propose(run)
    bless(run)
    written = (run / "cartpole-cpu-seed-1003" / "curve.csv").read_text().splitlines()[1].split(",")
    assert written[2] in text
    stored = curves_of(next(history("cartpole")))
    mine = stored[(stored["seed"] == 1003) & (stored["step"] == int(written[0]))]
    assert mine["episode_return"].item().hex() == float(written[2]).hex()
    assert bundle.curves_sha256 == next(history("cartpole")).curves_sha256


@pytest.mark.usefixtures("store")
def test_blessings_form_a_chain_with_the_test_of_new_against_old(tmp_path):
    bless(finished(tmp_path / "one"))
    with pytest.raises(BlessingError, match="in force already"):
        propose(finished(tmp_path / "same"))
    bless(finished(tmp_path / "two", 60.0), "slower now for good reasons")
    newest, oldest = history("cartpole")
    assert (newest.previous, oldest.previous) == (oldest.content_hash, "")
    assert (newest.reason, oldest.moved) == ("slower now for good reasons", None)
    assert newest.moved.p_worse == pytest.approx(1 / 252)  # C(10, 5) arrangements
    assert newest.moved.p_better > 0.9
    back = moved_between(curves_of(newest), curves_of(oldest))
    assert (back.p_worse > 0.9, back.p_better) == (True, pytest.approx(1 / 252))
    assert curves_of(oldest)["episode_return"].iloc[0] == 118.0


@pytest.mark.usefixtures("store")
def test_a_reference_of_another_recipe_names_each_field(tmp_path):
    recipe = load_recipe("cartpole")
    with pytest.raises(
        UnusableReferenceError, match="there is no reference for the recipe cartpole"
    ):
        load_reference(recipe)
    bless(finished(tmp_path / "run"))
    for section, name, value in [
        ("evaluation", "epsilon", 0.5), ("env", "id", "CartPole-v0"), ("td", "gamma", 0.5),
        ("loop", "window_steps", 64),
    ]:  # fmt: skip
        changed = getattr(recipe, section).model_copy(update={name: value})
        with pytest.raises(
            UnusableReferenceError, match=rf"{section}\.{name}: .* there, .*{value}.* now"
        ):
            load_reference(recipe.model_copy(update={section: changed}))


def test_sticky_actions_are_part_of_what_must_agree():
    recipe = load_recipe("pong-short")
    load_reference(recipe)
    sticky = recipe.env.model_copy(update={"sticky_probability": 0.9})
    with pytest.raises(UnusableReferenceError, match=r"env\.sticky_probability"):
        load_reference(recipe.model_copy(update={"env": sticky}))


def edited(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replaced(path: Path, old: bytes, new: bytes) -> None:
    before = path.read_bytes()
    path.write_bytes(before.replace(old, new, 1))
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: replaced(f / CURVES_FILE, b"8.0,9.0", b"9.0,9.0"), "altered"),
        (lambda f: replaced(f / CURVES_FILE, b"9\n", b""), "altered"),
        (lambda f: (f / CURVES_FILE).unlink(), "cannot be read"),
        (lambda f: edited(f / "bundle.json", format=2), r"format\n.*expected  1\n.*actual    2"),
        (lambda f: edited(f / "bundle.json", reason="another one"), "content_hash"),
        (lambda f: edited(f / "bundle.json", seeds=[1]), "content_hash"),
        (lambda f: edited(f / "bundle.json", recipe="pong"), "recipe\n"),
        (lambda f: edited(f / "bundle.json", surprise=1), "cannot be read"),
        (lambda f: (f / "bundle.json").write_text("{"), "cannot be read"),
        (shutil.rmtree, "chain of cartpole is broken"),
        (lambda f: f.rename(f.with_name("0" * 16)), "chain of cartpole is broken"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("which", ["in force", "before"])
def test_whatever_is_altered_is_refused_and_named(store, tmp_path, break_it, message, which):
    first = bless(finished(tmp_path / "one"))
    second = bless(finished(tmp_path / "two", 118.0), "another one, for the test")
    break_it(second if which == "in force" else first)
    with pytest.raises(UnusableReferenceError, match=message):
        load_reference(load_recipe("cartpole"))
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with pytest.raises(UnusableReferenceError, match=message):
        propose(finished(tmp_path / "three", 128.0))
    assert before == {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "..", "A", "", "x\n", "a" * 60])
def test_names_of_recipes_lead_nowhere_else(name):
    with pytest.raises(UnusableReferenceError, match="lower case and dashes"):
        next(history(name))


@pytest.mark.parametrize(
    "text", ["../../x\n", "0123456789abcdef", "0123456789ABCDEF\n", "", "\xff"]
)
def test_the_current_file_names_a_bundle_and_nothing_else(store, text):
    (store / "cartpole").mkdir(parents=True)
    (store / "cartpole" / "current").write_text(text)
    with pytest.raises(UnusableReferenceError, match=r"hexadecimal|cannot be read"):
        next(history("cartpole"))


def test_the_references_of_the_project_are_whole():
    assert [len(bundle.seeds) for bundle in history("cartpole")] == [100, 100, 20, 20]
    assert [len(bundle.seeds) for bundle in history("pong-short")] == [12, 12, 6]
    for name in ("cartpole", "pong-short"):
        _, table = load_reference(load_recipe(name))
        assert table["weights_digest"].str.fullmatch("[0-9a-f]{8}").all()
        refuse_degenerate(table.drop(columns="weights_digest"))


# Refusals


@pytest.mark.parametrize("reason", ["", "because", "two words", "  spaced   out  "])
def test_no_reason_no_blessing(monkeypatch, reason):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(BlessingError, match="at least three words"):
        refuse_thoughtless(reason)


def test_nothing_is_blessed_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(BlessingError, match="never in CI"):
        refuse_thoughtless("a very good reason")


def digested(seed: int, **changes: object) -> SeedResult:
    return result(seed).model_copy(update={"weights_digest": _digest(seed, 9)} | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fault": "no-terminal-mask"}, "no-terminal-mask was planted"),
        ({"seeds": [digested(1000), digested(1001)]}, "at least 5 complete seeds, got 2"),
        ({"seeds": [result(s, "failed") for s in SEEDS]}, r"failed: \[1000, 1"),
        ({"seeds": [digested(1000), *map(digested, SEEDS)]}, "counts twice"),
        ({"recipe_hash": "0" * 64}, "of two recipes"),
        ({"seeds": [digested(s, weights_digest="0") for s in SEEDS]}, "other weights of seed 1000"),
    ],
)
def test_unfit_runs_are_never_blessed(store, tmp_path, changes, message):
    with pytest.raises(BlessingError, match=message):
        propose(finished(tmp_path / "run", **changes))
    assert not store.exists()


@pytest.mark.usefixtures("store")
def test_a_run_of_a_recipe_that_is_no_more_is_orphaned(tmp_path, monkeypatch):
    run = finished(tmp_path / "run")
    changed = load_recipe("cartpole").model_copy(update={"metric": "another"})
    monkeypatch.setattr("regression.store.blessing.load_recipe", lambda _: changed)
    with pytest.raises(
        BlessingError, match="orphaned: the recipe cartpole has changed since the run"
    ):
        propose(run)
    edited(run / "job.json", recipe_name="no-such-recipe")
    monkeypatch.undo()
    with pytest.raises(BlessingError, match="orphaned, nothing could be compared"):
        propose(run)


@pytest.mark.usefixtures("store")
def test_units_that_were_altered_or_lost_are_not_blessed(tmp_path):
    run = finished(tmp_path / "run")
    curve = run / "cartpole-cpu-seed-1002" / "curve.csv"
    replaced(curve, b"0.5", b"0.4")
    with pytest.raises(StoreError, match=r"curve\.csv: altered"):
        propose(run)
    shutil.rmtree(curve.parent)
    with pytest.raises(StoreError, match="not as it was sealed"):
        propose(run)


def with_cells(column: str, values: dict[tuple[int, int], float]) -> pd.DataFrame:
    """Healthy curves in which some cells, by seed and window, are replaced."""
    table = curves("reference", SEEDS, 108.0)
    for (seed, window), value in values.items():
        row = table.index[(table["seed"] == seed)][window]
        table.loc[row, column] = value
    return table


def test_healthy_curves_are_accepted():
    refuse_degenerate(curves("reference", SEEDS, 108.0))
    # Before the warm-up there is no loss, and not every window ends an episode.
    refuse_degenerate(with_cells("loss", {(1000, 0): np.nan, (1000, 1): np.nan}))
    refuse_degenerate(with_cells("episode_return", {(1000, 3): np.nan}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (with_cells("loss", {(1001, 4): np.inf}), "seed 1001 has an infinite value"),
        (with_cells("loss", {(1001, 4): np.nan}), "seed 1001 has a loss that is not a number"),
        (with_cells("q_mean", {(1001, 9): np.nan}), "seed 1001 has a q_mean that is not a number"),
        (with_cells("loss", {(1001, w): np.nan for w in range(10)}), "seed 1001 has a loss"),
        (
            with_cells("episode_return", {(1004, w): np.nan for w in range(10)}),
            "seed 1004 has no return",
        ),
        (
            with_cells("episode_return", {(1001, w): 118.0 + 10 * w for w in range(10)}),
            "same curve: was the seed used",
        ),
        (
            with_cells("episode_return", {(s, w): s % 7 for s in SEEDS for w in range(10)}),
            "no learning: the mean return is",
        ),
        (
            with_cells("episode_return", {(1001, w): 118.0 + 80 * w for w in range(10)}),
            "differ too much for a gate(.|\n)*expected(.|\n)*0.25 of the gain",
        ),
    ],
)
def test_degenerate_curves_are_refused(table, message):
    with pytest.raises(BlessingError, match=message):
        refuse_degenerate(table)


def test_seeds_of_one_area_have_no_spread_to_measure_in():
    table = curves("reference", SEEDS, 108.0)
    rising = 100.0 + 10.0 * np.arange(10)
    for index, seed in enumerate(SEEDS):
        bent = rising.copy()
        bent[4] += 2.0**index  # another curve, the same mean
        bent[5] -= 2.0**index
        table.loc[table["seed"] == seed, "episode_return"] = bent
    with pytest.raises(BlessingError, match="same area"):
        refuse_degenerate(table)


def test_the_spread_that_is_allowed_shows_half_of_the_learning_lost():
    # Two standard deviations, which the gate sees nearly always, are then at most half of the gain.
    assert 2 * MOST_SPREAD <= 0.5


# Commands


def test_make_bless_takes_the_latest_run_of_the_game_and_shows_what_moved(
    store, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "RUNS", tmp_path / "runs")
    with pytest.raises(BlessingError, match="there is no finished run of cartpole"):
        command.bless(game="cartpole", reason="the first ones made")
    early, late = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    finished(tmp_path / "runs" / "regress-b", started_utc=early)
    finished(
        tmp_path / "runs" / "regress-a", 60.0, started_utc=late, verdict=VerdictName.FAIL,
        sentence="It dropped.",
    )  # fmt: skip
    finished(tmp_path / "runs" / "regress-c", 70.0, started_utc=late + "9", game="pong")
    command.bless(tmp_path / "runs" / "regress-b", reason="the first ones made")
    # A FAIL is shown, and does not stop a person who gives a reason.
    assert command.bless(game="cartpole", reason="slower for a reason") is ExitCode.OK
    said = capsys.readouterr().out
    assert "FAIL: It dropped." in said
    assert "worse: p = 0.004" in said
    assert [bundle.reason for bundle in history("cartpole")] == [
        "slower for a reason", "the first ones made",
    ]  # fmt: skip
    list_references()
    listed = capsys.readouterr().out
    assert listed.index("slower for a reason") < listed.index("the first ones made")
    assert len(list((store / "cartpole").iterdir())) == 3
