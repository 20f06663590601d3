"""Other packages with the names of ours: the one that comes first on the path is imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

PACKAGES: Final = ("dqn_core", "probes", "regression", "reports")
HOME: Final = Path(__file__).resolve().parents[1]


def require_own_packages() -> None:
    """Refuses to go on with a package that only has the name of one of ours.

    Raises:
        ImportError: in one sentence, what hides what.
    """
    for name in PACKAGES:
        found = _folder(name)
        if found != HOME / name:
            raise ImportError(
                f"{found} hides dqn-harness's own package {name!r}, which is in {HOME / name}: "
                f"rename it, or run from a folder where `import {name}` does not find it"
            )


def _folder(name: str) -> Path | None:
    """Where an import of that name leads; None for nowhere."""
    found = importlib.util.find_spec(name)
    places = list(found.submodule_search_locations or []) if found else []
    if places:
        return Path(places[0]).resolve()
    return Path(found.origin).resolve() if found and found.origin else None
