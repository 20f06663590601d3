"""The trace of a run: a row of digests for each block, so that two runs can be laid side by side.

`trace.bin` is a line of JSON that says what the run was and what the columns are, and then rows of
little-endian 64-bit words: step, updates, one digest for each of `BLOCK_EVENTS`, and the chain, a
digest of the row and of the chain before it. It holds no times, so equal runs have equal files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dqn_core.digests import BLOCK_EVENTS
from dqn_core.files import replacing, sync
from dqn_core.loop import Trainer
from dqn_core.records import BlockRecord

TRACE_FILE: Final = "trace.bin"
FORMAT: Final = 1
COLUMNS: Final = ("step", "updates", *BLOCK_EVENTS, "chain")
ROW_BYTES: Final = 8 * len(COLUMNS)
MAX_HEADER_BYTES: Final = 1 << 20

Words = npt.NDArray[np.uint64]


class TraceError(RuntimeError):
    """A trace that is missing, damaged, or of another format."""


@dataclass(frozen=True)
class Trace:
    """A trace as read.

    Attributes:
        header: what the run was: recipe, seed, device, and the classes it was made of.
        rows: [blocks, columns] uint64.
        torn_bytes: of a last row that was not written to its end, and is left out.
    """

    header: dict[str, Any]
    rows: Words
    torn_bytes: int

    def column(self, name: str) -> Words:
        """One of `COLUMNS`, [blocks] uint64."""
        return self.rows[:, COLUMNS.index(name)]


class TraceWriter:
    """Appends rows to the trace of a run.

    Args:
        trainer: of the run that the header describes.
        path: of the file; rows up to the step of the trainer are kept, later ones forgotten.

    Attributes:
        chain: the chain of the last row, zero before the first.

    Raises:
        TraceError: if what is there is not a trace.
        OSError: if it cannot be written.
    """

    def __init__(self, trainer: Trainer, path: Path) -> None:
        self._path = path
        header = json.dumps(trace_header(trainer)).encode() + b"\n"
        kept = _no_rows()
        if trainer.step and path.exists():
            rows = read_trace(path).rows
            kept = rows[rows[:, 0] <= trainer.step]
        self.chain = int(kept[-1, -1]) if len(kept) else 0
        with replacing(path) as partial:
            partial.write_bytes(header + kept.astype("<u8").tobytes())

    def append(self, blocks: Sequence[BlockRecord]) -> None:
        """Adds the rows of some blocks, in one write."""
        rows = []
        for block in blocks:
            row = [block.step, block.updates, *block.digests.tolist()]
            self.chain = chained(self.chain, row)
            rows.append([*row, self.chain])
        with self._path.open("ab") as file:
            file.write(np.array(rows, "<u8").tobytes())

    def sync(self) -> None:
        """Returns when all rows are on disk."""
        sync(self._path)


def read_trace(path: Path) -> Trace:
    """Reads a trace and follows its chain.

    Raises:
        TraceError: if there is none, or a row is not what was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TraceError(
            f"no trace can be read at {path}: {error}\n"
            "  expected  the folder of a run that was trained with traces\n"
            "  next      train the run again"
        ) from error
    line, _, body = content.partition(b"\n")
    header = _header(line, path)
    torn = len(body) % ROW_BYTES
    whole = body[: len(body) - torn]
    rows = np.frombuffer(whole, "<u8").astype(np.uint64).reshape(-1, len(COLUMNS))
    chain = 0
    for number, (*row, stored) in enumerate(rows.tolist()):
        chain = chained(chain, row)
        if chain != stored:
            raise TraceError(
                f"trace {path} is damaged\n"
                f"  where     row {number}, step {row[0]}\n"
                f"  expected  chain {chain:016x}\n"
                f"  actual    chain {stored:016x}\n"
                "  next      train the run again"
            )
    return Trace(header, rows, torn)


def trace_header(trainer: Trainer) -> dict[str, Any]:
    """What a run is, as far as its trainer knows; JSON values only."""
    parts = {
        "trainer": trainer,
        "agent": trainer.agent,
        "replay": trainer.replay,
    }
    made_of = {name: _name(type(part)) for name, part in parts.items()}
    return {
        "format": FORMAT,
        "recipe": trainer.recipe.model_dump(mode="json"),
        "seed": trainer.seed,
        "device": trainer.agent.device.type,
        "parts": made_of | {"actor": _name(trainer.make_actor)},
        "columns": COLUMNS,
    }


def chained(chain: int, row: Sequence[int]) -> int:
    """The chain after a row: 64 bits of BLAKE2b of the chain before and the row without it."""
    words = np.array([chain, *row], "<u8").tobytes()
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def _header(line: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(line) if len(line) <= MAX_HEADER_BYTES else {}
    except ValueError:
        header = {}
    known = isinstance(header, dict) and header.get("format") == FORMAT
    if not known or header.get("columns") != list(COLUMNS):
        raise TraceError(
            f"{path} is not a trace that can be read here\n"
            f"  expected  a first line of JSON, format {FORMAT}, columns {', '.join(COLUMNS)}\n"
            f"  actual    {line[:120]!r}\n"
            "  next      read it with the version that wrote it, or train the run again"
        )
    return header


def _no_rows() -> Words:
    return np.empty((0, len(COLUMNS)), np.uint64)


def _name(part: type) -> str:
    return f"{part.__module__}.{part.__qualname__}"
