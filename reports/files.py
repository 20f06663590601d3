"""Writes files so that a reader never sees half of one.

Apart from `dqn_core.files` for two reasons: reports are made where no agent can be, so they import
nothing of ours; and several may be drawn into one folder at once, under no lock, so each writer
needs a name aside of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_text_atomically(path: Path, text: str) -> None:
    """Replaces `path` by a file that holds `text`, whole or not at all.

    After a crash at any moment the path holds either its old content or the new one.

    Args:
        path: the file to write; its folder must exist.
        text: written as UTF-8, line ends unchanged.

    Raises:
        OSError: the folder cannot be written to; the old file is untouched.
        UnicodeEncodeError: `text` has lone surrogates; the old file is untouched.
    """
    # Same folder, because a rename is atomic only within one file system.
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    # The rename itself is durable only once the folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
