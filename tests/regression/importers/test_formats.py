"""Formats are guessed from what is there, and read into curves or refused."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from regression.importers.episodes import LogError
from regression.importers.formats import guess_format, read_log
from regression.importers.monitor import read_monitor
from regression.importers.run_folder import seeds_of
from tests.regression.importers.logs import HEADER, protocol, written


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "the log is empty"),
        ("10,1\n20,nan\n", "return is not a finite number\n(.|\n)*record 2 of 2"),
        ("10,inf\n", "return is not a finite"),
        ("10,1e999\n", "return is not a finite"),
        ("nan,1\n", "step is not a finite"),
        ("10,1\n30,1\n20,1\n", "do not rise\n(.|\n)*record 3(.|\n)*at least 30(.|\n)*20"),
        ("-1,1\n", "do not rise"),
    ],
)
def test_what_makes_no_curve_is_refused(tmp_path, rows, message):
    path = written(tmp_path / "a.csv", f"step,return\n{rows}")
    with pytest.raises(LogError, match=message):
        read_log(path, protocol())


def test_no_device_is_read_for_ever(tmp_path):
    for path in (Path("/dev/zero"), tmp_path / "nothing"):
        with pytest.raises(LogError, match="no such log"):
            read_log(path, protocol())
        with pytest.raises(LogError, match="no such log"):
            guess_format(path)


TRAIN = """
import sys
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env

folder = sys.argv[1]
env = make_vec_env("CartPole-v1", n_envs=2, seed=7, monitor_dir=folder + "/train")
agent = DQN("MlpPolicy", env, seed=7, learning_starts=100, train_freq=50, device="cpu")
beside = make_vec_env("CartPole-v1", n_envs=1, seed=8)
agent.learn(1000, EvalCallback(beside, n_eval_episodes=2, eval_freq=50, log_path=folder + "/eval"))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """What Stable-Baselines3 leaves of a short run in two environments; it seeds its process."""
    folder = tmp_path_factory.mktemp("sb3") / "seed7"
    subprocess.run([sys.executable, "-c", TRAIN, str(folder)], check=True, capture_output=True)
    return folder


def test_what_stable_baselines3_leaves_is_read(trained):
    assert guess_format(trained / "train") == "monitor"
    found = read_monitor(trained / "train")
    # CartPole gives 1 a step, so lengths and returns agree; no step is counted twice or lost.
    assert found.returns.tolist() == found.lengths.tolist()
    assert found.environment == "CartPole-v1"
    assert 900 < found.steps[-1] <= 1_000
    one = read_monitor(trained / "train" / "0.monitor.csv")
    assert set(2 * one.steps) <= set(found.steps)
    assert guess_format(trained / "eval") == guess_format(trained / "eval/evaluations.npz")
    evaluated = read_log(trained / "eval", protocol(format="evaluations", series={}))
    assert evaluated.steps.tolist() == np.repeat(np.arange(100.0, 1_001.0, 100.0), 2).tolist()
    assert evaluated.returns.tolist() == evaluated.lengths.tolist()
    assert seeds_of([trained / "train"], "") == [7]


def test_a_format_is_guessed_from_what_is_there_or_asked_for(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, timesteps=[1])
    assert guess_format(written(tmp_path / "a", HEADER)) == "monitor"
    assert guess_format(written(tmp_path / "b", buffer.getvalue())) == "evaluations"
    assert guess_format(written(tmp_path / "c", "step,return\n")) == "csv"
    for content in ("", "step return\n", b"\x89HDF\r\n\0,", "\n,"):
        with pytest.raises(LogError, match=r"cannot be guessed(.|\n)*--format"):
            guess_format(written(tmp_path / "d", content))
    written(tmp_path / "monitor.csv", HEADER)
    written(tmp_path / "evaluations.npz", buffer.getvalue())
    with pytest.raises(LogError, match="monitor or evaluations"):
        guess_format(tmp_path)
