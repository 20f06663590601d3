"""What is no subject is said at once, with its own line; what only has a capability's name, too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from examples.dqn import DQN
from probes.running.preflight import inspect_subject
from probes.subject import SubjectError
from probes.subjects import core
from probes.traits import TraitError

ROOT = Path(__file__).resolve().parents[3]


def inspected(kind: type, **options):
    def make(make_env, settings):
        return kind([make_env() for _ in range(settings.num_envs)], settings)

    return inspect_subject(make, 0, **({"frames": False} | options))


def test_what_is_right_is_declined_nothing():
    assert inspected(DQN, frames=True).declined == {}
    assert inspect_subject(core.make, 0).declined == {}


class Raises(DQN):
    def __init__(self, *_):
        raise KeyError("hidden")


class RaisesInEveryStep(DQN):
    def act(self, index):
        return self.missing[index]


class RaisesInItsFirstUpdate(DQN):
    def update(self, transitions):
        return transitions.done


class NoTrain(DQN):
    train = None


class TrainTakesNothing(DQN):
    def train(self): ...


class ValuesOfOneAction(DQN):
    def q_values(self, obs, network=None):
        return super().q_values(obs, network)[:, :1]


class ValuesWithoutRows(DQN):
    def q_values(self, obs, network=None):
        return super().q_values(obs, network).max(axis=1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Raises, ["the factory raised KeyError: 'hidden'", "test_preflight.py:", "in __init__"]),
        (RaisesInEveryStep, ["train(1) raised AttributeError", "test_preflight.py:", "in act"]),
        (RaisesInItsFirstUpdate, ["train(23) raised AttributeError", "in update"]),
        (NoTrain, ["NoTrain has no method train(steps)", "nothing of that name"]),
        (TrainTakesNothing, ["cannot be called as train(steps)", "train()", "test_preflight.py:"]),
        (ValuesOfOneAction, ["expected q_values of 2 actions", "[3, 1]"]),
        (ValuesWithoutRows, ["q_values of shape [3, number of actions]", "it returned [3]"]),
    ],
)
def test_what_is_no_subject_is_refused_with_its_own_line(kind, words):
    with pytest.raises(SubjectError) as refused:
        inspected(kind)
    for word in words:
        assert word in str(refused.value), refused.value


def returns_nothing(*_):
    return None


def returns_a_number(*_):
    return 3


def takes_one(make_env):
    return make_env


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (returns_nothing, "the factory returned None"),
        (takes_one, "cannot be called as (make_env, settings)"),
        (returns_a_number, "int has no method train(steps)"),
    ],
)
def test_factories_that_make_no_agent_are_refused(factory, words):
    with pytest.raises(SubjectError) as refused:
        inspect_subject(factory, 0)
    assert words in str(refused.value)
    assert "test_preflight.py" in str(refused.value) or "None" in words or "int" in words


class TakesNoSize(DQN):
    def train(self, steps):
        for _ in range(steps):
            self.act(0)
            self.steps += 1
            if self.steps >= self.args.warmup_steps:
                self.update(self.sample())

    def sample(self):
        return super().sample(self.args.batch_size)


class SixColumns(DQN):
    def sample(self, size):
        return (*super().sample(size), np.ones(size))

    def update(self, transitions):
        super().update(transitions[:5])


class EpsilonIsANumber(DQN):
    epsilon = 0.1

    def act(self, index):
        obs, env = self.obs[index], self.envs[index]
        action = int(self.rng.integers(self.num_actions))
        next_obs, reward, terminated, truncated, _ = env.step(action)
        self.memory.append((obs, action, reward, next_obs, terminated))
        self.obs[index] = env.reset()[0] if terminated or truncated else next_obs


class BytesAreANumber(DQN):
    replay_bytes = 12


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (TakesNoSize, "sample", "it is sample(): too many positional arguments"),
        (SixColumns, "sample", "6 columns, not obs, action, reward, next_obs, terminated"),
        (EpsilonIsANumber, "epsilon", "it is a float, and no method"),
        (BytesAreANumber, "replay_bytes", "it is a int, and no method"),
    ],
)
def test_what_has_only_the_name_of_a_capability_is_declined_by_name(kind, name, words):
    declined = inspected(kind).declined
    assert list(declined) == [name]
    assert words in declined[name]


def test_a_method_with_another_signature_is_declined_and_not_called():
    class Mine(DQN):
        def evaluate(self, env, episodes):
            raise AssertionError(env, episodes)

    declined = inspected(Mine).declined
    assert list(declined) == ["evaluate"]
    assert "evaluate(env, episodes): missing a required argument: 'episodes'" in declined[
        "evaluate"
    ].replace('"', "'")


def test_an_agent_for_vectors_alone_declines_frames():
    class Flat(DQN):
        def __init__(self, envs, args):
            super().__init__(envs, args)
            self.width = envs[0].observation_space.shape[0] + 0 * len(args.device)
            if len(envs[0].observation_space.shape) > 1:
                raise ValueError("vectors only")

    declined = inspected(Flat, frames=True).declined
    assert list(declined) == ["frames"]
    assert "ValueError: vectors only" in declined["frames"]


class RaisesWhenTried(DQN):
    def td_targets(self, transitions):
        return transitions.done


class NotImplementedYet(DQN):
    def evaluate(self, episodes):
        raise NotImplementedError(episodes)


def test_what_raises_when_it_is_tried_leaves_its_checks_inconclusive():
    found = inspected(RaisesWhenTried)
    assert found.raised == ["td_targets"]
    assert "it raised AttributeError" in found.declined["td_targets"]
    assert "test_preflight.py:" in found.declined["td_targets"]
    assert inspected(NotImplementedYet).raised == []
    assert inspected(NotImplementedYet).declined == {"evaluate": "it is not implemented"}


def test_what_is_offered_in_so_many_words_has_to_work():
    class Offers(DQN):
        offers = ("sample", "update")

    declined = inspected(Offers).declined
    assert declined["epsilon"] == declined["online_net"] == "not among what it offers"
    assert not {"sample", "update"} & declined.keys()

    class OffersTooMuch(SixColumns):
        offers = ("sample",)

    with pytest.raises(SubjectError, match="it offers sample, but it returned 6 columns"):
        inspected(OffersTooMuch)

    class OffersTheUnknown(DQN):
        offers = ("simple",)

    with pytest.raises(SubjectError, match="unknown capability 'simple'"):
        inspected(OffersTheUnknown)

    class OffersFrames(DQN):
        offers = ("frames", "sample")

        def __init__(self, envs, args):
            if len(envs[0].observation_space.shape) > 1:
                raise ValueError("vectors only")
            super().__init__(envs, args)

    with pytest.raises(SubjectError, match="shown frames, raised ValueError: vectors only"):
        inspected(OffersFrames, frames=True)


def test_traits_are_read_and_wrong_ones_refused():
    class Averaged(DQN):
        traits: ClassVar = {"tau": 0.01, "sync_period_updates": 1}

    assert inspected(Averaged).traits == {"tau": 0.01, "sync_period_updates": 1}

    class Wrong(DQN):
        traits: ClassVar = {"tow": 0.01}

    with pytest.raises(TraitError, match="nearest   tau"):
        inspected(Wrong)


FILE = """
from examples.dqn import DQN

