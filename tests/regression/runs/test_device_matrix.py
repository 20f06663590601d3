"""Several devices: a verdict on all cells from theirs, and what only the whole can see."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from functools import cache
from typing import ClassVar

import pytest
from rich.console import Console

from regression.commands.run import run
from regression.gate.verdict import judge
from regression.job.job import UsageError, resolve_job
from regression.runs.device_matrix import DeviceMatrix, SharedBits, judge_matrix, resumed_cells
from reports.load import read_verdict
from reports.schema import CURVES_FILE, Fingerprint, Verdict, VerdictName
from tests.regression.machine.test_levels import FLAT
from tests.regression.made import curves, evidence
from tests.regression.runs.test_stages import INFO, STORED, Played


@cache
def cell(kind: str) -> Verdict:
    """Of one device; made where it is first asked for, as the gate's own curve takes a while."""
    made = {
        "fail": lambda: evidence(20, seeds=range(1000, 1020), stage_two=range(1005, 1020)),
        "pass": lambda: evidence(108),
        "better": lambda: evidence(300),
        "infra": lambda: evidence(108, failed=(1001,)),
        "inconclusive": lambda: evidence(108, reference=False),
    }
    if kind == "watch":
        return cell("pass").model_copy(update={"verdict": VerdictName.WATCH})
    return judge(made[kind]())


def with_p(verdict, p_value):
    """The same, but for the p-value of stage two."""
    criteria = [
        one.model_copy(update={"p_value": p_value} if one.decides and one.stage == 2 else {})
        for one in verdict.criteria
    ]
    return verdict.model_copy(update={"criteria": criteria})


@pytest.mark.parametrize(
    ("kinds", "expected", "worst"),
    [
        ("pass pass", VerdictName.PASS, 0),
        ("pass better", VerdictName.BETTER, 1),
        ("better watch", VerdictName.WATCH, 1),
        ("pass fail watch", VerdictName.FAIL, 1),
        ("infra fail", VerdictName.FAIL, 1),
        ("inconclusive infra", VerdictName.INFRA, 1),
        ("better inconclusive watch", VerdictName.INCONCLUSIVE, 1),
    ],
)
def test_the_worst_cell_gives_the_verdict_and_all_are_listed(kinds, expected, worst):
    cells = [cell(kind) for kind in kinds.split()]
    whole, named = judge_matrix({str(i): one for i, one in enumerate(cells)}, [])
    assert (whole.verdict, named) == (expected, str(worst))
    assert whole.sentence == f"{worst}: {cells[worst].sentence}"
    assert [one.verdict for one in whole.cells] == [one.verdict for one in cells]
    assert whole.criteria == cells[worst].criteria
    assert whole.reproduce == [line for one in cells for line in one.reproduce]


def test_holm_over_the_cells_takes_back_what_one_look_too_many_has_found():
    # Alone 0.004 fails; the smallest of three has to be at most 0.01 / 3.
    just = with_p(cell("fail"), 0.004)
    alone, _ = judge_matrix({"a": just}, [])
    assert alone.verdict is VerdictName.FAIL
    whole, _ = judge_matrix({"a": just, "b": cell("pass"), "c": cell("pass")}, [])
    assert whole.verdict is VerdictName.WATCH
    assert "Over all cells of the matrix that is no FAIL" in whole.sentence
    [tripped, quiet, _] = whole.cells
    assert (tripped.p_value, tripped.p_holm) == (0.004, pytest.approx(0.012))
    assert (quiet.p_value, quiet.p_holm) == (None, None)
    both, _ = judge_matrix({"a": with_p(cell("fail"), 0.003), "b": just, "c": cell("pass")}, [])
    assert [one.p_holm for one in both.cells[:2]] == [pytest.approx(0.009), pytest.approx(0.009)]
    assert both.verdict is VerdictName.FAIL


def test_bits_that_part_where_equal_ones_are_promised_are_watched():
    cells = {"a": cell("pass"), "b": cell("pass")}
    equal, _ = judge_matrix(cells, [SharedBits(("a", "b"), 2, [1, 2], {})])
    assert equal.verdict is VerdictName.PASS
    assert (
        equal.notes[-1] == "a and b promise equal bits (level 2): equal in all windows of 2 seeds."
    )
    parted, _ = judge_matrix(cells, [SharedBits(("a", "b"), 2, [1, 2], {2: 64})])
    assert parted.verdict is VerdictName.WATCH
    assert "Bits differ between cells that promise equal ones: a and b." in parted.sentence
    assert parted.notes[-1].endswith("but differ: seed 2 from step 64 on.")
    failing, _ = judge_matrix(
        {"a": cell("fail"), "b": cell("pass")}, [SharedBits(("a", "b"), 2, [1], {1: 64})]
    )
    assert failing.verdict is VerdictName.FAIL


class Trained(Played):
    """Cells whose fingerprints promise each other bits; the second device has others."""

    seen: ClassVar[dict[str, str]] = FLAT
    digests: ClassVar[dict[str, str]] = {"cuda:1": "1"}


