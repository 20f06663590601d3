"""What a script calls its networks: `agent.online`, or `q_network`."""

from __future__ import annotations

import sys
import threading
from typing import Any, Iterator


def names_of(networks: list[Any]) -> list[list[str]]:
    """Names of each network, as they stand in the script's frames and its first module.

    Looks at variables of the functions that run, and at attributes of what they hold.
    """
    found: list[list[str]] = [[] for _ in networks]
    numbers = {id(network): number for number, network in enumerate(networks)}
    for variables in _scopes():
        for name, held in list(variables.items()):
            if id(held) in numbers:
                _add(found[numbers[id(held)]], name)
                continue
            for inner, value in list(getattr(held, "__dict__", {}).items()):
                if id(value) in numbers and not isinstance(held, type(sys)):
                    _add(found[numbers[id(value)]], f"{name}.{inner}")
    return found


def _add(names: list[str], name: str) -> None:
    if name not in names and not name.startswith("_"):
        names.append(name)


def _scopes() -> Iterator[dict[str, Any]]:
    """Variables of each function that runs in the main thread, the outermost first."""
    main = sys.modules.get("__main__")
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    for one in reversed(frames):
        yield one.f_locals
    if main is not None:
        yield vars(main)
