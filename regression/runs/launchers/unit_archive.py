"""A sealed unit as bytes by name: how it comes from a machine that shares no disk with this one.

Nothing but the unit's own files is sent, and nothing is taken for the unit before every byte was
compared with its manifest.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final

from dqn_core.files import replacing
from regression.job.job_file import SAME_IN_A_RUN
from regression.store import units
from regression.store.units import StoreError, UnitKey

# As the files of units are named: no absolute path, no step upwards, nothing hidden.
PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def pack(unit: Path) -> dict[str, bytes]:
    """The files of a sealed unit, by path below its folder, with "/".

    Raises:
        StoreError: if it is not as it was sealed.
        OSError: if it cannot be read.
    """
    _, manifest = units.read_sealed(unit)
    names = [*manifest.files, units.MANIFEST_FILE]
    return {name: (unit / name).read_bytes() for name in sorted(names)}


def unpack(files: dict[str, bytes], folder: Path, key: UnitKey, facts: dict[str, str]) -> str:
    """Puts a unit where it belongs by one rename, after verifying it.

    Args:
        files: as `pack` gives them.
        folder: its final place; must not exist. What was begun beside it is removed.
        key: which unit it has to be.
        facts: of the run's fingerprint; of those that must be equal in all its units, none may
            differ.

    Returns:
        Its content hash.

    Raises:
        StoreError: for a file of an odd name, a byte that its manifest does not know, another
            unit, or one that another program has made. Nothing is left.
        OSError: if it cannot be written; nothing is left.
    """
    odd = [name for name in files if not all(map(PLAIN.fullmatch, name.split("/")))]
    if odd:
        raise StoreError(f"a unit was sent with a file that no unit has: {odd[0][:80]!r}")
    with replacing(folder) as partial:
        partial.mkdir()
        for name, content in files.items():
            path = partial / PurePosixPath(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        unit, manifest = units.read_sealed(partial)
        if unit.key != key:
            raise StoreError(f"expected the unit {key.model_dump()}, got {unit.key.model_dump()}")
        _refuse_foreign(unit.fingerprint, facts, key.name)
    return manifest.content_hash


def _refuse_foreign(theirs: dict[str, str], ours: dict[str, str], name: str) -> None:
    """Refuses what another program made: its seeds and ours would be no sample of one."""
    differing = [
        f"{fact}: {ours[fact]!r} here, {theirs[fact]!r} there"
        for fact in SAME_IN_A_RUN
        if fact in ours and fact in theirs and ours[fact] != theirs[fact]
    ]
    if differing:
        way_out = "next      install the same on every machine"
        raise StoreError("\n  ".join([f"{name} was made by another program", *differing, way_out]))
