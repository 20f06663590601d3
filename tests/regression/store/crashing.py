"""Counts what a piece of work does to the disk, and ends it at any one of those moments.

Counted are opening for writing, each write, flush and close, fsync, rename, replace, mkdir, rmdir
and unlink below one folder: everything that the work leaves behind passes through these. At the
chosen one the process kills itself, a write after half of its bytes; or the call fails.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NEVER = -1
KILLED = -signal.SIGKILL


class Moment:
    """Counts, and acts when the count is reached."""

    def __init__(self, folder: Path, number: int, *, kills: bool) -> None:
        self.folder = str(folder)
        self.number = number
        self.kills = kills
        self.count = 0
        self.names: list[str] = []

    def concerns(self, path: Any) -> bool:
        return isinstance(path, str | Path) and os.path.abspath(path).startswith(self.folder)

    def passes(self, what: str, tear: Callable[[], None] = lambda: None) -> None:
        """To be called right before the deed."""
        reached = self.count == self.number
        self.count += 1
        self.names.append(what)
        if not reached:
            return
        tear()
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, "No space left on device")


class File:
    """A file opened for writing whose deeds are counted."""

    def __init__(self, file: Any, moment: Moment) -> None:
        self._file = file
        self._moment = moment

    def write(self, data: Any) -> int:
        def tear() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._moment.passes("write", tear)
        return self._file.write(data)

    def flush(self) -> None:
        self._moment.passes("flush")
        self._file.flush()

    def close(self) -> None:
        try:
            self._moment.passes("close")
        finally:
            self._file.close()

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def watched(moment: Moment) -> Iterator[None]:
    """Puts the counting in front of the functions that change a disk."""
    real = {name: getattr(os, name) for name in DEEDS}
    real_open = io.open

    def opened(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if set(mode) & set("wax+") and moment.concerns(file):
            moment.passes(f"open {os.path.basename(file)}")
            return File(real_open(file, mode, *args, **more), moment)
        return real_open(file, mode, *args, **more)

    def counted(name: str) -> Callable[..., Any]:
        def deed(target: Any, *args: Any, **more: Any) -> Any:
            inside = more.get("dir_fd") is not None or isinstance(target, int)
            if name == "open" and not args[0] & os.O_CREAT:
                inside = False
            elif not inside:
                inside = moment.concerns(target)
            if inside:
                moment.passes(f"{name} {os.path.basename(target) if name != 'fsync' else ''}")
            return real[name](target, *args, **more)

        return deed

    try:
        io.open = builtins.open = opened
        for name in DEEDS:
            setattr(os, name, counted(name))
        yield
    finally:
        io.open = builtins.open = real_open
        for name, function in real.items():
            setattr(os, name, function)


DEEDS = ("open", "fsync", "rename", "replace", "mkdir", "rmdir", "unlink")


def in_a_fork(work: Callable[[], object]) -> int:
    """Exit status of some work in a process of its own: 0, 3 where the disk said no, or a signal.

    Forked, because the parent has paid for the imports. It must run one thread only.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        work()
        code = 0
    except Exception as error:  # noqa: BLE001  # nothing may run on in the child
        if "No space left on device" in f"{error} {error.__cause__}":
            code = 3
        else:
            traceback.print_exc()
    finally:
        os._exit(code)


def deeds_of(work: Callable[[], object], folder: Path) -> list[str]:
    """What the unbroken work does to the folder, in order."""
    moment = Moment(folder, NEVER, kills=False)
    with watched(moment):
        work()
    return moment.names


def broken_at(work: Callable[[], object], folder: Path, number: int, *, kills: bool) -> int:
    """Exit status of the work, ended at its n-th deed."""

    def act() -> None:
        with watched(Moment(folder, number, kills=kills)):
            work()

    return in_a_fork(act)
