"""What the disk has to promise before a rename may: files and folders that survive a power cut."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: if the disk does not take them.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_room(folder: Path, needed: int, what: str) -> None:
    """Refuses work whose results could not be written, before it begins.

    Args:
        folder: where they would go.
        needed: bytes.
        what: needs them.

    Raises:
        OSError: if the folder cannot be written, or its disk has less free space.
    """
    probe = folder / ".writable"
    probe.touch()
    probe.unlink()
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{folder} has too little room for {what}\n"
            f"  expected  {needed / 1e9:.2f} GB free\n"
            f"  actual    {free / 1e9:.2f} GB\n"
            "  next      make room, or run elsewhere",
        )


def replace_text(path: Path, text: str) -> None:
    """Replaces a file that only the holder of a lock writes, whole or not at all.

    A killed writer leaves a file aside of a fixed name, which the next one writes over; nothing
    is left to sweep.

    Raises:
        OSError: if it cannot be written; the old file stays, and nothing is left aside.
    """
    aside = path.with_name(f".{path.name}.partial")
    try:
        aside.write_text(text, encoding="utf-8", newline="")
        sync(aside)
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def commit_folder(files: dict[str, bytes], folder: Path) -> None:
    """Writes files aside and renames their folder into place: all of them or nothing.

    Args:
        files: contents by plain name.
        folder: must not exist; its parent must.

    Raises:
        OSError: if it cannot be written; what was written aside is removed.
    """
    aside = folder.with_name(f".{folder.name}.partial")
    if aside.exists():
        shutil.rmtree(aside)  # left by a writer that was killed
    try:
        aside.mkdir()
        for name, content in files.items():
            (aside / name).write_bytes(content)
            sync(aside / name)
        sync(aside)
        aside.rename(folder)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(folder.parent)
