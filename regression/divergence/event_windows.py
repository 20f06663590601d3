"""Windows: folders that hold the full trace of some blocks of a run, to be compared anywhere.

window.json                     what was traced, where, and every event with its digest
values/000012.safetensors       the values of a section's events, where they are kept
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
from pydantic import Field, ValidationError

from dqn_core.files import replace_text
from dqn_core.trace import TraceError
from regression.divergence.events import Event, EventSection, Moment
from reports.schema import Artifact

FORMAT: Final = 1
WINDOW_FILE: Final = "window.json"
VALUES: Final = "values"

Array = npt.NDArray[Any]


class WindowInfo(Artifact):
    """What was traced."""

    format: int
    run: dict[str, Any]  # header of the run's trace
    fault: str  # planted, or ""
    from_step: int
    until_step: int
    fingerprint: dict[str, str]  # of where it was traced
    reproduced: bool  # whether the traced blocks have the digests that the run has


class StoredWindow(Artifact):
    """The content of `window.json`."""

    info: WindowInfo
    sections: list[tuple[Moment, list[Event]]] = Field(default_factory=list)


class EventWindow:
    """A window on disk.

    Args:
        folder: that holds it.

    Attributes:
        info: what was traced.
        sections: in order, without values.

    Raises:
        TraceError: if it is missing, damaged, or of another format.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            stored = StoredWindow.model_validate_json((folder / WINDOW_FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise TraceError(f"no window can be read at {folder}: {error}") from error
        if stored.info.format != FORMAT:
            raise TraceError(
                f"window {folder}: expected format {FORMAT}, got {stored.info.format}\n"
                "  next      trace the run again"
            )
        self.info = stored.info
        self.sections = [EventSection(moment, events) for moment, events in stored.sections]

    def values(self, section: int, event: int) -> Array | None:
        """Values of an event of a section, both by position; None where they were not kept.

        Raises:
            TraceError: if their file is damaged.
        """
        path = self._folder / VALUES / f"{section:06d}.safetensors"
        if not path.exists():
            return None
        shape = self.sections[section].events[event].shape
        try:
            with safetensors.safe_open(path, "numpy") as file:
                stored: Array = file.get_tensor(f"{event:04d}")
        except (OSError, safetensors.SafetensorError) as error:
            raise TraceError(f"the values at {path} cannot be read: {error}") from error
        return stored.reshape(shape)


class WindowWriter:
    """Writes a window, section by section.

    Args:
        folder: where to; must not exist, or be empty.

    Raises:
        TraceError: if something is there already.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and any(folder.iterdir()):
            raise TraceError(
                f"the folder {folder} is not empty\n  next      name another with --into"
            )
        self._folder = folder
        self._sections: list[tuple[Moment, list[Event]]] = []
        (folder / VALUES).mkdir(parents=True)

    def add(self, sections: list[EventSection]) -> None:
        """Adds sections, with such values as they have."""
        for section in sections:
            if section.values:
                path = self._folder / VALUES / f"{len(self._sections):06d}.safetensors"
                named = {f"{n:04d}": np.atleast_1d(v) for n, v in enumerate(section.values)}
                safetensors.numpy.save_file(named, path)
            self._sections.append((section.moment, section.events))

    def close(self, info: WindowInfo) -> None:
        """Makes the window readable."""
        stored = StoredWindow(info=info, sections=self._sections)
        replace_text(self._folder / WINDOW_FILE, stored.model_dump_json() + "\n")

    def abandon(self) -> None:
        """Removes what was written."""
        shutil.rmtree(self._folder, ignore_errors=True)