def trained(monkeypatch, folder, played, devices):
    """The verdict on a matrix whose units are played, not trained."""
    monkeypatch.setattr("regression.runs.stages.Runner", played)
    monkeypatch.setattr("regression.gate.verdict.operating_curves", lambda *_: [])  # a second each
    stored = curves("reference", STORED, 100)
    info = INFO.model_copy(update={"fingerprint": Fingerprint.model_validate(FLAT)})
    monkeypatch.setattr("regression.runs.stages.load_reference", lambda *_: (info, stored))
    jobs = [resolve_job("cartpole", device=device) for device in devices]
    said = io.StringIO()
    started = datetime(2026, 1, 1, tzinfo=UTC)
    return DeviceMatrix(jobs, folder, Console(file=said, width=200), started).run(), said.getvalue()


def test_every_cell_is_a_run_of_its_own_below_the_verdict_on_all(tmp_path, monkeypatch):
    played = Played([108, 60, 60])
    verdict, said = trained(monkeypatch, tmp_path, played, ["cpu", "cpu-avx2"])
    assert played.stages == [list(range(1000, 1005))] * 2 + [list(range(1005, 1020))]
    assert verdict.verdict is VerdictName.FAIL
    assert verdict.device == "cpu, cpu-avx2"
    assert [(one.name, one.verdict, one.seeds) for one in verdict.cells] == [
        ("cartpole-cpu", VerdictName.PASS, 5),
        ("cartpole-cpu-avx2", VerdictName.FAIL, 20),
    ]
    assert "cell cartpole-cpu-avx2" in said
    assert read_verdict(tmp_path) == verdict
    for one in verdict.cells:
        assert read_verdict(tmp_path / one.name).verdict is one.verdict
        assert (tmp_path / one.name / "report.html").is_file()
    worst = (tmp_path / "cartpole-cpu-avx2" / CURVES_FILE).read_bytes()
    assert (tmp_path / CURVES_FILE).read_bytes() == worst
    for name in ("report.html", "summary.md"):
        page = (tmp_path / name).read_text()
        assert "cartpole-cpu" in page
        assert "over all cells" in page
    # What is gone on with is what was begun; fingerprints that differ promise no bits.
    assert [(job.device, job.seeds) for job in resumed_cells(tmp_path)] == [
        ("cpu", list(range(1000, 1005))),
        ("cpu-avx2", list(range(1000, 1005))),
    ]
    assert resumed_cells(tmp_path / "cartpole-cpu") == []
    assert not [note for note in verdict.notes if "promise equal bits" in note]


def test_cells_that_promise_bits_are_compared_seed_by_seed(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    devices = ["cuda:0", "cuda:1", "cuda:2"]
    verdict, _ = trained(monkeypatch, tmp_path / "a", Trained([108] * 3), devices)
    assert verdict.verdict is VerdictName.WATCH
    pairs = verdict.notes[-3:]
    assert pairs[1].endswith("promise equal bits (level 2): equal in all windows of 5 seeds.")
    for pair in (pairs[0], pairs[2]):
        assert "but differ: seed 1000 from step 100 on, 1001 from step 100 on" in pair


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"devices": "cpu,tpu"}, "unknown device 'tpu'"),
        ({"devices": "cpu,cpu"}, "expected different ones"),
        ({"devices": "cpu,cuda", "device": "cpu"}, "expected --device or --devices"),
        ({"device": "cpu", "accelerator": "A100"}, "are of --launcher ray"),
        ({"device": "cpu", "ray_address": "10.0.0.1:6379"}, "are of --launcher ray"),
    ],
)
def test_odd_wishes_are_refused_before_anything_is_done(tmp_path, monkeypatch, words, why):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=why):
        run(**words)
    assert list(tmp_path.iterdir()) == []


def test_a_matrix_is_gone_on_with_as_it_was_begun(tmp_path, monkeypatch):
    trained(monkeypatch, tmp_path, Played([108, 108]), ["cpu", "cpu-avx2"])
    for words in ({"devices": "cpu"}, {"seeds": "3"}, {"device": "cpu"}):
        with pytest.raises(UsageError, match="already has its job, on cpu, cpu-avx2"):
            run(resume=tmp_path, **words)
    # A cell that is not there, or is another one, is never passed over.
    job_file = tmp_path / "cartpole-cpu" / "job.json"
    kept = job_file.read_text()
    job_file.write_text(kept.replace('"cpu"', '"cpu-sse4"'))
    with pytest.raises(UsageError, match="is not a cell of a matrix: its job is cartpole-cpu-sse4"):
        resumed_cells(tmp_path)
    job_file.unlink()
    with pytest.raises(UsageError, match=r"readable job\.json"):
        resumed_cells(tmp_path)
    (tmp_path / "cells.json").write_text('{"names": ["../elsewhere"]}')
    with pytest.raises(UsageError, match=r"cells\.json cannot be read"):
        resumed_cells(tmp_path)