class Mine(DQN):
    def act(self, index):
        {act}

def make(make_env, settings):
    return Mine([make_env() for _ in range(settings.num_envs)], settings)
"""


def probed(
    folder: Path, act: str, *words: str, text: str = FILE
) -> subprocess.CompletedProcess[str]:
    (folder / "mine.py").write_text(text.format(act=act))
    command = [sys.executable, "-m", "dqn_harness", "probes", "--agent", "mine.py:make", *words]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_the_command_ends_with_usage_one_message_and_no_diagnosis(tmp_path):
    ran = probed(tmp_path, "return self.missing[index]", "-k", "world")
    assert ran.returncode == 4
    assert ran.stderr.count("AttributeError") == 1
    assert "mine.py:6, in act" in ran.stderr
    assert "1. " not in ran.stdout + ran.stderr


def test_an_exception_in_many_checks_is_said_once_and_is_no_evidence(tmp_path):
    act = "return super().act(index) if self.num_actions == 2 else self.missing"
    ran = probed(tmp_path, act, "-k", "exploration and not zero", "--json")
    report = json.loads(ran.stdout)
    errors = [one for one in report["findings"] if one["status"] == "error"]
    assert len(errors) > 3
    assert {one["place"] for one in errors} == {"mine.py:6, in act"}
    assert report["suspicions"] == []
    assert ran.returncode in {1, 4}


def test_the_command_is_inconclusive_where_a_member_raised(tmp_path):
    ran = probed(tmp_path, "return super().act(index)", "-k", "td or exploration*")
    assert ran.returncode == 0, ran.stdout
    raising = FILE.replace(
        "def make", "    def td_targets(self, rows):\n        rows.done\n\ndef make"
    )
    ran = probed(tmp_path, "return super().act(index)", "-k", "td", text=raising)
    assert ran.returncode == 6, ran.stdout
    assert ran.stdout.count("AttributeError") == 1
    assert "mine.py:9, in td_targets" in ran.stdout
    assert probed(tmp_path, "return super().act(index)", "-k", "world.constant*",
                  text=raising).returncode == 0  # fmt: skip
