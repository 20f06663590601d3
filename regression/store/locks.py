"""One worker at a time: a lock that dies with its process, and a note that says who holds it.

The lock itself belongs to the kernel, so a killed owner never leaves one behind. The note beside it
names the owner, because some shared file systems grant one lock to two hosts: a dead owner may be
succeeded, a live one on this or another host may not.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import psutil
from filelock import FileLock, Timeout
from pydantic import ValidationError

from reports.schema import Artifact

LOCKS: Final = ".locks"
# Two readings of when a process began may differ by the rounding of the system's boot time; a
# number that was given to another process meanwhile is older or younger by far more.
SAME_START_S: Final = 5.0

WhenHeld = Literal["refuse", "wait", "steal"]


class LockHeldError(RuntimeError):
    """Another process works on it; the message names it."""


class Owner(Artifact):
    """Who holds a lock."""

    pid: int
    process_started: float  # seconds since the epoch; a later process of the same id has another
    boot: str
    host: str  # hashed
    since_utc: str

    def __str__(self) -> str:
        return f"process {self.pid} of host {self.host}, since {self.since_utc}"


def this_process() -> Owner:
    """The note that this process leaves."""
    return Owner(
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        boot=_boot(),
        host=hashlib.sha256(f"dqn-harness {platform.node()}".encode()).hexdigest()[:12],
        since_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def is_alive(owner: Owner) -> bool:
    """Whether the process of a note of this host still runs."""
    if owner.boot != _boot():
        return False
    try:
        process = psutil.Process(owner.pid)
        near = abs(process.create_time() - owner.process_started) < SAME_START_S
        return near and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def held(
    folder: Path, name: str, when_held: WhenHeld, say: Callable[[str], None]
) -> Iterator[None]:
    """Holds the lock of that name while the block runs.

    Args:
        folder: of the whole run; locks lie in `.locks` below it.
        name: of what is worked on.
        when_held: "refuse", "wait" for as long as it takes, or "steal" the lock that a note gives
            to another host. A live owner on this host is never robbed.
        say: called with a note on the owner that is waited for or succeeded.

    Raises:
        LockHeldError: naming the owner.
        OSError: if the folder cannot be written.
    """
    (folder / LOCKS).mkdir(exist_ok=True)
    note = folder / LOCKS / f"{name}.owner.json"
    lock = FileLock(folder / LOCKS / f"{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        owner = _read(note) or "a process that has left no note yet"
        if when_held != "wait":
            raise LockHeldError(_held(name, str(owner))) from None
        say(f"{name}: waiting for {owner}")
        lock.acquire()
    try:
        _succeed(name, note, when_held, say)
        # A note torn by a kill is as good as none: its owner is dead, or holds the kernel's lock.
        note.write_text(this_process().model_dump_json(), encoding="utf-8")
        try:
            yield
        finally:
            note.unlink(missing_ok=True)
    finally:
        lock.release()


def _succeed(name: str, note: Path, when_held: WhenHeld, say: Callable[[str], None]) -> None:
    """Makes sure that the owner in the note has no claim any more."""
    before = _read(note)
    if before is None:
        return
    if before.host != this_process().host:
        if when_held != "steal":
            raise LockHeldError(
                _held(name, f"{before}; this is another host, and cannot see whether it is alive")
                + "; or, if you know that it is dead, take the lock with --when-held steal"
            )
        say(f"{name}: stole the lock of {before}")
    elif is_alive(before):
        raise LockHeldError(_held(name, f"{before}, which is alive"))
    else:
        say(f"{name}: took over from {before}, which is dead")


def _read(note: Path) -> Owner | None:
    try:
        return Owner.model_validate_json(note.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _held(name: str, owner: str) -> str:
    return f"{name} is being worked on\n  actual    {owner}\n  next      wait for it, or end it"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        return f"{psutil.boot_time():.0f}"
