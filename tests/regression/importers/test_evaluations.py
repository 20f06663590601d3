"""Archives of evaluations execute nothing, and are refused when damaged."""

from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regression.importers.episodes import LogError
from regression.importers.evaluations import read_evaluations
from tests.regression.importers.logs import written


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
