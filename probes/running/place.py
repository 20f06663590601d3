"""Where in a subject's own code an exception was raised."""

from __future__ import annotations

import site
import sysconfig
import traceback
from pathlib import Path
from typing import Final

OURS: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("dqn_core", "dqn_harness", "probes", "regression", "reports")
INSTALLED: Final = tuple(
    Path(folder).resolve()
    for folder in (
        *site.getsitepackages(),
        site.getusersitepackages(),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
)


def error_text(error: BaseException) -> str:
    """The type of an exception and the first line of what it says."""
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def place_of(error: BaseException, *, only_theirs: bool = False) -> str:
    """File, line and function of the last call in code that is neither ours nor installed.

    Where there is none, as for a library behind an adapter of ours, that of the innermost call.

    Args:
        error: as it was caught.
        only_theirs: whether "" is returned instead, as for what a check of ours raises.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    theirs = [frame for frame in frames if _is_theirs(frame.filename)]
    if only_theirs and not theirs:
        return ""
    chosen = (theirs or frames)[-1]
    path = Path(chosen.filename)
    # Without folders, which differ from machine to machine, but for those below the present one.
    near = path.resolve().is_relative_to(Path.cwd())
    shown = path.resolve().relative_to(Path.cwd()) if near else Path(path.name)
    return f"{shown}:{chosen.lineno}, in {chosen.name}"


def _is_theirs(filename: str) -> bool:
    path = Path(filename).resolve()
    if not path.is_file() or any(path.is_relative_to(OURS / name) for name in PACKAGES):
        return False
    return not any(path.is_relative_to(folder) for folder in INSTALLED)
