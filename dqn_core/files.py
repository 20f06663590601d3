"""Files and folders that survive a power cut: on the disk before they are renamed into place."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        what: the work that needs them, as the message names it.

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


def partial_path(path: Path) -> Path:
    """Where a file or folder is written before it is renamed to `path`."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Makes a file, folder or link whole or not at all: aside, and then by one rename.

    A killed writer leaves `partial_path(path)` behind, which the next one removes; nothing is left
    to sweep. The name is fixed, so there must be one writer at a time.

    Args:
        path: a file or link may be there, which stays until the rename; a folder must not. Its
            parent must.

    Yields:
        The path to make it at, at which there is nothing.

    Raises:
        OSError: if it cannot be written. On this or any other exception what was there stays, and
            nothing is left aside.
    """
    partial = partial_path(path)
    try:
        _remove(partial)
        yield partial
        _sync_all(partial)
        move_into_place(partial, path)
    except BaseException:
        with suppress(OSError):
            _remove(partial)
        raise


def move_into_place(partial: Path, path: Path) -> None:
    """Renames what is on the disk already, and returns when its new name is there too.

    Raises:
        OSError: if it cannot be renamed.
    """
    partial.replace(path)
    sync(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Replaces a file by UTF-8 text, its line ends unchanged; see `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def commit_folder(files: dict[str, bytes], folder: Path) -> None:
    """Makes a folder of files, given by plain name; see `replacing`."""
    with replacing(folder) as partial:
        partial.mkdir()
        for name, content in files.items():
            (partial / name).write_bytes(content)


def _sync_all(path: Path) -> None:
    """Waits for a file, or for a folder with all that it holds, contents before names."""
    if path.is_symlink():  # a name in its folder and nothing else
        return
    if path.is_dir():
        for inner in path.iterdir():
            _sync_all(inner)
    sync(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        path.unlink()
