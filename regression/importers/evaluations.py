"""Evaluation episodes as Stable-Baselines3's `EvalCallback` stores them, in `evaluations.npz`.

Arrays: `timesteps` [n], `results` [n, episodes], and `ep_lengths`, shaped like `results`.
"""

from __future__ import annotations

import io
import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from regression.importers.episodes import LogError, LoggedEpisodes

FILE: Final = "evaluations.npz"
MOST_BYTES: Final = 1 << 28  # unpacked
# All that a damaged archive makes the libraries raise; the file itself has been read by then.
DAMAGE: Final = (
    EOFError, KeyError, MemoryError, OSError, OverflowError, RuntimeError, SyntaxError, TypeError,
    ValueError, lzma.LZMAError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
EXPECTED: Final = "timesteps [n], results [n, episodes] and perhaps ep_lengths, of numbers"


def read_evaluations(path: Path) -> LoggedEpisodes:
    """All episodes of all evaluations; they count as ended when their evaluation took place.

    Args:
        path: the file, or a folder that holds it.

    Raises:
        LogError: if it does not hold those arrays as plain numbers; nothing in it is executed.
        OSError: if it cannot be read.
    """
    file = path / FILE if path.is_dir() else path
    arrays = _arrays(file)
    steps, results = arrays["timesteps"], arrays["results"]
    lengths = arrays.get("ep_lengths", np.full(results.shape, np.nan))
    if steps.ndim != 1 or results.ndim != 2 or len(results) != len(steps):
        raise _broken(file, f"timesteps {steps.shape}, results {results.shape}")
    if lengths.shape != results.shape:
        raise _broken(file, f"ep_lengths {lengths.shape}, results {results.shape}")
    if (np.diff(steps) <= 0).any():
        raise LogError(
            "the steps do not rise", f"{file}, timesteps", expected="each above the one before",
            actual=f"{steps[int(np.argmax(np.diff(steps) <= 0)) + 1]:.0f} follows "
            f"{steps[int(np.argmax(np.diff(steps) <= 0))]:.0f}",
            advice="separate runs that were logged into one place, and name the log of one",
        )  # fmt: skip
    return LoggedEpisodes(
        np.repeat(steps, results.shape[1]), results.ravel(), lengths.ravel(), files=[file]
    )


def _arrays(file: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Those of the three arrays that the file holds, as float64."""
    if (size := file.stat().st_size) > MOST_BYTES:
        raise _broken(file, f"{size} bytes, more than {MOST_BYTES}")
    content = io.BytesIO(file.read_bytes())
    try:
        with zipfile.ZipFile(content) as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size > MOST_BYTES:
            raise _broken(file, f"{size} bytes when unpacked, more than {MOST_BYTES}")
        content.seek(0)
        with np.load(content, allow_pickle=False) as stored:
            names = {"timesteps", "results", "ep_lengths"} & set(stored.files)
            arrays: dict[str, npt.NDArray[Any]] = {name: stored[name] for name in sorted(names)}
    except LogError:
        raise
    except DAMAGE as error:
        raise _broken(file, f"{type(error).__name__}: {error}"[:200]) from error
    if not {"timesteps", "results"} <= arrays.keys():
        raise _broken(file, f"only {', '.join(arrays) or 'others'}")
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise _broken(file, f"{name} of {array.dtype}")
    return {name: array.astype(np.float64) for name, array in arrays.items()}


def _broken(file: Path, actual: str) -> LogError:
    return LogError(
        "the evaluations cannot be read",
        file,
        expected=EXPECTED,
        actual=actual,
        advice="evaluate again",
    )
