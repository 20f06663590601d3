"""Logs of other programs become curves, or are refused with the reason; nothing is guessed."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regression.importers.episodes import LogError, LoggedEpisodes
from regression.importers.evaluations import read_evaluations
from regression.importers.event_files import TAG, read_event_files
from regression.importers.formats import guess_format, read_log
from regression.importers.gridding import on_grid
from regression.importers.monitor import read_monitor
from regression.importers.plain import read_plain
from regression.importers.run_folder import read_logs, seeds_of
from regression.importers.table import LONGEST_LINE
from regression.job.job import UsageError
from regression.job.log_protocol import LogProtocol

HEADER = '#{"t_start": 1.0, "env_id": "CartPole-v1"}\n'
HERE = Path("log")


def protocol(**changes: object) -> LogProtocol:
    told = {
        "kind": "imported", "name": "mine", "metric": "return of an episode", "format": "csv",
        "series": {"step": "step", "return": "return", "length": ""}, "environment": "",
        "window_steps": 10, "total_steps": 100,
    }  # fmt: skip
    return LogProtocol.model_validate(told | changes)


def records(steps, returns, lengths=None) -> LoggedEpisodes:
    known = np.full(len(steps), np.nan) if lengths is None else np.array(lengths, np.float64)
    return LoggedEpisodes(np.array(steps, np.float64), np.array(returns, np.float64), known)


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# The grid

EPISODES = st.lists(
    st.tuples(st.integers(0, 130), st.floats(-1e6, 1e6), st.integers(1, 50)), min_size=1
).map(lambda rows: [*rows, (100, 0.5, 3)])


@given(EPISODES, st.randoms(use_true_random=False))
def test_windows_keep_the_sum_of_returns_and_forget_the_order(rows, shuffler):
    grid = on_grid(records(*zip(*rows, strict=True)), 10, 100, HERE)
    inside = [row for row in rows if row[0] <= 100]
    total = np.nansum(grid.episodes * grid.returns)
    assert total == pytest.approx(sum(row[1] for row in inside), rel=1e-9, abs=1e-3)
    assert grid.episodes.sum() == len(inside) == len(rows) - grid.beyond
    assert np.isnan(grid.returns).tolist() == (grid.episodes == 0).tolist()
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    again = on_grid(records(*zip(*shuffled, strict=True)), 10, 100, HERE)
    for name in ("steps", "episodes", "returns", "lengths"):
        assert getattr(again, name).tobytes() == getattr(grid, name).tobytes()


@given(st.integers(0, 100))
def test_an_episode_belongs_to_the_window_in_which_it_ends(step):
    grid = on_grid(records([step, 100], [7.0, 1.0]), 10, 100, HERE)
    window = next(k for k, end in enumerate(range(10, 101, 10)) if step <= end)
    assert grid.steps.tolist() == list(range(10, 101, 10))
    assert (7.0 in (grid.returns[window], 2 * grid.returns[window] - 1)) is True
    assert grid.episodes[window] == (2 if window == 9 else 1)


def test_an_early_end_is_refused_by_more_than_a_window_only():
    assert on_grid(records([5, 90], [1, 2]), 10, 100, HERE).episodes[-1] == 0
    with pytest.raises(LogError, match=r"ends too early\n(.|\n)*ends at step 89"):
        on_grid(records([5, 89], [1, 2]), 10, 100, HERE)


@pytest.mark.parametrize(
    ("total", "window"), [(100, 30), (90, 10), (0, 10), (100, 0), (-100, 10), (200_000, 1)]
)
def test_only_whole_windows_and_enough_of_them(total, window):
    with pytest.raises(ValueError, match=r"window|greater than 0"):
        protocol(total_steps=total, window_steps=window)


# Tables


def csv(path: Path, text: str | bytes, length: str = "") -> LoggedEpisodes:
    return read_plain(written(path, text), "step", "return", length)


def test_a_plain_table_by_the_names_of_its_columns(tmp_path):
    path = written(tmp_path / "a.csv", "\ufeffx,t,r,n\r\nhello,10,1.5,10\r\n=1+1,20.0,-2e1,10\r\n")
    found = read_plain(path, "t", "r", "n")
    assert (found.steps.tolist(), found.returns.tolist()) == ([10.0, 20.0], [1.5, -20.0])
    assert (found.lengths.tolist(), found.notes) == ([10.0, 10.0], [])
    with pytest.raises(LogError, match=r"no column 'step'(.|\n)*one of 'x', 't', 'r', 'n'"):
        read_plain(path, "step", "r", "")


@pytest.mark.parametrize("tail", ["30", "30,", "30,1", "30,12.5"])
def test_one_torn_line_is_dropped_and_told_even_if_it_looks_whole(tmp_path, tail):
    found = csv(tmp_path / "a.csv", f"step,return\n10,1\n20,2\n{tail}")
    assert found.steps.tolist() == [10.0, 20.0]
    assert found.notes == [
        f"a.csv: the last line has no end and was dropped ({len(tail)} letters)."
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"step,return", "empty"),
        (b"step,return\n10\n20,2\n", "row 2\n(.|\n)*expected  2 cells"),
        (b"step,return\n10,1\n\n20,2\n", "row 3\n"),
        (b"step,return\n10,1,9\n", "not whole"),
        (b"step,step\n1,2\n", "two columns"),
        (b"step,return\n10,1\n20,two\n", "row 3, column return\n(.|\n)*'two'"),
        (b"step,return\n1_0,1\n", "not a number"),
        (b"step,return\n10,__import__('os')\n", "not a number"),
        ("step,return\n\u0661\u0660,1\n".encode(), "not a number"),
        (b"step,return\n10.5,1\n", "whole number"),
        (b'step,return\n10,"1\n20,2\n', "not a table"),
        ("step,return\n10,1\n".encode("utf-16"), "not text"),
        ("step,return\n10,1é\n".encode("latin-1"), "not text"),
        (b"step,return\n10,1\0\n", "zero byte"),
        (b"a" * (LONGEST_LINE + 1) + b",return\n10,1\n", "too long"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(tmp_path, content, message):
    with pytest.raises(LogError, match=message):
        csv(tmp_path / "a.csv", content)


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


# Monitors


def test_environments_of_a_vectorised_run_step_together(tmp_path):
    written(tmp_path / "0.monitor.csv", HEADER + "r,l,t\n1.0,10,0.5\n2.0,30,1.5\n")
    written(tmp_path / "1.monitor.csv", HEADER + "r,l,t\n3.0,25,1.2\n")
    found = read_monitor(tmp_path)
    # The second environment's episode ends when both have made 25 steps.
    assert found.steps.tolist() == [20.0, 50.0, 80.0]
    assert found.returns.tolist() == [1.0, 3.0, 2.0]
    assert found.lengths.tolist() == [10.0, 25.0, 30.0]
    assert found.environment == "CartPole-v1"
    written(tmp_path / "2.monitor.csv", HEADER.replace("CartPole", "Acrobot") + "r,l,t\n1,1,1\n")
    with pytest.raises(LogError, match="'Acrobot-v1', 'CartPole-v1'"):
        read_monitor(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("r,l,t\n1,1,1\n", "not a monitor"),
        ("#[1]\nr,l,t\n1,1,1\n", "not a monitor"),
        ('#{"env_id": 3}\nr,l,t\n1,1,1\n', "not a monitor"),
        ("#" + "[" * 50_000 + "\nr,l,t\n1,1,1\n", "not a monitor"),
        ('#{"env_id": "a\\u202eb"}\nr,l,t\n1,1,1\n', "printable"),
        ('#{"env_id": "' + "a" * 101 + '"}\nr,l,t\n1,1,1\n', "printable"),
        ("#{" + " " * LONGEST_LINE + "}\nr,l,t\n1,1,1\n", "too long"),
        (HEADER + "r,t\n1,1\n", "no column 'l'"),
        (HEADER + "r,l,t\n1,0,1\n", "row 3, column l"),
        (HEADER + "r,l,t\n1,2.5,1\n", "no length"),
        (HEADER + "r,l,t\n1,nan,1\n", "no length"),
    ],
)
def test_other_monitors_are_refused(tmp_path, content, message):
    with pytest.raises(LogError, match=message):
        read_monitor(written(tmp_path / "monitor.csv", content))
    with pytest.raises(LogError, match="there is no monitor"):
        read_monitor(written(tmp_path / "empty" / "x.txt", "").parent)


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


# Evaluations


class Canary:
    def __reduce__(self):
        return (Path.touch, (Path("canary"),))


def test_an_archive_with_objects_executes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Canary()], dtype=object)
    np.savez(tmp_path / "evaluations.npz", timesteps=[1], results=[[1.0]], ep_lengths=objects)
    with pytest.raises(LogError, match="allow_pickle=False"):
        read_evaluations(tmp_path)
    for name in ("timesteps", "results"):
        np.savez(
            tmp_path / "evaluations.npz", **{"timesteps": [1], "results": [[1.0]]} | {name: objects}
        )
        with pytest.raises(LogError, match="allow_pickle=False"):
            read_evaluations(tmp_path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"timesteps": [1]}, "only timesteps"),
        ({"other": [1]}, "only others"),
        ({"timesteps": [1, 2], "results": [[1.0]]}, r"timesteps \(2,\), results \(1, 1\)"),
        ({"timesteps": [[1]], "results": [[1.0]]}, r"timesteps \(1, 1\)"),
        ({"timesteps": [1], "results": [1.0]}, r"results \(1,\)"),
        ({"timesteps": ["1"], "results": [[1.0]]}, "timesteps of <U1"),
        ({"timesteps": [1], "results": [[1j]]}, "results of complex128"),
        ({"timesteps": [1], "results": [[1.0]], "ep_lengths": [1]}, "ep_lengths"),
        ({"timesteps": [2, 2], "results": [[1.0], [2.0]]}, "do not rise"),
    ],
)
def test_other_archives_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "evaluations.npz", **arrays)
    with pytest.raises(LogError, match=message):
        read_evaluations(tmp_path)


@given(st.integers(0, 900), st.integers(1, 255), st.integers(0, 900))
def test_whatever_is_damaged_in_an_archive_is_refused_or_harmless(at, flip, end):
    buffer = io.BytesIO()
    np.savez(buffer, timesteps=np.arange(1, 10), results=np.ones((9, 3)))
    content = bytearray(buffer.getvalue())[: end + 1]
    content[at % len(content)] ^= flip
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(LogError):
        found = read_evaluations(written(Path(folder) / "evaluations.npz", bytes(content)))
        assert found.steps.shape == found.returns.shape == found.lengths.shape


def test_damaged_and_swollen_archives_are_refused(tmp_path):
    path = tmp_path / "evaluations.npz"
    np.savez_compressed(path, timesteps=np.arange(9), results=np.ones((9, 3)))
    whole = path.read_bytes()
    for broken in (whole[:-30], b"PK\3\4" + whole[50:], b"", b"\x93NUMPY"):
        with pytest.raises(LogError, match="cannot be read"):
            read_evaluations(written(path, broken))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("results.npy", bytes(1 << 20))
        packed.writestr("timesteps.npy", bytes(1 << 28))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(LogError, match="bytes when unpacked"):
        read_evaluations(path)


# Event files


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    """A folder such as CleanRL's, by the writer that it uses."""
    from torch.utils.tensorboard import SummaryWriter

    folder = tmp_path_factory.mktemp("runs") / "CartPole-v1__dqn__3__1718000000"
    with SummaryWriter(str(folder)) as writer:
        writer.add_text("hyperparameters", "|param|value|")
        for step in range(10, 210, 10):
            writer.add_scalar(TAG, step / 8, step)
            writer.add_scalar("losses/td_loss", 0.5, step)
    return folder


