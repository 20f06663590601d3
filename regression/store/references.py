"""Stored references: curves of healthy seeds, in bundles that are never changed, in a chain.

Those of the recipes come with the package; a team keeps those of its own code in a folder of its
own, which looks the same:

references/<recipe>/current                     names the bundle in force
references/<recipe>/<first 16 of its hash>/
    bundle.json      what it is, who made it and why, and the hash of the bundle before
    curves.csv       the curves of every seed, with the digest of the weights at each window

The hash of a bundle covers all of this, so nothing in the chain can be altered unnoticed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic import ValidationError

from dqn_core.files import commit_folder, replace_text
from dqn_core.names import dotted
from regression.job.log_protocol import Declared
from reports.command_line import next_command
from reports.schema import CURVE_COLUMNS, CURVES_FILE, Artifact, ReferenceInfo

REFERENCES: Final = Path(__file__).parents[1] / "references"
FORMAT: Final = 1
BUNDLE_FILE: Final = "bundle.json"
CURRENT_FILE: Final = "current"
WEIGHTS: Final = "weights_digest"
COLUMNS: Final = (*CURVE_COLUMNS, WEIGHTS)
TEXT: Final = ("group", WEIGHTS)
WHOLE: Final = ("seed", "step", "episodes")


class UnusableReferenceError(RuntimeError):  # the builtin of this name is another language's
    """A reference that is missing, damaged, or of another recipe."""


class Moved(Artifact):
    """A new reference against the one before, by the area under the training curve."""

    old_n: int
    old_mean: float
    old_sd: float
    new_n: int
    new_mean: float
    p_worse: float  # one-sided, new worse than old by more than the gate's margin
    p_better: float  # one-sided, old worse than new by more than the margin


class Bundle(Artifact):
    """The content of `bundle.json`."""

    format: int
    recipe: str  # its name
    recipe_hash: str
    recipe_fields: dict[str, Any]
    device: str  # class of devices: "cpu" or "cuda"
    seeds: list[int]
    fingerprint: dict[str, Any]
    curves_sha256: str
    reason: str
    blessed_on: str  # ISO date
    previous: str  # content hash of the bundle before, "" for the first
    moved: Moved | None  # None for the first
    content_hash: str

    def hashed(self) -> Bundle:
        """The same with the hash that belongs to it."""
        content = self.model_dump(mode="json", exclude={"content_hash"})
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return self.model_copy(update={"content_hash": digest})


def load_reference(
    recipe: Declared, references_dir: Path | None = None
) -> tuple[ReferenceInfo, pd.DataFrame]:
    """The stored truth of a recipe, or of a protocol of imported logs.

    Args:
        recipe: what is compared with it.
        references_dir: folder of all references; the package's own, if None.

    Returns:
        Where it came from, and its curves: `CURVE_COLUMNS` and `weights_digest`.

    Raises:
        UnusableReferenceError: if there is none, if anything in its chain was altered, or if it
            belongs to another recipe; each differing field is named.
    """
    bundle, *_ = history(recipe.name, references_dir)  # to its beginning, so that any break is seen
    here, there = dotted(recipe.model_dump(mode="json")), dotted(bundle.recipe_fields)
    differing = [
        f"{name}: {there.get(name, 'nothing')!r} there, {here.get(name, 'nothing')!r} now"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if differing or recipe.digest() != bundle.recipe_hash:
        head = f"the reference of {recipe.name} was made with another recipe of that name"
        way_out = "next      bless a new one"
        raise UnusableReferenceError("\n  ".join([head, *differing, way_out]))
    info = ReferenceInfo.model_validate(
        {
            "seeds": bundle.seeds,
            "content_hash": bundle.content_hash,
            "recipe_hash": bundle.recipe_hash,
            "reason": bundle.reason,
            "blessed_on": bundle.blessed_on,
            "fingerprint": bundle.fingerprint,
        }
    )
    return info, curves_of(bundle, references_dir)


def history(recipe: str, references_dir: Path | None = None) -> Iterator[Bundle]:
    """The bundles of a recipe, the one in force first, each verified.

    Args:
        recipe: its name.
        references_dir: folder of all references; the package's own, if None.

    Raises:
        UnusableReferenceError: where there is none, or where the chain breaks.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", recipe):
        raise UnusableReferenceError(
            f"the name of a recipe is lower case and dashes, got {recipe!r}"
        )
    name = current_file(recipe, references_dir)
    try:
        stored = name.read_text(encoding="ascii")
    except FileNotFoundError:
        raise UnusableReferenceError(
            f"there is no reference for the recipe {recipe}; run its seeds, then "
            f"{next_command('bless')}"
        ) from None
    except (OSError, ValueError) as error:
        raise UnusableReferenceError(f"{name} cannot be read: {error}") from None
    if not re.fullmatch(r"[0-9a-f]{16}\n", stored):
        raise UnusableReferenceError(
            f"{name}: expected 16 hexadecimal digits and a line end, got {stored!r}"
        )
    bundle = _read(recipe, stored.strip(), references_dir)
    yield bundle
    while bundle.previous:
        before = _read(recipe, bundle.previous[:16], references_dir)
        if before.content_hash != bundle.previous:
            raise UnusableReferenceError(
                f"the chain of {recipe} is broken: {bundle.content_hash[:16]} follows "
                f"{bundle.previous}, found {before.content_hash}"
            )
        bundle = before
        yield bundle


