"""Which format a log has, and its episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

from regression.importers.episodes import LogError, LoggedEpisodes, require_sound
from regression.importers.evaluations import FILE, read_evaluations
from regression.importers.event_files import MARK, read_event_files
from regression.importers.monitor import SUFFIX, read_monitor
from regression.importers.plain import read_plain
from regression.job.log_protocol import LogFormat, LogProtocol

METRICS: Final[dict[LogFormat, str]] = {
    "monitor": "return of a training episode",
    "evaluations": "return of an evaluation episode",
    "tensorboard": "return of an episode",
    "csv": "return of an episode",
}
FORMATS: Final[tuple[LogFormat, ...]] = get_args(LogFormat)


def require_there(path: Path) -> None:
    """Refuses what is neither a file nor a folder: a device would be read for ever.

    Raises:
        LogError: saying so.
    """
    if not path.is_file() and not path.is_dir():
        raise LogError(
            "there is no such log",
            path,
            expected="a file or a folder",
            actual="something else" if path.exists() else "nothing",
            advice="name the logs of finished runs",
        )


def guess_format(path: Path) -> LogFormat:
    """The format of a log by what is there: the first bytes of a file, the files of a folder.

    Raises:
        LogError: if nothing fits, or several things do.
        OSError: if it cannot be read.
    """
    require_there(path)
    fitting = _of_folder(path) if path.is_dir() else _of_file(path)
    if len(fitting) != 1:
        raise LogError(
            "the format of a log cannot be guessed", path, expected="the logs of one format",
            actual=f"what may be {' or '.join(fitting)}" if fitting else "nothing known",
            advice=f"name it with --format: {', '.join(FORMATS)}",
        )  # fmt: skip
    return fitting[0]


def _of_folder(folder: Path) -> list[LogFormat]:
    patterns: dict[LogFormat, str] = {
        "monitor": f"*{SUFFIX}", "evaluations": FILE, "tensorboard": f"*{MARK}*",
    }  # fmt: skip
    return [name for name, pattern in patterns.items() if any(folder.glob(pattern))]


def _of_file(path: Path) -> list[LogFormat]:
    with path.open("rb") as file:
        begin = file.read(4096)
    if MARK in path.name:
        return ["tensorboard"]
    if begin.startswith(b"PK"):
        return ["evaluations"]
    if begin.removeprefix(b"\xef\xbb\xbf").startswith(b"#{"):
        return ["monitor"]
    return ["csv"] if b"," in begin.split(b"\n")[0] and b"\0" not in begin else []


def read_log(path: Path, protocol: LogProtocol) -> LoggedEpisodes:
    """The episodes of one seed.

    Args:
        path: a file, or where its format has several, their folder.
        protocol: says how to read it.

    Raises:
        LogError: if no curve can be made of it.
        OSError: if it cannot be read.
    """
    require_there(path)
    records = _read(path, protocol.format, protocol.series)
    require_sound(records, path)
    return records


def _read(path: Path, log_format: LogFormat, series: dict[str, str]) -> LoggedEpisodes:
    match log_format:
        case "monitor":
            return read_monitor(path)
        case "evaluations":
            return read_evaluations(path)
        case "tensorboard":
            return read_event_files(path, series["tag"])
        case "csv":
            return read_plain(path, series["step"], series["return"], series["length"])
