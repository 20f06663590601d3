"""Runs a script as it is, in a copy of its folder, under the observer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import probes.observer
from probes.recordings.reading_world import reading_screens
from probes.recordings.recording import Recording, RecordingError, read_recording
from probes.scripts.constants import set_constants
from probes.scripts.project import configurations_of, copy_of, modules_of, project_of

HOOK: Final = Path(probes.observer.__file__).parent / "hook"
GRACE_S: Final = 30.0  # for starting and writing, beyond the seconds that a script may train
_RUNNING: Final[set[int]] = set()  # process groups of the scripts that run now
ELSEWHERE: Final = (
    "environments were stepped in a process that the script started, which was not looked into"
)
TOLD_LINES: Final = 3  # of a script's last words


class ScriptError(ValueError):
    """A script cannot be observed; says why, with its own line."""


@dataclass(frozen=True)
class Script:
    """A script and how it is run.

    Attributes:
        path: of the file.
        arguments: its own.
        constants: other values for some of its constants, by name.
        module: its name, if it is run by that; "" if it is run as a file.
        python: the interpreter of its owner.
    """

    path: Path
    arguments: tuple[str, ...] = ()
    python: str = sys.executable
    constants: Mapping[str, str] = field(default_factory=dict)
    module: str = ""


@dataclass(frozen=True)
class Plan:
    """How a script is observed.

    Attributes:
        steps: of its environments, after which it is stopped.
        seconds: after which it is stopped anyway.
        world: what its environments are replaced by.
        networks: whether its networks are looked at too.
        tags: whether observations tell their moment, which they do beside their state.
        updates: after which it is stopped, too.
    """

    steps: int
    seconds: float
    world: dict[str, Any] = field(default_factory=dict)
    networks: bool = True
    tags: bool = True
    updates: int = 1_000_000


def observe(script: Script, plan: Plan, folder: Path) -> Recording:
    """Runs a script once.

    Args:
        script: what is run, in a copy of its folder.
        plan: how.
        folder: for the copy and the recording; it must be new or empty.

    Raises:
        ScriptError: if nothing was recorded.
        ConstantError: if the script has no constant of a name.
    """
    if not script.path.is_file():
        raise ScriptError(f"script: there is no file {script.path}")
    project, inside = project_of(script.path.resolve())
    copy = folder / "copy"
    linked = copy_of(project, copy)
    inner = copy / script.path.resolve().relative_to(project)
    files = [*modules_of(inner, copy), *configurations_of(copy)]
    set_constants(files, copy, script.constants)
    out = folder / "recording"
    order = {
        "out": str(out.resolve()), "steps": plan.steps, "seconds": plan.seconds,
        "networks": plan.networks, "tags": plan.tags, "updates": plan.updates, "world": plan.world,
        "screens": reading_screens(),
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(order))
    before = os.environ.get("PYTHONPATH")
    # Processes of several threads that share the cores wait for each other's threads, and take
    # twenty times as long.
    alone = {name: os.environ.get(name, "1") for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = (
        os.environ
        | alone
        | {
            "PYTHONPATH": os.pathsep.join([str(HOOK), *([before] if before else [])]),
            "DQN_HARNESS_PLAN": str((folder / "plan.json").resolve()),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
    )
    started_in = copy / inside
    own = os.path.relpath(inner, started_in)
    called = ["-m", script.module] if script.module else [own]
    command = [script.python, *called, *script.arguments]
    told = folder / "output.txt"
    code = _run(command, started_in, environment, told, plan.seconds + GRACE_S)
    try:
        recording = read_recording(out)
    except RecordingError as error:
        raise ScriptError(_unrecorded(script, told, code)) from error
    if (folder / "recording-child").exists():
        recording.meta.notes.append(ELSEWHERE)
    if linked:
        recording.meta.notes.append(
            f"linked, not copied: {', '.join(linked[:3])}, {len(linked)} in all"
        )
    return recording


def _run(
    command: list[str], folder: Path, environment: dict[str, str], told: Path, limit_s: float
) -> int:
    """The exit code of a command whose words are kept; negative if it had to be killed."""
    with (
        told.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        _RUNNING.add(process.pid)
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:  # its children, too
            _RUNNING.discard(process.pid)
            _end_all(process.pid)


def end_all_runs() -> None:
    """Ends every script that runs now, with its children."""
    for group in list(_RUNNING):
        _end_all(group)


def _end_all(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _unrecorded(script: Script, told: Path, code: int) -> str:
    """Why there is no recording, in a sentence, with what the script said last."""
    lines = told.read_text("utf-8", errors="replace").strip().splitlines()[-TOLD_LINES:]
    words = "".join(f"\n  | {line[:200]}" for line in lines)
    name = script.path.name
    if code == -signal.SIGKILL:
        return f"{name}: it did not end in time, and nothing was recorded{words}"
    if code < 0:
        told_by = signal.Signals(-code).name
        return f"{name}: it was ended by {told_by}, and nothing was recorded{words}"
    return f"{name}: it ended with exit code {code}, and nothing was recorded{words}"
