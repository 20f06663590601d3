"""Launchers: the same units by processes of this machine and by Ray, whatever dies on the way."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from regression.job.job_file import describe, record
from regression.runs.launchers.launcher import (
    LocalLauncher,
    UnitRequest,
    UnitResult,
    ending,
    unit_command,
)
from regression.runs.launchers.ray_cluster import LaunchError, RayLauncher, scratch
from regression.runs.launchers.unit_archive import pack, unpack
from regression.runs.runner import Runner
from regression.store.units import StoreError, read_sealed, unit_folder, unit_key
from reports.fields import SWITCH
from tests.regression.runs.launchers.killing_ray import SEEDS, VICTIM, tiny_job

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """The units of the tiny job, made by processes of this machine."""
    folder = tmp_path_factory.mktemp("local")
    Runner(tiny_job(), folder, Console(file=io.StringIO()), launcher=LocalLauncher()).run()
    return folder


@pytest.mark.ray
def test_ray_makes_the_units_of_local_processes_even_where_a_worker_is_killed(local, tmp_path):
    command = [sys.executable, "-m", "tests.regression.runs.launchers.killing_ray", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert [result["status"] for result in found["results"]] == ["complete"] * len(SEEDS)
    assert found["killed"]
    lost = f"seed {VICTIM}: its worker was lost (process {found['killed']} of node"
    assert lost in found["told"]
    assert "tried again, and finished" in found["told"]
    assert "2,400 / 2,400 steps  100 %" in found["told"]
    job = tiny_job()
    for seed in SEEDS:
        ours, theirs = (unit_folder(run, job, seed) for run in (tmp_path, local))
        (unit, manifest), (same, expected) = read_sealed(ours), read_sealed(theirs)
        assert manifest.content_hash == expected.content_hash
        assert (ours / "curve.csv").read_bytes() == (theirs / "curve.csv").read_bytes()
        assert unit.fingerprint == same.fingerprint
    # Nothing is trained twice, nothing half-made is left, and nobody else can reach the cluster.
    digests = [[r["weights_digest"] for r in found[name]] for name in ("results", "again")]
    assert digests[0] == digests[1]
    assert not list(tmp_path.glob(".*.partial"))
    assert set(found["listening"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert found["sigterm_is_ours"]
    no_gpu, no_h100, numbered = found["refusals"]
    assert "expected  GPU\n  actual    CPU" in no_gpu
    assert "expected  accelerator_type:H100" in no_h100
    assert "use --device cuda" in numbered


def test_a_unit_arrives_whole_or_not_at_all(local, tmp_path):
    job = tiny_job()
    key = unit_key(job.recipe, 1, "cpu", "")
    sent = pack(local / key.name)
    (tmp_path / "run").mkdir()
    kept = tmp_path / "run" / key.name
    content_hash = unpack(sent, kept, key, {"numpy version": np.__version__})
    assert content_hash == read_sealed(local / key.name)[1].content_hash
    assert pack(kept) == sent
    shutil.rmtree(kept)
    other = unit_key(job.recipe, 2, "cpu", "")
    step_up = {"../curve.csv": b"", "a/../../b": b"", "/etc/x": b"", ".hidden": b"", "best/": b""}
    for files, wanted, facts, why in [
        (sent | {"curve.csv": sent["curve.csv"].replace(b"1", b"2", 1)}, key, {}, "altered"),
        ({name: sent[name] for name in sent if name != "curve.csv"}, key, {}, "missing"),
        (sent | {"more.txt": b"more"}, key, {}, "foreign"),
        (sent, other, {}, "expected the unit"),
        (sent, key, {"source digest": "0"}, "source digest: '0' here"),
        ({}, key, {}, "not as it was sealed"),
        *((sent | {name: content}, key, {}, "no unit has") for name, content in step_up.items()),
    ]:
        with pytest.raises(StoreError, match=why):
            unpack(files, tmp_path / "run" / wanted.name, wanted, facts)
        assert list(tmp_path.rglob("*")) == [tmp_path / "run"]


def test_places_for_units_are_taken_once_and_swept_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch() as first:
        left_by_a_kill = first.parents[1] / "1" / "unit"
        left_by_a_kill.mkdir(parents=True)
        with scratch() as second:
            assert first.parent != second.parent
            assert first.is_dir()
            assert list(second.iterdir()) == []
            assert not left_by_a_kill.exists()
    assert [path.name for path in first.parents[1].iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("code", "lost"),
    [
        (0, ""),
        (3, ""),
        (-9, "killed by SIGKILL"),
        (2, "killed by SIGTERM"),
        (-11, "killed by SIGSEGV"),
    ],
)
def test_only_what_was_killed_is_worth_another_try(code, lost):
    assert ending(code, ["why"]) == UnitResult(code, ["why"], lost)


class Dying:
    """A launcher whose units are lost so often, and then made by processes."""

    def __init__(self, times: int) -> None:
        self.left, self.asked = dict.fromkeys(SEEDS, times), 0

    def units_at_a_time(self, _):
        return 1

    def make(self, order, hear):
        self.asked += 1
        self.left[order.seed] -= 1
        if self.left[order.seed] >= 0:
            return UnitResult(-9, ["out of memory"], "its worker was lost (a test)")
        return LocalLauncher().make(order, hear)

    def end_all(self, _):
        raise AssertionError("nobody has interrupted")


def test_a_unit_lost_twice_costs_its_seed_and_says_so(tmp_path):
    launcher = Dying(2)
    job = replace(tiny_job(), seeds=[1])
    [result] = Runner(job, tmp_path, Console(file=io.StringIO()), launcher=launcher).run()
    assert (result.status, launcher.asked) == ("failed", 2)
    lost = "its worker was lost (a test)"
    assert result.error == f"{lost}, and once more {lost}\nout of memory"


def test_a_pinned_class_trains_in_its_own_environment_and_is_named_so(tmp_path):
    job = replace(tiny_job(), seeds=[1], device="cpu-sse4")
    [result] = Runner(job, tmp_path, Console(file=io.StringIO())).run()
    assert result.status == "complete", result.error
    unit, _ = read_sealed(tmp_path / "cartpole-cpu-sse4-seed-1")
    assert unit.fingerprint[f"{SWITCH}MKL_CBWR"] == "COMPATIBLE"
    assert unit.fingerprint["cpu capability"] in {"DEFAULT", "NO AVX"}


def test_a_unit_refuses_to_be_named_for_a_class_that_its_process_is_not_of(tmp_path):
    job = replace(tiny_job(), seeds=[1], device="cpu-sse4")
    record(tmp_path, describe(job))
    command = unit_command(tmp_path, 1, "cpu-sse4", "refuse")
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 4, ran.stderr
    assert "expected  ATEN_CPU_CAPABILITY=default when it is started" in ran.stderr
    assert not list(tmp_path.glob("*seed*"))


def test_without_ray_its_launcher_says_what_to_install(monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(LaunchError, match=r"pip install 'dqn-harness\[ray\]'"), RayLauncher():
        raise AssertionError("it was entered")


def test_a_unit_that_does_not_end_when_asked_to_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("regression.runs.launchers.launcher.GRACE_S", 0.2)
    deaf = "from signal import *; signal(SIGTERM, SIG_IGN); print(); import time; time.sleep(60)"
    monkeypatch.setattr(
        "regression.runs.launchers.launcher.unit_command", lambda *_: [sys.executable, "-c", deaf]
    )
    launcher = LocalLauncher()
    started = threading.Event()
    monkeypatch.setattr("regression.runs.launchers.launcher.json.loads", lambda _: started.set())
    with ThreadPoolExecutor() as pool:
        request = UnitRequest(tmp_path, tiny_job(), SEEDS[0], "refuse")
        made = pool.submit(launcher.make, request, lambda _: None)
        assert started.wait(60)
        launcher.end_all(signal.SIGTERM)
        assert made.result(60).code == -signal.SIGKILL
