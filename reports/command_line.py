"""What the command lines of the harness share."""

from __future__ import annotations

import os
from collections.abc import Sequence


def with_environment(arguments: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Adds the flags that were not given but are set as HARNESS_* variables.

    A front end that must not put values into shell text, such as make, hands them over this way.

    Args:
        arguments: of the command line.
        flags: names such as "game", for `--game` and HARNESS_GAME.
    """
    given = {argument.split("=")[0] for argument in arguments}
    values = {flag: os.environ.get(f"HARNESS_{flag.upper()}") for flag in flags}
    return [
        *arguments,
        *(
            f"--{flag}={value}"
            for flag, value in values.items()
            if value and f"--{flag}" not in given
        ),
    ]
