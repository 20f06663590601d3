"""Locks: held, waited for, taken over from the dead, never from the living."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from regression.store.locks import LOCKS, LockHeldError, Owner, held, this_process

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


HOLDER = """
import sys
from contextlib import suppress
from pathlib import Path
from regression.store.locks import held
with held(Path(sys.argv[1]), "unit", "refuse", print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], env=ENVIRONMENT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def try_lock(folder: Path, when_held: str = "refuse") -> list[str]:
    said: list[str] = []
    with held(folder, "unit", when_held, said.append):
        assert Owner.model_validate_json(
            (folder / LOCKS / "unit.owner.json").read_bytes()
        ) == this_process().model_copy(update={"since_utc": _since(folder)})
    return said


def _since(folder: Path) -> str:
    return str(json.loads((folder / LOCKS / "unit.owner.json").read_text())["since_utc"])


def test_a_live_owner_is_named_and_never_robbed(holder, tmp_path):
    for when_held in ("refuse", "steal"):
        with pytest.raises(LockHeldError, match=f"process {holder.pid} of host"):
            try_lock(tmp_path, when_held)
    holder.stdin.close()
    holder.wait()
    assert try_lock(tmp_path) == []


def test_the_lock_of_a_killed_owner_is_taken_over_and_said(holder, tmp_path):
    holder.kill()
    holder.wait()
    (said,) = try_lock(tmp_path)
    assert f"took over from process {holder.pid} of host" in said
    assert try_lock(tmp_path) == []


def test_a_waiting_starter_gets_its_turn(holder, tmp_path):
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLDER.replace('"refuse"', '"wait"').replace("sys.stdin.read()", ""),
         str(tmp_path)],
        env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    with waiter:
        assert f"waiting for process {holder.pid}" in waiter.stdout.readline()
        holder.stdin.close()
        assert waiter.stdout.readline() == "held\n"


def note(folder: Path, **changes) -> Owner:
    """A note of this process, but for the changes."""
    (folder / LOCKS).mkdir(exist_ok=True)
    owner = this_process().model_copy(update=changes)
    (folder / LOCKS / "unit.owner.json").write_text(owner.model_dump_json())
    return owner


def test_an_owner_on_another_host_is_refused_unless_stolen_from(tmp_path):
    note(tmp_path, host="elsewhere", pid=12)
    with pytest.raises(LockHeldError, match=r"process 12 of host elsewhere(.|\n)*when-held steal"):
        try_lock(tmp_path)
    with pytest.raises(LockHeldError):
        try_lock(tmp_path, "wait")
    assert "stole the lock of process 12" in try_lock(tmp_path, "steal")[0]


def test_a_live_owner_on_a_disk_without_locks_is_not_succeeded(tmp_path):
    owner = note(
        tmp_path, pid=os.getppid(), process_started=psutil.Process(os.getppid()).create_time()
    )
    for when_held in ("refuse", "steal"):
        with pytest.raises(LockHeldError, match=f"process {owner.pid} of .* which is alive"):
            try_lock(tmp_path, when_held)


@pytest.mark.parametrize("changes", [{"boot": "an earlier one"}, {"process_started": 1.0}])
def test_a_namesake_of_a_dead_owner_is_not_taken_for_it(tmp_path, changes):
    note(tmp_path, **changes)
    assert "took over" in try_lock(tmp_path)[0]


def test_a_torn_note_is_no_owner(tmp_path):
    note(tmp_path)
    path = tmp_path / LOCKS / "unit.owner.json"
    path.write_text(path.read_text()[:20])
    assert try_lock(tmp_path) == []
