"""What a run records of itself: pure properties, live checks, and stored runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqn_core.train import TrainingRun
from probes.__main__ import main
from probes.checks import records as check_episodes
from probes.checks import update_records as check_updates
from probes.checks.registry import CHECKS
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.records import episodes as of_episodes
from probes.records import updates as of_updates
from probes.records.facts import Episode, Facts, Property, read_records
from probes.running.run_check import run_check
from probes.stored_runs.curve import COLUMNS, STORED, Curve, StoredCurveError, findings, read_curve
from probes.stored_runs.show_records import StoredRunError, runs_in
from probes.subject import Misbehaviour, Records, Unsupported
from probes.subjects import core
from probes.subjects.core import CoreSubject, Parts
from reports.schema import FindingStatus
from tests.dqn_core.small import small, trainer

OURS = [check for check in CHECKS if check.code.startswith("records.")]
CODES = [check.code for check in OURS]
ROOT = Path(__file__).parents[3]

numbers = st.integers(-5_000, 5_000).map(lambda cents: cents / 100)
episodes = st.lists(st.builds(Episode, numbers, st.integers(1, 30)), min_size=1, max_size=12)
errors = st.lists(st.floats(-20, 20), min_size=2, max_size=12).map(np.array)


def told(paid: list[Episode], **others: object) -> Records:
    """Records of exactly these episodes."""
    return Records(
        episode_return=np.array([episode.episode_return for episode in paid]),
        episode_length=np.array([episode.length for episode in paid]),
        **others,
    )


@given(episodes)
def test_honest_episodes_hold(paid):
    facts = Facts(paid=tuple(paid), steps=7, length_limit=30, return_range=(-50.0, 50.0))
    for prove in (
        of_episodes.returns_are_raw,
        of_episodes.episodes_count_once,
        of_episodes.lengths_are_agent_steps,
        of_episodes.environments_are_kept_apart,
        of_episodes.lengths_are_within_limit,
        of_episodes.returns_are_within_range,
    ):
        assert prove(told(paid, steps=7), facts).holds, prove


@given(episodes, st.data())
def test_one_wrong_episode_is_seen(paid, data):
    index = data.draw(st.integers(0, len(paid) - 1))
    facts = Facts(paid=tuple(paid), steps=7, length_limit=30, return_range=(-50.0, 50.0))
    other = paid[index]._replace(episode_return=paid[index].episode_return + 1000)
    changed = told([*paid[:index], other, *paid[index + 1 :]])
    assert not of_episodes.returns_are_raw(changed, facts).holds
    assert not of_episodes.returns_are_within_range(changed, facts).holds
    longer = told([*paid[:index], paid[index]._replace(length=31), *paid[index + 1 :]])
    assert not of_episodes.lengths_are_agent_steps(longer, facts).holds
    assert not of_episodes.lengths_are_within_limit(longer, facts).holds
    for counted in (told(paid[:index] + paid[index + 1 :]), told([*paid, paid[index]])):
        assert not of_episodes.episodes_count_once(counted, facts).holds
        assert not of_episodes.environments_are_kept_apart(counted, facts).holds


def test_return_and_length_of_two_episodes_do_not_make_one():
    paid = [Episode(1.0, 2), Episode(3.0, 4)]
    swapped = told([Episode(1.0, 4), Episode(3.0, 2)])
    outcome = of_episodes.environments_are_kept_apart(swapped, Facts(paid=tuple(paid)))
    assert not outcome.holds
    assert outcome.actual.startswith("2 episodes, 2 of them not played")


def huber(error):
    return np.where(abs(error) < 1, 0.5 * error**2, abs(error) - 0.5)


@given(errors, st.sampled_from([huber, lambda e: e**2, lambda e: 0.5 * e**2]))
def test_losses_of_any_usual_kind_hold(error, loss):
    facts = Facts(target=2.0, predicted=2.0 - error)
    assert of_updates.losses_are_of_their_updates(Records(loss=loss(error)), facts).holds


@given(st.floats(2, 20), st.sampled_from([2.5, 16.0, 32.0, -1.0, 0.0]))
def test_a_loss_that_is_scaled_is_seen(error, factor):
    predicted = 2.0 - error * np.array([1.0, 0.7, 0.4])
    losses = factor * huber(2.0 - predicted)
    outcome = of_updates.losses_are_of_their_updates(
        Records(loss=losses), Facts(target=2.0, predicted=predicted)
    )
    assert not outcome.holds
    assert "in update" in outcome.expected


def test_a_loss_of_after_the_update_is_seen():
    error = 3.0 * 0.95 ** np.arange(20.0)
    facts = Facts(target=2.0, predicted=2.0 - error[:-1])
    assert not of_updates.losses_are_of_their_updates(Records(loss=huber(error[1:])), facts).holds
    # Where updates and changes of the values cannot be paired, the first one still can.
    unpaired = of_updates.losses_are_of_their_updates(Records(loss=huber(error)), facts)
    assert (unpaired.holds, unpaired.compared) == (True, 1)


@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=20),
    st.sampled_from([np.nan, np.inf, -0.5]),
    st.data(),
)
def test_the_first_loss_that_is_no_number_is_named(losses, bad, data):
    index = data.draw(st.integers(0, len(losses) - 1))
    assert of_updates.numbers_are_finite(Records(loss=np.array(losses)), Facts()).holds
    losses[index:] = [bad] * (len(losses) - index)
    outcome = of_updates.numbers_are_finite(Records(loss=np.array(losses)), Facts())
    assert not outcome.holds
    assert f"in update {index + 1}, the first of {len(losses) - index} of" in outcome.actual


def test_bounds_are_those_of_the_world_with_half_its_width_of_slack():
    facts = Facts(value_range=(0.0, 2.0))
    for values, holds in (([-0.9, 2.9], True), ([-1.1], False), ([3.1], False)):
        outcome = of_updates.values_are_within_bounds(Records(q_mean=np.array(values)), facts)
        assert outcome.holds is holds
    for losses, holds in (([0.0, 15.9], True), ([16.1], False)):
        outcome = of_updates.losses_are_within_bounds(Records(loss=np.array(losses)), facts)
        assert outcome.holds is holds


@pytest.mark.parametrize(
    ("prove", "records", "facts", "message"),
    [
        (of_updates.one_loss_per_update, Records(), Facts(updates=(1, 1)), "not recorded: loss"),
        (of_updates.one_loss_per_update, Records(loss=np.ones(1)), Facts(), "not known: updates"),
        (of_updates.counts_are_those_taken, Records(), Facts(updates=(1, 1)), "steps, updates"),
        (of_updates.epsilon_follows_schedule, Records(epsilon=np.ones(1)), Facts(), "epsilon_step"),
        (of_episodes.returns_are_raw, Records(), Facts(), "not recorded: episode_return"),
    ],
)
def test_what_is_not_there_is_a_reason_to_skip(prove, records, facts, message):
    with pytest.raises(Unsupported, match=message):
        prove(records, facts)


def test_records_may_be_anything_with_these_names_but_must_fit_together():
    found = read_records(SimpleNamespace(loss=[1, 2], steps=3))
    np.testing.assert_array_equal(found.loss, [1.0, 2.0])
    assert (found.steps, found.q_mean) == (3, None)
    with pytest.raises(Misbehaviour, match="loss of one dimension"):
        read_records(SimpleNamespace(loss=[[1.0]]))
    with pytest.raises(Misbehaviour, match="as many episode_return as episode_length"):
        read_records(SimpleNamespace(episode_return=[1.0], episode_length=[]))


def all_of(*proven: Property) -> Property:
    """All these properties of one and the same run."""

    def prove(records: Records, facts: Facts) -> Outcome:
        outcomes = [each(records, facts) for each in proven]
        assert all(outcome.compared for outcome in outcomes)
        return next((each for each in outcomes if not each.holds), outcomes[0])

    return prove


OF_EPISODES = all_of(
    of_episodes.returns_are_raw,
    of_episodes.episodes_count_once,
    of_episodes.lengths_are_agent_steps,
    of_episodes.environments_are_kept_apart,
    of_episodes.lengths_are_within_limit,
    of_episodes.returns_are_within_range,
)
OF_UPDATES = all_of(
    of_updates.one_loss_per_update,
    of_updates.losses_are_of_their_updates,
    of_updates.losses_are_within_bounds,
    of_updates.values_are_of_their_updates,
    of_updates.values_are_within_bounds,
    of_updates.numbers_are_finite,
    of_updates.counts_are_those_taken,
)


# The first three seeds are those of `test_faults.py`.
@pytest.mark.parametrize("seed", range(3, 10))
def test_the_healthy_core_is_green_over_many_seeds(seed):
    testbed = Testbed(core.make, seed)
    for outcome in (
        check_episodes.of_episodes(OF_EPISODES, 1, testbed),
        check_episodes.of_episodes(OF_EPISODES, 3, testbed),
        check_updates.of_updates(OF_UPDATES, testbed),
        check_updates.nan_is_shown(testbed),
        check_episodes.epsilon_is_that_of_its_step(testbed),
    ):
        assert outcome.holds, outcome


class Silent(CoreSubject):
    """It counts, and records nothing else."""

    def records(self):
        return SimpleNamespace(steps=super().records().steps)


@pytest.mark.parametrize("check", OURS, ids=CODES)
def test_a_field_that_is_not_recorded_is_a_skip_that_names_it(check):
    finding = run_check(check, Parts(subject=Silent).make, seed=0)
    if check.code == "records.counts-are-those-taken":
        assert finding.status is FindingStatus.GREEN
    else:
        assert finding.status is FindingStatus.SKIP
        assert finding.actual.startswith("not recorded: ")


class Stops(CoreSubject):
    """It stops at a reward that is no number."""

    def train(self, steps):
        super().train(steps)
        if np.isnan(self.records().episode_return).any():
            raise FloatingPointError("a reward is nan")


def test_to_stop_at_a_reward_of_nan_is_right_too():
    (check,) = [check for check in OURS if check.code == "records.nan-is-shown"]
    finding = run_check(check, Parts(subject=Stops).make, seed=0)
    assert finding.status is FindingStatus.GREEN
    assert finding.actual == "the run stopped: FloatingPointError"


# An environment with a limit of 200 steps, in one segment, whose rewards are clipped.
RECIPE = small(
    env={"id": "MountainCar-v0"}, td={"clip_reward": True}, loop={"segment_steps": 800}
).model_copy(update={"metric": "return, in [-2, 2]"})


def healthy_curve(recipe=RECIPE) -> Curve:
    """Twenty windows of 40 steps in which four episodes of ten steps end."""
    steps = 40.0 * np.arange(1, 21)
    columns = dict.fromkeys(COLUMNS, np.full(20, 0.5))
    columns |= {"step": steps, "episodes": np.full(20, 4.0), "episode_length": np.full(20, 10.0)}
    columns["loss"] = columns["q_mean"] = np.where(steps < 64, np.nan, 0.5)
    exploration = RECIPE.exploration
    fall = (exploration.initial - exploration.final) * (steps - 1 - 64) / 400
    chances = np.clip(exploration.initial - fall, exploration.final, 1.0)
    columns["epsilon"] = np.where(steps - 1 < 64, 1.0, chances)
    return Curve(columns, recipe)


def statuses(curve: Curve) -> dict[str, FindingStatus]:
    return {finding.check: finding.status for finding in findings(curve)}


def test_a_healthy_curve_has_every_property():
    assert statuses(healthy_curve()) == dict.fromkeys(STORED, FindingStatus.GREEN)


@pytest.mark.parametrize(
    ("column", "window", "value", "codes"),
    [
        ("loss", 9, np.nan, {"numbers-are-finite"}),
        ("loss", 9, -0.1, {"numbers-are-finite", "losses-are-within-bounds"}),
        ("loss", 9, 1e9, {"losses-are-within-bounds"}),
        ("loss", 0, 0.0, {"one-loss-per-update"}),
        ("q_mean", 9, np.inf, {"numbers-are-finite", "values-are-within-bounds"}),
        ("q_mean", 9, 250.0, {"values-are-within-bounds"}),
        ("episode_return", 9, 2.5, {"returns-are-within-range"}),
        ("episode_return", 9, np.nan, {"numbers-are-finite"}),
        ("episode_length", 9, 40.0, {"every-episode-once"}),
        ("episode_length", 9, 201.0, {"every-episode-once", "lengths-are-within-limit"}),
        ("episodes", slice(0, None), 1.0, {"every-episode-once"}),
        ("epsilon", 9, 1.0, {"epsilon-follows-schedule"}),
        (
            "step",
            9,
            390.0,
            {"counts-are-those-taken", "every-episode-once", "epsilon-follows-schedule"},
        ),
    ],
)
def test_one_wrong_window_is_seen_and_nothing_else(column, window, value, codes):
    curve = healthy_curve()
    changed = curve.columns[column].copy()
    changed[window] = value
    found = statuses(Curve(curve.columns | {column: changed}, curve.recipe))
    red = {code for code, status in found.items() if status is FindingStatus.RED}
    assert red == {f"records.{code}" for code in codes}


def test_the_window_of_the_first_bad_loss_is_named():
    curve = healthy_curve()
    curve.columns["loss"] = np.where(curve.step >= 320, np.nan, curve.columns["loss"])
    (red,) = [each for each in findings(curve) if each.status is FindingStatus.RED]
    assert red.actual == ("loss is nan in the window that ends at step 320, the first of 13 of 19")


def test_without_a_recipe_what_it_would_tell_is_skipped_by_name():
    found = {each.check: each for each in findings(healthy_curve(recipe=None))}
    skipped = {code for code, each in found.items() if each.status is FindingStatus.SKIP}
    assert skipped == set(STORED) - {"records.numbers-are-finite", "records.every-episode-once"}
    assert found["records.values-are-within-bounds"].actual == "not known: value_range"
    assert "the recipe" in found["records.counts-are-those-taken"].actual


def test_a_column_that_is_not_there_is_skipped_and_an_empty_curve_too():
    curve = healthy_curve()
    bare = Curve({"step": curve.step}, curve.recipe)
    kept = {code for code, status in statuses(bare).items() if status is FindingStatus.GREEN}
    assert kept == {"records.counts-are-those-taken"}
    nothing = Curve({name: column[:0] for name, column in curve.columns.items()}, curve.recipe)
    assert set(statuses(nothing).values()) == {FindingStatus.SKIP}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A finished run of 800 steps."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    for _ in TrainingRun(trainer(small()), folder).windows():
        pass
    return folder


@pytest.fixture
def run(run_folder, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(run_folder, tmp_path / "run")


def spoil(run: Path, column: str, row: int, value: str) -> None:
    """Changes one cell of a curve."""
    lines = [line.split(",") for line in (run / "curve.csv").read_text().splitlines()]
    lines[row][lines[0].index(column)] = value
    (run / "curve.csv").write_text("\n".join(",".join(line) for line in lines) + "\n")


def in_process(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command, without a process of its own."""
    monkeypatch.setattr(sys, "argv", ["probes", "records", *arguments])
    code = main()
    return code, *capsys.readouterr()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "probes", "records", *arguments],
        env=os.environ, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_finished_run_is_green_and_its_recipe_is_found(run, monkeypatch, capsys):
    code, out, err = in_process(monkeypatch, capsys, str(run))
    assert code == 0, err
    assert out.count("│ green") == 7
    assert out.count("│ skip") == 2
    assert "not known: value_range" in out


