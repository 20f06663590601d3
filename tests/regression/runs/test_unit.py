"""The work on one unit: sealed once, gone on with, and never with what is damaged."""

from __future__ import annotations

import json
import shutil

import pytest

from dqn_core.checkpoint import checkpoint_bytes
from dqn_core.loop import Trainer
from regression.runs.unit import UnitWorker
from regression.store.units import read_sealed, unit_key
from tests.dqn_core.small import files, trainer
from tests.regression.tiny_runs import JOB, NAME, broken_off, sealed_run


def test_a_sealed_unit_is_recognised_and_left_alone(copied):
    before = files(copied / NAME)
    assert sealed_run(copied) == []
    assert files(copied / NAME) == before
    assert {"unit.json", "curve.csv", "manifest.json"} <= before.keys()
    assert not any(name.startswith(("checkpoints", "damaged")) for name in before)


def test_the_content_hash_is_of_the_bits_and_not_of_where_and_when(copied, tmp_path):
    _, first = read_sealed(copied / NAME)
    sealed_run(tmp_path / "again")
    unit, again = read_sealed(tmp_path / "again" / NAME)
    assert again.content_hash == first.content_hash
    assert again.files["unit.json"] != first.files["unit.json"]  # it took another time
    other = UnitWorker(tmp_path / "again", JOB, seed=2, device="cpu", report=lambda _: None).work()
    assert other != first.content_hash
    assert unit.key == unit_key(JOB.loaded_recipe(), 1, "cpu", "")


def test_a_unit_leaves_the_other_cores_to_other_units(tmp_path):
    assert (
        not UnitWorker(tmp_path, JOB, seed=1, device="cpu", report=lambda _: None)
        ._trainer()
        .threaded
    )
    assert Trainer.threaded


def test_a_damaged_checkpoint_is_put_aside_and_said(run, tmp_path):
    partial = broken_off(tmp_path / "run", 80)
    (checkpoint,) = (partial / "checkpoints").iterdir()
    weights = checkpoint / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    said = sealed_run(tmp_path / "run")
    assert [note.split(":")[0] for note in said] == [f"put {checkpoint.name} aside", "started anew"]
    assert "weights.safetensors" in said[0]
    sealed, manifest = read_sealed(tmp_path / "run" / NAME)
    assert manifest.content_hash == read_sealed(run / NAME)[1].content_hash
    assert sealed.notes == said


def test_the_checkpoint_before_a_damaged_one_is_used(run, tmp_path):
    partial = broken_off(tmp_path / "run", 48)
    older = next((partial / "checkpoints").iterdir())
    shutil.copytree(older, tmp_path / older.name)
    shutil.rmtree(tmp_path / "run")
    partial = broken_off(tmp_path / "run", 80)
    (newer,) = (partial / "checkpoints").iterdir()
    shutil.copytree(tmp_path / older.name, partial / "checkpoints" / older.name)
    (newer / "manifest.json").write_text("{")
    said = sealed_run(tmp_path / "run")
    assert said[0].startswith(f"put {newer.name} aside")
    assert said[1:] == ["went on from step 32"]
    _, manifest = read_sealed(tmp_path / "run" / NAME)
    assert manifest.content_hash == read_sealed(run / NAME)[1].content_hash


def test_a_curve_that_is_not_the_checkpoint_s_is_never_gone_on_with(run, tmp_path):
    partial = broken_off(tmp_path / "run", 80)
    curve = partial / "curve.csv"
    curve.write_text(curve.read_text().replace("\n16,", "\n16,1", 1))
    said = sealed_run(tmp_path / "run")
    assert "is not the curve" in said[0]
    assert said[-1].startswith("started anew")
    _, manifest = read_sealed(tmp_path / "run" / NAME)
    assert manifest.content_hash == read_sealed(run / NAME)[1].content_hash


def test_a_unit_begun_on_another_stack_is_started_anew_and_the_field_named(tmp_path):
    partial = broken_off(tmp_path / "run", 80)
    told = json.loads((partial / "unit.json").read_text())
    told["fingerprint"]["torch version"] = "1.0"
    (partial / "unit.json").write_text(json.dumps(told))
    (said,) = sealed_run(tmp_path / "run")
    assert said.startswith("started anew: torch version was '1.0', is ")


def test_too_little_room_is_refused_before_any_training(tmp_path, monkeypatch):
    needed = 2 * checkpoint_bytes(trainer(JOB.loaded_recipe()))
    usage = shutil.disk_usage(tmp_path)._replace(free=needed - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"too little room(.|\n)*expected(.|\n)*actual"):
        sealed_run(tmp_path / "run")
    assert not list(tmp_path.rglob("curve.csv"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
    sealed_run(tmp_path / "run")


def test_a_checkpoint_takes_no_more_room_than_was_asked_for(tmp_path):
    partial = broken_off(tmp_path / "run", 96)
    (checkpoint,) = (partial / "checkpoints").iterdir()
    taken = sum(path.stat().st_size for path in checkpoint.iterdir())
    assert taken < checkpoint_bytes(trainer(JOB.loaded_recipe())) < taken + 2 * 2**20
