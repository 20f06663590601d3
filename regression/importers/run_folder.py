"""Logs of other programs become a run folder: a sealed unit for each seed, as if trained here."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dqn_core.files import partial_path, require_room
from probes.stored_runs.curve import CURVE_FILE
from regression.gate.decide import STAGE_TWO_SEEDS
from regression.importers.episodes import LogError
from regression.importers.formats import read_log
from regression.importers.gridding import Gridded, on_grid
from regression.job.job import UsageError
from regression.job.job_file import StoredJob, describe, read_job, record
from regression.job.log_protocol import ImportedJob, LogProtocol
from regression.runs.rejudge import sealed_units
from regression.store import units
from regression.store.locks import held
from regression.store.units import Unit

SEED_IN_NAME: Final = re.compile(
    r"seed[-_= ]?([0-9]{1,9})(?![0-9])|__([0-9]{1,9})(?=__)", re.IGNORECASE
)
MOST_SEEDS: Final = 1_000
SOURCES_FILE: Final = "sources.sha256"
COLUMNS: Final = (
    "step", "episodes", "episode_return", "episode_length", "evaluation_return", "rolling_return",
    "loss", "q_mean", "weights_digest",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SeedLog:
    """What becomes of one log.

    Attributes:
        seed: of its run.
        path: where it is.
        environment: its name, where the log states it, else "".
        curve: on the grid.
        notes: what was left out.
        sources: name and sha256 of every file that was read, a line each.
    """

    seed: int
    path: Path
    environment: str
    curve: Gridded
    notes: list[str]
    sources: str

    def __str__(self) -> str:
        episodes = int(self.curve.episodes.sum())
        return f"seed {self.seed:<6} {self.path}  {episodes} episodes"


def seeds_of(paths: Sequence[Path], words: str) -> list[int]:
    """The seed of each log: as given, or as its name says.

    Args:
        paths: of the logs.
        words: "3,4,7" or "3-7", in the order of the logs; "" to read them from names such as
            `seed3` or `CartPole-v1__dqn__3__1718000000`, the innermost that has one.

    Raises:
        UsageError: if they are not as many as the logs, not all different, or not to be seen.
    """
    seeds = _given(words) if words else [_named(path) for path in paths]
    if len(seeds) != len(paths):
        raise UsageError(
            f"seeds: expected one for each of {len(paths)} logs, got {len(seeds)} in {words!r}"
        )
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        who = [str(path) for path, seed in zip(paths, seeds, strict=True) if seed == twice[0]]
        raise UsageError(f"seed {twice[0]} is that of several logs: {', '.join(who)}")
    return seeds


def _given(words: str) -> list[int]:
    part = r"[0-9]{1,9}(-[0-9]{1,9})?"
    if not re.fullmatch(rf"{part}(,{part})*", words):
        raise UsageError(f"seeds: expected a list (3,4,7) or a range (3-7), got {words!r}")
    seeds: list[int] = []
    for ends in words.split(","):
        first, last = int(ends.split("-")[0]), int(ends.split("-")[-1])
        if not first <= last < first + MOST_SEEDS:
            raise UsageError(f"seeds: expected a range of 1 to {MOST_SEEDS} seeds, got {ends!r}")
        seeds += range(first, last + 1)
    return seeds


def _named(path: Path) -> int:
    for part in reversed(path.parts):
        found = {int(one or other) for one, other in SEED_IN_NAME.findall(part)}
        if len(found) == 1:
            return found.pop()
        if found:
            raise UsageError(f"{path}: which seed, of {sorted(found)}? Name them with --seeds")
    raise UsageError(f"{path}: no seed in its name, such as seed3 or __3__; name it with --seeds")


def read_logs(
    paths: Sequence[Path], seeds: Sequence[int], protocol: LogProtocol
) -> tuple[LogProtocol, list[SeedLog]]:
    """All logs on one grid; nothing is written.

    Args:
        paths: of the logs.
        seeds: of each.
        protocol: how to read them; an empty environment is taken from the logs.

    Returns:
        The protocol with the environment, and the logs.

    Raises:
        LogError: for the first log that makes no curve, or is of another environment.
        OSError: if one cannot be read.
    """
    logs = []
    for path, seed in zip(paths, seeds, strict=True):
        records = read_log(path, protocol)
        curve = on_grid(records, protocol.window_steps, protocol.total_steps, path)
        notes = list(records.notes)
        if curve.beyond:
            notes.append(f"{curve.beyond} episodes after step {protocol.total_steps} are left out.")
        sources = "".join(map(_source, records.files))
        logs.append(
            SeedLog(
                seed=seed,
                path=path,
                environment=records.environment,
                curve=curve,
                notes=notes,
                sources=sources,
            )
        )
    expected = protocol.environment or logs[0].environment
    for log in logs:
        if log.environment != expected:
            raise LogError(
                "a log is of another environment",
                log.path,
                expected=repr(expected),
                actual=repr(log.environment),
                advice="import the logs of each environment under its own name",
            )
    return protocol.model_copy(update={"environment": expected}), logs


def store_logs(
    folder: Path, protocol: LogProtocol, logs: Sequence[SeedLog], say: Callable[[str], None]
) -> None:
    """Makes each log a sealed unit of a run folder.

    The seeds that a new folder begins with are those of stage one; what is added to it later
    belongs to stage two, and can be added as long as stage two is not full.

    Args:
        folder: of the run; empty, or of the same protocol.
        protocol: of all logs.
        logs: to be stored.
        say: called with a note where the folder is taken over from a dead process.

    Raises:
        UsageError: if a seed is there already, or stage two is full.
        JobError: naming each field in which the folder is of another protocol.
        LockHeldError: if another process works on the folder.
        OSError: if it cannot be written.
    """
    job = ImportedJob(protocol, [log.seed for log in logs], [])
    with held(folder, "run", "refuse", say):
        record(folder, describe(job))
        stored = read_job(folder)
        _refuse_picking(folder, stored, [log.seed for log in logs])
        texts = [_curve_text(log.curve) for log in logs]
        require_room(folder, 2 * sum(map(len, texts)), f"{len(logs)} units of {protocol.name}")
        for log, text in zip(logs, texts, strict=True):
            _seal(folder, job, log, text)


def _refuse_picking(folder: Path, stored: StoredJob, seeds: list[int]) -> None:
    """Refuses stored seeds, and any beyond stage two: adding some until it passes is no test."""
    present = sealed_units(folder, stored)
    twice = sorted(present.keys() & set(seeds))
    if twice:
        raise UsageError(f"{folder} has seed {twice[0]} already; add other seeds")
    later = present.keys() - set(stored.seeds)
    if len(later) >= STAGE_TWO_SEEDS:
        raise UsageError(
            f"stage two of {folder} has its {len(later)} seeds and is closed\n"
            "  next      import all seeds as a new run: adding more until one verdict pleases "
            "is no test"
        )


def _seal(folder: Path, job: ImportedJob, log: SeedLog, text: str) -> None:
    place = units.unit_folder(folder, job, log.seed)
    partial = partial_path(place)
    partial.mkdir(exist_ok=True)  # left by an import that was broken off
    for name, content in ((CURVE_FILE, text), (SOURCES_FILE, log.sources)):
        (partial / name).write_text(content, encoding="utf-8", newline="")
    unit = Unit(
        format=units.FORMAT,
        key=units.unit_key(job.recipe, log.seed, job.device, job.fault),
        status="complete",
        steps=job.recipe.total_steps,
        fingerprint={},
        wall_s=0.0,
        notes=log.notes,
    )
    units.seal(unit, place)


def _source(file: Path) -> str:
    """As sha256sum writes it, without the folders that only mean something there."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return f"{digest}  {file.name}\n"


def _curve_text(curve: Gridded) -> str:
    """As a trained unit stores its curve; nan where a log says nothing."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="nan", lineterminator="\n")
    writer.writeheader()
    for step, episodes, returned, length in zip(
        curve.steps, curve.episodes, curve.returns, curve.lengths, strict=True
    ):
        writer.writerow(
            {
                "step": int(step),
                "episodes": int(episodes),
                "episode_return": repr(float(returned)),
                "episode_length": "nan" if np.isnan(length) else repr(float(length)),
            }
        )
    return text.getvalue()
