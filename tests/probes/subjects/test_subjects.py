"""Foreign subjects: a library's DQN as it is shipped, and a user's in one file."""

from __future__ import annotations

import ast
import contextlib
import random  # noqa: TID251  put back, not drawn from
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from probes.checks.registry import CHECKS as EVERY_CHECK
from probes.checks.support.testbed import Testbed, Trial
from probes.checks.worlds import CHECKS
from probes.running.run_check import run_check
from probes.subject import (
    CAPABILITIES,
    Settings,
    SubjectError,
    Transitions,
    Unsupported,
    load_factory,
    missing,
)
from probes.worlds.env import WorldEnv, observations
from probes.worlds.tables import REWARD_BY_OBS_AND_ACTION as WORLD
from reports.schema import FindingStatus

EXAMPLE = "examples.dqn:make"
LIBRARY = "probes.subjects.stable_baselines3:make"
OFFERED = {
    EXAMPLE: {
        "target_values",
        "update",
        "sample",
        "online_net",
        "target_net",
        "optimizer",
        "epsilon",
    },
    LIBRARY: set(CAPABILITIES) - {"td_targets", "weighted_sample"},
}
OBSERVATIONS = observations(WORLD, "vector")

both = pytest.mark.parametrize("subject", [EXAMPLE, LIBRARY])