def test_scalars_of_event_files_by_their_tag(events):
    assert guess_format(events) == "tensorboard"
    assert seeds_of([events], "") == [3]
    found = read_event_files(events, TAG)
    assert found.steps.tolist() == list(range(10, 210, 10))
    assert (found.returns == found.steps / 8).all()
    assert found.notes == []
    with pytest.raises(LogError, match=f"'{TAG}', 'losses/td_loss'"):
        read_event_files(events, "return")


def test_scalars_as_tensorflow_2_stores_them(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path))
    for step in (1, 2):
        values = [
            Summary.Value(tag="a/return", tensor=make_tensor_proto(1.5 * step)),
            Summary.Value(tag="many", tensor=make_tensor_proto([1.0, 2.0])),
            Summary.Value(tag="text", tensor=make_tensor_proto("1.0")),
        ]
        writer.add_event(Event(step=step, summary=Summary(value=values)))
    writer.close()
    assert read_event_files(tmp_path, "a/return").returns.tolist() == [1.5, 3.0]
    with pytest.raises(LogError, match="--tag of 'a/return'\n"):
        read_event_files(tmp_path, "many")


def test_torn_event_files_lose_a_record_and_damaged_ones_are_refused(events, tmp_path):
    whole = next(events.glob("*")).read_bytes()
    path = tmp_path / "events.out.tfevents.1"
    torn = read_event_files(written(path, whole[:-7]), TAG)
    assert (len(torn.steps), len(torn.notes)) == (20, 1)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    for content in (bytes(damaged), b"hello" * 100, b"\xff" * 8 + whole[8:], b"\0" * 5000):
        with pytest.raises(LogError, match=r"damaged|no tag"):
            read_event_files(written(path, content), TAG)


