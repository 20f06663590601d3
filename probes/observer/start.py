"""Prepares a process for being observed.

`hook/sitecustomize.py` loads this where PYTHONPATH names that folder and DQN_HARNESS_PLAN a file:

    {"out": folder, "steps": n, "updates": n, "seconds": n, "networks": true, "tags": true,
     "world": {...}, "screens": {...}}

`out` is where the recording is written; `steps` of environments, `updates` by optimizers and
`seconds` are when the script is stopped; `tags` says whether observations tell their moment;
`networks` says whether its networks are looked at too, or its environments alone, and `world` is
what its environments are replaced by, see `worlds.World`; `screens` is the game that is in place of
games of pictures, see `games.Emulator`.
"""

from __future__ import annotations

import json
import os
from types import ModuleType
from typing import Callable

from .imports import Patch, after_import
from .recorder import Recorder

PLAN = "DQN_HARNESS_PLAN"
OWNER = "DQN_HARNESS_PROCESS"  # the process that is observed; those that it starts are not it
ASIDE = "-child"


def install() -> None:
    """Prepares this process: what is imported from now on is watched."""
    with open(os.environ[PLAN], encoding="utf-8") as file:
        recorder = Recorder(json.load(file))
    if os.environ.setdefault(OWNER, str(os.getpid())) != str(os.getpid()):
        recorder.plan["out"] += ASIDE
    # Plots, trackers and windows are kept out of the way.
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("WANDB_MODE", "disabled")
    patches = {"gymnasium": _watch_environments, "gym": _watch_environments}
    if recorder.plan["networks"]:
        patches["torch"] = _watch_networks
    after_import({name: _with(patch, recorder) for name, patch in patches.items()})
    recorder.finish_with_the_process()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=recorder.go_aside)


def _with(patch: Callable[[ModuleType, Recorder], None], recorder: Recorder) -> Patch:
    def patched(module: ModuleType) -> None:
        try:
            patch(module, recorder)
        except Exception as error:  # noqa: BLE001  # never in the owner's way
            recorder.note(f"{module.__name__} could not be watched: {error!r}")

    return patched


# NumPy is not imported before the owner's own packages are.
def _watch_environments(module: ModuleType, recorder: Recorder) -> None:
    from .environments import replace_make  # noqa: PLC0415

    replace_make(module, recorder)


def _watch_networks(module: ModuleType, recorder: Recorder) -> None:
    from .networks import watch_networks  # noqa: PLC0415
    from .optimizers import watch_optimizers  # noqa: PLC0415

    watch_optimizers(module, recorder, watch_networks(module, recorder))
