"""Processes of our own: modules of ours that run beside the one that starts them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

HOME: Final = str(Path(__file__).resolve().parents[1])
# The working folder may hold packages of the names of ours, and `-m` would look there first.
START: Final = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def own_process(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours, whatever the working folder holds.

    Args:
        module: such as "regression.runs.unit".
        arguments: that it is given.
    """
    return [sys.executable, "-P", "-c", START, HOME, module, *arguments]
