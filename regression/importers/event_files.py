"""A scalar of TensorBoard's event files, as CleanRL and many others write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from regression.importers.episodes import LogError, LoggedEpisodes

MARK: Final = "tfevents"  # in the name of every event file
TAG: Final = "charts/episodic_return"  # CleanRL's
FRAME_BYTES: Final = 16  # around each record of an event file: its length and two checksums
SHOWN_TAGS: Final = 20


def read_event_files(path: Path, tag: str) -> LoggedEpisodes:
    """The values of a tag, one for each episode.

    Args:
        path: an event file, or the folder of one run, whose files are read in the order of their
            names, that is, of their beginning.
        tag: of the returns.

    Raises:
        LogError: if the extra `tensorboard` is not installed, a file is damaged, or the tag is not
            there.
        OSError: if a file cannot be read.
    """
    files = sorted(path.glob(f"*{MARK}*")) if path.is_dir() else [path]
    found: list[tuple[float, float]] = []
    tags: set[str] = set()
    notes: list[str] = []
    for file in files:
        for step, name, value in _scalars(file, notes):
            tags.add(name)
            if name == tag:
                found.append((step, value))
    if not found:
        shown = ", ".join(sorted(map(repr, tags))[:SHOWN_TAGS]) or "no scalar at all"
        raise LogError(
            f"there is no tag {tag!r}",
            path,
            expected=f"--tag of {shown}",
            actual=repr(tag),
            advice="name one",
        )
    steps, returns = np.array(found, dtype=np.float64).T
    return LoggedEpisodes(steps, returns, np.full(len(steps), np.nan), notes=notes, files=files)


def _scalars(file: Path, notes: list[str]) -> Iterator[tuple[float, str, float]]:
    """Step, tag and value of every scalar in a file, whichever way it is stored."""
    try:
        from google.protobuf.message import DecodeError  # noqa: PLC0415
        from tensorboard.backend.event_processing.event_file_loader import (  # noqa: PLC0415
            RawEventFileLoader,
        )
        from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415
        from tensorboard.util import tensor_util  # noqa: PLC0415
    except ImportError as error:
        raise LogError(
            "event files need the extra tensorboard", file, expected="the package tensorboard",
            actual=str(error), advice="pip install 'dqn-harness[tensorboard]'",
        ) from error  # fmt: skip

    def scalar(value: Any) -> float | None:
        if value.HasField("simple_value"):
            return float(value.simple_value)
        # TensorFlow 2 stores a scalar as an array of no dimension, among images and texts.
        if not value.HasField("tensor") or value.tensor.tensor_shape.dim:
            return None
        array = tensor_util.make_ndarray(value.tensor)
        return float(array) if array.dtype.kind in "iuf" else None

    whole = longest = 0
    for record in RawEventFileLoader(str(file)).Load():
        whole += len(record) + FRAME_BYTES
        longest = max(longest, len(record) + FRAME_BYTES)
        try:
            event = Event.FromString(record)
            for value in event.summary.value:
                number = scalar(value)
                if number is not None:
                    yield float(event.step), value.tag, number
        except (DecodeError, TypeError, ValueError) as error:
            raise _damaged(file, f"{error} before byte {whole}") from error
    _account_for_the_rest(file, file.stat().st_size - whole, longest, notes)


def _account_for_the_rest(file: Path, rest: int, longest: int, notes: list[str]) -> None:
    """The library stops at what it cannot read, be it torn or damaged, and does not say so."""
    if rest > longest:
        raise _damaged(
            file, f"the last {rest} bytes cannot be read, the longest record is {longest}"
        )
    if rest:
        notes.append(f"{file.name}: its last {rest} bytes are a torn record and were dropped.")


def _damaged(file: Path, actual: str) -> LogError:
    return LogError(
        "the event file is damaged",
        file,
        expected="whole records",
        actual=actual,
        advice="name an undamaged copy",
    )
