"""Sealed units, locks, jobs, resumed and merged runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqn_core.checkpoint import checkpoint_bytes
from dqn_core.loop import Trainer
from regression.job.job_file import JobError, StoredJob, read_job, record, resumed_job
from regression.runs.merge import merge_runs
from regression.runs.unit import UnitWorker
from regression.store.locks import LOCKS, LockHeldError, Owner, held, this_process
from regression.store.units import StoreError, UnitKey, read_sealed, unit_key
from tests.dqn_core.small import files, small, toml, trainer
from tests.regression.store.test_crashes import JOB, NAME

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def sealed_run(folder: Path, job: StoredJob = JOB, seed: int = 1) -> list[str]:
    """A run folder with one sealed unit; what its worker said."""
    said: list[str] = []
    folder.mkdir(exist_ok=True)
    record(folder, job)
    UnitWorker(
        folder,
        job,
        seed=seed,
        device="cpu",
        report=lambda report: said.append(str(report.get("note", ""))),
    ).work()
    return [note for note in said if note]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """For tests that work on a copy."""
    folder = tmp_path_factory.mktemp("store") / "run"
    sealed_run(folder)
    return folder


@pytest.fixture
def copied(run, tmp_path) -> Path:
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


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


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "altered": lambda path: path.write_bytes(b"!" + path.read_bytes()[1:]),
    "foreign": lambda path: path.with_name("extra.txt").write_text("hello"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", ["curve.csv", "unit.json"])
def test_whatever_differs_from_the_manifest_is_named(copied, kind, name):
    DAMAGE[kind](copied / NAME / name)
    named = "extra.txt" if kind == "foreign" else name
    with pytest.raises(StoreError, match=rf"{named}: {kind}"):
        read_sealed(copied / NAME)
    before = files(copied / NAME)
    with pytest.raises(StoreError, match=named):
        sealed_run(copied)
    assert files(copied / NAME) == before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_a_unit_is_seen(run, data):
    names = sorted(files(run / NAME))
    path = run / NAME / data.draw(st.sampled_from(names))
    healthy = path.read_bytes()
    position = data.draw(st.integers(0, len(healthy) - 1))
    flipped = bytearray(healthy)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    told = read_sealed(run / NAME)[1]
    path.write_bytes(bytes(flipped))
    try:
        if path.name == "manifest.json" and path.parent.name == NAME:
            with suppress(StoreError):  # in its blank space a bit may change nothing
                assert read_sealed(run / NAME)[1] == told
        else:
            with pytest.raises(StoreError, match=path.name):
                read_sealed(run / NAME)
    finally:
        path.write_bytes(healthy)


def test_links_in_a_unit_are_foreign(copied):
    (copied / NAME / "best" / "link").symlink_to("/etc")
    with pytest.raises(StoreError, match="best/link: foreign"):
        read_sealed(copied / NAME)


class StoppedError(Exception):
    pass


def broken_off(folder: Path, step: int) -> Path:
    """A unit that was left at a step; its partial folder."""

    def report(told):
        if told.get("step") == step:
            raise StoppedError

    folder.mkdir(exist_ok=True)
    record(folder, JOB)
    with pytest.raises(StoppedError):
        UnitWorker(folder, JOB, seed=1, device="cpu", report=report).work()
    return folder / f".{NAME}.partial"


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


# Locks


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


# Jobs, names and merging


def test_a_folder_of_another_job_is_refused_with_the_fields_named(copied):
    for change, named in [
        ({"fault": "no-terminal-mask"}, "fault: '' in .*, 'no-terminal-mask' here"),
        ({"device": "cuda"}, "device: 'cpu' in .*, 'cuda' here"),
        ({"recipe": JOB.recipe | {"td": JOB.recipe["td"] | {"gamma": 0.5}}},
         r"recipe\.td\.gamma: 0\.99 in .*, 0\.5 here"),
        ({"fingerprint": {"source digest": "0"}}, "source digest: None in .*, '0' here"),
    ]:  # fmt: skip
        with pytest.raises(JobError, match=named):
            record(copied, JOB.model_copy(update=change))
    record(copied, JOB.model_copy(update={"seeds": [7, 8]}))  # a second stage
    assert read_job(copied) == JOB


def test_a_run_is_gone_on_with_as_it_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = resumed_job_of(tmp_path)
    assert (asked.seeds, asked.device, asked.recipe.name) == ([4, 5], "cpu", "cartpole")
    with pytest.raises(JobError, match=r"seeds: \[4, 5\] in .*, \[8, 9\] here"):
        resumed_job(tmp_path, seeds="8-9")
    with pytest.raises(JobError, match=r"game: 'cartpole' in .*, 'pong' here"):
        resumed_job(tmp_path, game="pong")
    with pytest.raises(JobError, match=r"readable job\.json"):
        resumed_job(tmp_path / "nowhere")


def resumed_job_of(folder: Path):
    from regression.job.job import resolve_job
    from regression.job.job_file import describe

    record(
        folder,
        describe(resolve_job("cartpole", seeds="4-5", device="cpu")),
    )
    return resumed_job(folder)


def test_names_tell_units_apart():
    key = {"recipe": "cartpole", "recipe_hash": "0", "seed": 1000, "device": "cpu", "fault": ""}
    assert UnitKey(**key).name == "cartpole-cpu-seed-1000"
    changes = [{}, {"seed": 1}, {"device": "cuda"}, {"fault": "no-terminal-mask"}]
    assert len({UnitKey(**key | change).name for change in changes}) == 4
    assert unit_key(JOB.loaded_recipe(), 1, "cuda:1", "").device == "cuda"


def test_runs_of_several_machines_become_one(copied, tmp_path):
    sealed_run(tmp_path / "there", seed=2)
    broken_off(tmp_path / "there", 48)  # unfinished: stays behind
    notes = merge_runs(tmp_path / "whole", [copied, tmp_path / "there"])
    assert notes[-1] == "2 units came, 2 are there"
    assert read_job(tmp_path / "whole").seeds == [1]
    assert files(tmp_path / "whole" / NAME) == files(copied / NAME)
    again = merge_runs(tmp_path / "whole", [copied, tmp_path / "there"])
    assert again == ["0 units came, 2 are there"]


def test_units_of_one_key_that_differ_are_refused_with_both_hashes(copied, tmp_path):
    sealed_run(tmp_path / "there", seed=2)
    unit, manifest = read_sealed(copied / NAME)
    other = tmp_path / "there" / f".{NAME}.partial"
    shutil.copytree(copied / NAME, other)
    curve = other / "curve.csv"
    curve.write_text(curve.read_text().replace("16,", "17,", 1))
    (other / "manifest.json").unlink()
    from regression.store.units import seal

    altered = seal(unit, tmp_path / "there" / NAME)
    with pytest.raises(StoreError, match=f"{manifest.content_hash}(.|\n)*{altered.content_hash}"):
        merge_runs(tmp_path / "whole", [copied, tmp_path / "there"])
    assert not list((tmp_path / "whole").glob("*seed*"))
    (tmp_path / "other").mkdir()
    record(tmp_path / "other", JOB.model_copy(update={"fault": "no-terminal-mask"}))
    with pytest.raises(JobError, match="fault"):
        merge_runs(tmp_path / "whole", [copied, tmp_path / "other"])


# Whole runs


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
    assert f"make regress RESUME={folder.relative_to(tmp_path)}" in said
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
