"""Where runs go: a new folder for each, and `runs/latest` for the newest."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dqn_core.files import replacing

RUNS: Final = Path("runs")
LATEST: Final = RUNS / "latest"


def new_run_folder(name: str) -> Path:
    """Makes a folder of that name; with a number, where there is one already.

    Raises:
        FileExistsError: if a hundred numbers are taken.
        OSError: if it cannot be made.
    """
    RUNS.mkdir(exist_ok=True)
    for attempt in range(100):
        folder = RUNS / (f"{name}-{attempt}" if attempt else name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"no free name like {name} in {RUNS}")


def point_latest_at(folder: Path) -> None:
    """Makes `runs/latest` a link to a folder beside it; one that lies elsewhere is no latest run.

    Args:
        folder: may itself be named by the link, as in `RESUME=runs/latest`.

    Raises:
        OSError: if it cannot be made; the old one stays.
    """
    folder = folder.resolve()
    if folder.parent != RUNS.resolve():
        return
    with replacing(LATEST) as partial:
        partial.symlink_to(folder.name, target_is_directory=True)