def test_without_the_extra_its_name_is_told(events, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(LogError, match=r"pip install 'dqn-harness\[tensorboard\]'"):
        read_event_files(events, TAG)


# Formats and seeds


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


@pytest.mark.parametrize(
    ("path", "seed"),
    [
        ("logs/seed3/monitor.csv", 3), ("seed_12.csv", 12), ("seed-5/seed6.csv", 6),
        ("CartPole-v1__dqn__1__1718000000", 1), ("a/Seed 4/x/y.csv", 4),
    ],
)  # fmt: skip
def test_seeds_by_their_names(path, seed):
    assert seeds_of([Path(path)], "") == [seed]


@pytest.mark.parametrize("path", ["monitor.csv", "a__1__2__3", "seed1-seed2.csv", "seedless/1.csv"])
def test_seeds_that_cannot_be_seen_are_not_guessed(path):
    with pytest.raises(UsageError, match="--seeds"):
        seeds_of([Path(path)], "")


@pytest.mark.parametrize("words", ["1", "1,2,3", "2-1", "1-99999", "a", "1,", "-1", "1;2", "1,1"])
def test_seeds_that_do_not_fit_the_logs_are_refused(words):
    with pytest.raises(UsageError, match="seed"):
        seeds_of([Path("a"), Path("b")], words)


def test_seeds_as_told_come_in_the_order_of_the_logs():
    assert seeds_of([Path("seed9"), Path("b"), Path("c")], "7,3-4") == [7, 3, 4]
    with pytest.raises(UsageError, match="seed 9 is that of several logs: a/seed9, b/seed9"):
        seeds_of([Path("a/seed9"), Path("b/seed9")], "")


def test_all_logs_are_of_one_environment(tmp_path):
    rows = "r,l,t\n" + "1,10,1\n" * 10
    one = written(tmp_path / "1.csv", HEADER + rows)
    other = written(tmp_path / "2.csv", HEADER.replace("CartPole", "Acrobot") + rows)
    wanted = protocol(format="monitor", series={})
    found, logs = read_logs([one, one], [1, 2], wanted)
    assert (found.environment, [log.seed for log in logs]) == ("CartPole-v1", [1, 2])
    assert found.digest() != wanted.digest()
    for paths, asked in [([one, other], wanted), ([other], found)]:
        with pytest.raises(LogError, match="'Acrobot-v1'"):
            read_logs(paths, list(range(len(paths))), asked)