@contextlib.contextmanager
def generators_put_back() -> Iterator[None]:
    """The library seeds the global generators, and draws from them."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  put back, not drawn from
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002  as above


def trial(subject: str, **settings: object) -> Trial:
    testbed = Testbed(load_factory(subject), seed=3)
    return testbed.trial(lambda _: WorldEnv(WORLD, "vector"), **settings)


@both
@pytest.mark.parametrize("code", [check.code for check in CHECKS if check.code.endswith("vector")])
def test_it_is_green_in_the_worlds(subject, code):
    (check,) = [check for check in CHECKS if check.code == code]
    with generators_put_back():
        finding = run_check(check, load_factory(subject), seed=0)
    assert finding.status is FindingStatus.GREEN, finding


@both
def test_it_offers_what_is_listed(subject):
    with generators_put_back():
        lacking = missing(trial(subject).subject, list(CAPABILITIES))
    assert set(CAPABILITIES) - set(lacking) == OFFERED[subject]


@both
def test_it_plays_several_environments_with_different_seeds(subject):
    with generators_put_back():
        played = trial(subject, num_envs=2)
        played.train(90)
    steps = [len(env.log.actions) for env in played.played]
    assert steps == [45, 45]
    assert len({env.log.seeds[0] for env in played.played}) == 2


@both
def test_training_in_pieces_is_training_at_once(subject):
    schedule = {"epsilon_final": 0.0, "epsilon_decay_steps": 100, "total_steps": 120}
    with generators_put_back():
        whole = trial(subject, **schedule)
        whole.train(120)
        pieces = trial(subject, **schedule)
        for steps in (1, 79, 40):
            pieces.train(steps)
        np.testing.assert_array_equal(pieces.q_table(OBSERVATIONS), whole.q_table(OBSERVATIONS))
    assert pieces.played[0].log == whole.played[0].log


@both
@pytest.mark.parametrize(("num_envs", "train_period_steps"), [(1, 1), (1, 4), (2, 1), (2, 4)])
def test_the_target_network_lags_by_at_most_a_period(subject, num_envs, train_period_steps):
    changes, period_steps = [], 4 * train_period_steps
    with generators_put_back():
        played = trial(
            subject, num_envs=num_envs, train_period_steps=train_period_steps, sync_period_updates=4
        )
        shown = [played.subject.target_values(OBSERVATIONS)]

        def watch() -> None:
            values = played.subject.target_values(OBSERVATIONS)
            if not np.array_equal(values, shown[-1]):
                shown.append(values)
                changes.append(played.steps)

        played.before_step = watch
        played.train(64 + 8 * period_steps)
    assert len(changes) >= 6
    assert set(np.diff(changes)) == {period_steps}


def test_the_librarys_epsilon_is_that_of_the_settings():
    with generators_put_back():
        played = trial(
            LIBRARY,
            warmup_steps=10,
            batch_size=8,
            epsilon_initial=0.8,
            epsilon_final=0.2,
            epsilon_decay_steps=60,
        )
        seen = {}
        for _ in range(9):
            played.train(10)
            seen[played.steps] = played.subject.epsilon()
    expected = np.clip(0.8 - 0.6 * np.array(list(seen)) / 60, 0.2, None)
    np.testing.assert_allclose(list(seen.values()), expected)


def test_the_librarys_update_is_one_step_on_these_transitions():
    with generators_put_back():
        played = trial(LIBRARY, gamma=0.9, learning_rate=0.01)
        played.train(80)
        subject = played.subject
        given = Transitions(
            obs=OBSERVATIONS,
            action=np.array([0, 1]),
            reward=np.array([3.0, -3.0]),
            next_obs=OBSERVATIONS[::-1].copy(),
            terminated=np.array([True, False]),
        )
        target = np.array([3.0, -3.0 + 0.9 * subject.target_values(OBSERVATIONS)[0].max()])
        memory = subject.sample(1_000).reward
        lagged = subject.target_values(OBSERVATIONS)
        for _ in range(300):
            subject.update(given)
        learned = played.q_table(OBSERVATIONS)[[0, 1], [0, 1]]
        np.testing.assert_allclose(learned, target, atol=0.05)
        np.testing.assert_array_equal(subject.target_values(OBSERVATIONS), lagged)
        assert set(subject.sample(1_000).reward) == set(memory) == {-2.0, 2.0}


def test_the_librarys_files_hold_networks_moments_memory_and_counters(tmp_path):
    with generators_put_back():
        saved = trial(LIBRARY)
        saved.train(100)
        saved.subject.save(tmp_path)
        loaded = trial(LIBRARY)
        loaded.subject.load(tmp_path)
        for ask in ("q_values", "target_values"):
            values = [getattr(each.subject, ask)(OBSERVATIONS) for each in (saved, loaded)]
            np.testing.assert_array_equal(*values)
        moments = [each.subject.optimizer.state_dict()["state"] for each in (saved, loaded)]
        torch.testing.assert_close(moments[1], moments[0], rtol=0, atol=0)
        assert loaded.subject.replay_bytes() == saved.subject.replay_bytes()
        assert set(loaded.subject.sample(100).reward) == {-2.0, 2.0}
        loaded.train(20)
        assert loaded.subject.model.num_timesteps == 120
        assert not np.array_equal(loaded.q_table(OBSERVATIONS), saved.q_table(OBSERVATIONS))


def test_the_librarys_evaluation_returns_raw_returns_of_its_own_episodes():
    with generators_put_back():
        played = trial(LIBRARY)
        played.train(400)
        steps = played.steps
        assert list(played.subject.evaluate(7)) == [2.0] * 7
        assert len(played.watched[-1].log.actions) == played.steps - steps == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"double": True}, "no double DQN"),
        ({"sync_period_updates": 3, "num_envs": 2}, r"multiple of num_envs, got 3 \* 1 and 2"),
    ],
)
def test_the_library_refuses_what_it_has_no_words_for(settings, message):
    with pytest.raises(Unsupported, match=message):
        trial(LIBRARY, **settings)


def test_the_librarys_wrappers_are_skipped_without_opencv(monkeypatch):
    with generators_put_back():
        subject = trial(LIBRARY).subject
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Unsupported, match="pip install opencv-python-headless"):
        subject.preprocess(WorldEnv(WORLD, "vector"))


def test_a_missing_library_is_named_with_what_to_type(monkeypatch):
    monkeypatch.delitem(sys.modules, "probes.subjects.stable_baselines3", raising=False)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(SubjectError, match=r"pip install 'stable-baselines3"):
        load_factory(LIBRARY)


def test_the_example_is_one_short_file_that_imports_nothing_of_ours():
    source = Path(sys.modules[load_factory(EXAMPLE).__module__].__file__).read_text("utf-8")
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported == {"collections", "copy", "numpy", "torch"}
    assert len(source.splitlines()) <= 115


def test_the_example_sees_a_time_limit_as_no_end():
    example = load_factory(EXAMPLE)
    env = WorldEnv(WORLD, "vector")
    env.step = lambda action: (OBSERVATIONS[1], float(action), False, True, {})
    subject = example(lambda: env, Settings(seed=0))
    subject.train(70)
    drawn = subject.sample(500)
    assert not drawn.terminated.any()
    np.testing.assert_array_equal(drawn.next_obs, np.repeat(OBSERVATIONS[1:2], 500, axis=0))
    np.testing.assert_array_equal(drawn.reward, drawn.action)


# What the library really does otherwise; each is explained in docs/stable-baselines3.md.
DEVIATIONS = {
    LIBRARY: {
        "exploration.coin-for-each-environment",
        "replay.memory-per-transition",
        "seeding.neighbouring-runs-share-no-environment",
    },
    EXAMPLE: set(),
}


@both
def test_no_other_check_is_red_than_the_deviations_that_are_explained(subject):
    with generators_put_back():
        findings = [
            run_check(check, load_factory(subject), seed=0)
            for check in EVERY_CHECK
            if not check.code.endswith(("frames", ".vector"))  # worlds: see above
        ]
    red = {finding.check for finding in findings if finding.status is FindingStatus.RED}
    assert red == DEVIATIONS[subject]
    assert sum(finding.status is FindingStatus.GREEN for finding in findings) > 45


def test_every_deviation_is_explained():
    text = Path(__file__).parents[3].joinpath("docs/stable-baselines3.md").read_text("utf-8")
    assert all(f"`{code}`" in text for code in DEVIATIONS[LIBRARY])