def test_a_red_property_of_one_seed_of_a_regression_has_exit_code_one(run, tmp_path):
    for seed in (2, 10):
        shutil.copytree(run, tmp_path / "regression" / f"seed-{seed}")
    spoil(tmp_path / "regression" / "seed-10", "loss", 12, "nan")
    ran = command(str(tmp_path / "regression"), "--json")
    assert ran.returncode == 1, ran.stderr
    runs = json.loads(ran.stdout)["runs"]
    assert [Path(each["folder"]).name for each in runs] == ["seed-2", "seed-10"]
    red = [finding for finding in runs[1]["findings"] if finding["status"] == "red"]
    assert [finding["check"] for finding in red] == ["records.numbers-are-finite"]
    assert "loss is nan in the window that ends at step 480" in red[0]["actual"]
    assert all(finding["status"] != "red" for finding in runs[0]["findings"])


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda run: (run / "curve.csv").unlink(), "no run there"),
        (lambda run: spoil(run, "loss", 3, "a lot"), "line 4: expected a number as loss"),
        (lambda run: (run / "curve.csv").write_text(""), "expected a column `step`"),
        (lambda run: (run / "curve.csv").write_bytes(b"\xff\xfe"), "cannot be read"),
        (
            lambda run: next(run.glob("checkpoints/*/state.json")).write_text("{}"),
            "holds no recipe of this version",
        ),
    ],
)
def test_a_folder_that_holds_no_readable_run_is_a_usage_error(
    run, monkeypatch, capsys, spoiled, message
):
    spoiled(run)
    code, out, err = in_process(monkeypatch, capsys, str(run))
    assert (code, out) == (4, "")
    assert message in err


def test_a_running_run_is_read_up_to_its_last_whole_line(run, monkeypatch, capsys):
    path = run / "curve.csv"
    text = path.read_text()
    whole = read_curve(path, None).step
    for truncate_last in range(1, 60):
        path.write_text(text[:-truncate_last])
        assert len(read_curve(path, None).step) in {len(whole) - 1, len(whole)}
    path.write_text(text.splitlines()[0] + "\n")
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "best")
    assert in_process(monkeypatch, capsys, str(run))[0] == 5  # nothing to look at yet


def test_folders_that_are_no_runs_are_refused(tmp_path):
    with pytest.raises(StoredRunError, match="no folder of that name"):
        runs_in(tmp_path / "nowhere")
    with pytest.raises(StoredCurveError, match="cannot be read"):
        read_curve(tmp_path / "curve.csv", None)


def test_overlap_learns_a_block_later(run):
    curve = read_curve(run / "curve.csv", small())
    first = int(curve.learning().argmax())
    assert curve.step[first] == 80  # of windows of 40, the first with step 64 in it
    loop = small().loop.model_copy(update={"overlap": True, "block_steps": 40})
    later = replace(curve, recipe=small().model_copy(update={"loop": loop}))
    assert curve.step[int(later.learning().argmax())] == 120
