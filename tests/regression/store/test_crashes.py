"""Killed, or out of space, at every single moment: what is made afterwards is the same.

`CRASHES=every` (`make crashes`) tries every moment; the ordinary tests a sample of them, killing
and failing at different ones.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from regression.runs.unit import UnitWorker
from regression.store import references
from regression.store.references import Bundle, curves_of, curves_text, history, put_in_force
from regression.store.units import read_sealed
from tests.regression.store.crashing import KILLED, broken_at, deeds_of, in_a_fork
from tests.regression.tiny_runs import JOB, NAME

EVERY = os.environ.get("CRASHES") == "every"
STRIDE = 1 if EVERY else 13

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(autouse=True)
def _a_kill_loses_nothing_that_was_written(monkeypatch) -> None:
    # Only a power cut would: waiting for the disk tells nothing here, and is counted all the same.
    monkeypatch.setattr(os, "fsync", lambda _: None)


def worker(folder: Path) -> Callable[[], str]:
    """The work on one unit, as the process of a unit does it."""

    def work() -> str:
        folder.mkdir(exist_ok=True)
        return UnitWorker(folder, JOB, seed=1, device="cpu", report=lambda _: None).work()

    return work


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[str, list[str]]:
    """The content hash of the unbroken unit, and its deeds in order."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("unbroken")
    worker(root / "warm")()  # what is done once a process, such as imports, is no deed of the unit
    return worker(root / "run")(), deeds_of(worker(root / "run2"), root)


def leftovers(folder: Path) -> list[str]:
    """Files that a failed writer should have removed."""
    unit = folder / f".{NAME}.partial"
    return [str(path) for path in unit.rglob(".*")] if unit.exists() else []


@pytest.mark.parametrize("kills", [True, False], ids=["killed", "disk-full"])
def test_a_unit_broken_off_at_any_moment_is_finished_with_the_same_bits(
    unbroken, kills, tmp_path
) -> None:
    expected, deeds = unbroken
    assert len(deeds) > 150
    for number in range(0 if kills else STRIDE // 2, len(deeds), STRIDE):
        folder = tmp_path / str(number)
        code = broken_at(worker(folder), tmp_path, number, kills=kills)
        where = f"moment {number} of {len(deeds)}, {deeds[number]}"
        assert code == (KILLED if kills else 3) or forgiven(deeds[number], kills), where
        if not kills and not deeds[number].startswith(("unlink", "rmdir")):
            assert leftovers(folder) == [], where
        assert worker(folder)() == expected, where
        assert read_sealed(folder / NAME)[1].content_hash == expected, where
        assert sorted(path.name for path in folder.iterdir()) == [".locks", NAME], where
        shutil.rmtree(folder)


def forgiven(deed: str, kills: bool) -> bool:
    """Making a folder that may be there already fails only if it is not there."""
    return not kills and deed.startswith("mkdir")


def test_two_kills_in_a_row_are_survived_like_one(unbroken, tmp_path) -> None:
    expected, deeds = unbroken
    step = len(deeds) // (24 if EVERY else 6)
    for first in range(5, len(deeds), step):
        folder = tmp_path / str(first)
        second = (first * 7) % 90
        assert broken_at(worker(folder), tmp_path, first, kills=True) == KILLED
        broken_at(worker(folder), tmp_path, second, kills=True)
        assert worker(folder)() == expected, f"moments {first} and then {second}"


def bundle(previous: str, curves: str) -> Bundle:
    return Bundle(
        format=1, recipe="tiny", recipe_hash=JOB.recipe_hash, recipe_fields=JOB.recipe,
        device="cpu", seeds=[1], fingerprint={}, moved=None, content_hash="", previous=previous,
        curves_sha256=hashlib.sha256(curves.encode()).hexdigest(),
        reason="a test of crashes", blessed_on="2026-01-01",
    )  # fmt: skip


@pytest.fixture
def in_force(tmp_path, monkeypatch) -> Bundle:
    """A reference, and a folder of references that each test may break."""
    monkeypatch.setattr(references, "REFERENCES", tmp_path / "references")
    put_in_force(bundle("", curves_text([])), curves_text([]))
    return next(history("tiny"))


@pytest.mark.parametrize("kills", [True, False], ids=["killed", "disk-full"])
def test_a_blessing_broken_off_at_any_moment_leaves_the_old_reference_or_the_new(
    in_force, kills, tmp_path
) -> None:
    curves = curves_text([{"group": "reference", "seed": "1", "step": "16", "episodes": "1"}])
    proposed = bundle(in_force.content_hash, curves)

    def accept() -> Path:
        return put_in_force(proposed, curves)

    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "references", kept)
    deeds = deeds_of(accept, tmp_path / "references")
    assert len(deeds) > 12
    renamed = next(i for i, deed in enumerate(deeds) if deed == "replace .current.partial")
    for number, deed in enumerate(deeds):
        shutil.rmtree(tmp_path / "references")
        shutil.copytree(kept, tmp_path / "references")
        code = broken_at(accept, tmp_path / "references", number, kills=kills)
        assert code == (KILLED if kills else 3) or forgiven(deed, kills), deed
        if code != 0:
            chain = list(history("tiny"))
            assert len(chain) == (1 if number <= renamed else 2), f"{number} {deed}"
        accept()
        assert [b.previous for b in history("tiny")] == [in_force.content_hash, ""]
        assert len(curves_of(next(history("tiny")))) == 1


def test_the_sweep_sees_a_unit_that_is_not_sealed_by_one_rename(tmp_path) -> None:
    """The sweep itself, on work that forgets where it was."""
    folder = tmp_path / "run"
    folder.mkdir()

    def careless() -> None:
        with (folder / "curve.csv").open("a") as file:
            file.write("a row\n")
        (folder / "finished").touch()

    assert broken_at(careless, folder, 1, kills=True) == KILLED
    assert in_a_fork(careless) == 0
    assert (folder / "curve.csv").read_text() != "a row\n"