def curves_of(bundle: Bundle, references_dir: Path | None = None) -> pd.DataFrame:
    """The curves of a bundle, as `load_reference` gives them.

    Args:
        bundle: whose.
        references_dir: folder of all references; the package's own, if None.

    Raises:
        UnusableReferenceError: if they are not those that were blessed.
    """
    path = _folder(bundle.recipe, bundle.content_hash, references_dir) / CURVES_FILE
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise UnusableReferenceError(
            f"the curves of {bundle.recipe} cannot be read: {error}"
        ) from None
    actual = hashlib.sha256(stored).hexdigest()
    if actual != bundle.curves_sha256:
        raise UnusableReferenceError(
            f"the reference of {bundle.recipe} was altered: {path} has sha256 {actual[:16]}, "
            f"blessed was {bundle.curves_sha256[:16]}"
        )
    cells = pd.read_csv(io.BytesIO(stored), dtype=str, keep_default_na=False)
    if tuple(cells.columns) != COLUMNS:
        raise UnusableReferenceError(
            f"{path}: expected the columns {COLUMNS}, got {tuple(cells.columns)}"
        )
    numbers = {
        # Python's own conversion is exact, which pandas does not promise.
        name: cells[name].map(lambda cell: float(cell) if cell else math.nan).astype("float64")
        for name in COLUMNS
        if name not in TEXT
    }
    return cells.assign(**numbers).astype(dict.fromkeys(WHOLE, "int64"))


def curves_text(rows: list[dict[str, str]]) -> str:
    """Curves as stored: numbers stay the text that the run wrote, so that none is rounded.

    Args:
        rows: one per seed and window, cells by the names of `COLUMNS`.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def put_in_force(bundle: Bundle, curves: str, references_dir: Path | None = None) -> Path:
    """Stores a bundle and then names it as the current one; whatever fails, the old one stays.

    Args:
        bundle: with `curves_sha256` of the curves; its hash is set here.
        curves: as text.
        references_dir: folder of all references; the package's own, if None.

    Returns:
        Its folder.

    Raises:
        OSError: if it cannot be written.
    """
    sealed = bundle.hashed()
    folder = _folder(sealed.recipe, sealed.content_hash, references_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    text = sealed.model_dump_json(indent=1) + "\n"
    if not folder.exists():  # the same blessing, interrupted before it came into force
        commit_folder({BUNDLE_FILE: text.encode(), CURVES_FILE: curves.encode()}, folder)
    replace_text(folder.parent / CURRENT_FILE, sealed.content_hash[:16] + "\n")
    return folder


def current_file(recipe: str, references_dir: Path | None = None) -> Path:
    """Where the bundle in force is named."""
    return (references_dir or REFERENCES) / recipe / CURRENT_FILE


def _folder(recipe: str, content_hash: str, references_dir: Path | None) -> Path:
    return (references_dir or REFERENCES) / recipe / content_hash[:16]


def _read(recipe: str, name: str, references_dir: Path | None) -> Bundle:
    """A bundle, after checking that it is what its folder and its recipe say, and whole."""
    folder = _folder(recipe, name, references_dir)
    try:
        bundle = Bundle.model_validate_json((folder / BUNDLE_FILE).read_bytes())
    except FileNotFoundError:
        raise UnusableReferenceError(
            f"the chain of {recipe} is broken: there is no {folder}"
        ) from None
    except (OSError, ValidationError) as error:
        raise UnusableReferenceError(f"{folder / BUNDLE_FILE} cannot be read: {error}") from None
    canonical = json.dumps(bundle.recipe_fields, sort_keys=True).encode()
    expected = {
        "format": (FORMAT, bundle.format),
        "recipe": (recipe, bundle.recipe),
        "name": (bundle.content_hash[:16], name),
        "content_hash": (bundle.hashed().content_hash, bundle.content_hash),
        "recipe_hash": (hashlib.sha256(canonical).hexdigest(), bundle.recipe_hash),
    }
    for field, (right, found) in expected.items():
        if found != right:
            raise UnusableReferenceError(
                f"the reference of {recipe} was altered\n"
                f"  where     {folder / BUNDLE_FILE}, {field}\n"
                f"  expected  {right}\n"
                f"  actual    {found}"
            )
    curves_of(bundle, references_dir)
    return bundle
