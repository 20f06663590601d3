"""Stored references: curves of healthy seeds, under a hash, blessed by a person with a reason."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from pydantic import ValidationError

from reports.files import write_text_atomically
from reports.load import read_curves, read_verdict
from reports.schema import CURVES_FILE, ReferenceInfo, SeedResult, Verdict

REFERENCES: Final = Path(__file__).parent / "references"
INFO_FILE: Final = "reference.json"
FEWEST_SEEDS: Final = 5


class ReferenceError(RuntimeError):  # the builtin of this name is another language's
    """A reference that is missing, damaged, or of another recipe."""


class BlessingError(RuntimeError):
    """A run that cannot become a reference."""


def load_reference(recipe: str, recipe_hash: str) -> tuple[ReferenceInfo, pd.DataFrame]:
    """The stored truth of a recipe.

    Args:
        recipe: its name.
        recipe_hash: `Recipe.digest()` of the recipe that is compared with it.

    Raises:
        ReferenceError: if there is none, if it was altered, or if it belongs to another recipe.
    """
    folder = REFERENCES / recipe
    try:
        info = ReferenceInfo.model_validate_json((folder / INFO_FILE).read_bytes())
        stored = (folder / CURVES_FILE).read_bytes()
    except FileNotFoundError:
        raise ReferenceError(
            f"there is no reference for the recipe {recipe}; run its seeds, then make bless"
        ) from None
    except (OSError, ValidationError) as error:
        raise ReferenceError(f"the reference of {recipe} cannot be read: {error}") from None
    actual = hashlib.sha256(stored).hexdigest()
    if actual != info.content_hash:
        raise ReferenceError(
            f"the reference of {recipe} was altered: its curves have sha256 {actual[:16]}, "
            f"blessed were {info.content_hash[:16]}"
        )
    if recipe_hash != info.recipe_hash:
        raise ReferenceError(
            f"the reference of {recipe} was made with another recipe of that name "
            f"({info.recipe_hash[:16]}, now {recipe_hash[:16]}); bless a new one"
        )
    return info, pd.read_csv(io.BytesIO(stored))


def bless(run: Path, reason: str, today: str) -> Path:
    """Makes the candidate curves of a finished run the new reference of its recipe.

    Args:
        run: folder of the run.
        reason: why the new curves are right, a sentence.
        today: ISO date.

    Returns:
        The folder of the reference.

    Raises:
        BlessingError: in CI, without a reason, or for curves that should never be a reference.
        ArtifactError: if the run's files cannot be read.
    """
    if os.environ.get("CI"):
        raise BlessingError("a reference is blessed by a person, never in CI")
    if len(reason.split()) < 3:
        raise BlessingError(f"blessing needs a reason of at least three words, got {reason!r}")
    verdict, curves = read_verdict(run), read_curves(run)
    refuse_degenerate(verdict)
    candidate = curves[curves["group"] == "candidate"].assign(group="reference")
    text = candidate.to_csv(index=False)
    info = ReferenceInfo(
        seeds=[result.seed for result in verdict.seeds],
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        recipe_hash=verdict.recipe_hash,
        reason=reason,
        blessed_on=today,
        fingerprint=verdict.fingerprint,
    )
    folder = REFERENCES / verdict.recipe
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / CURVES_FILE, text)
    write_text_atomically(folder / INFO_FILE, info.model_dump_json(indent=1) + "\n")
    return folder


def refuse_degenerate(verdict: Verdict) -> None:
    """Refuses runs against which everything, or nothing, would pass.

    Raises:
        BlessingError: for a planted fault, failed or too few seeds, seeds without spread, or no
            learning.
    """
    failed = [result.seed for result in verdict.seeds if result.status != "complete"]
    if verdict.fault:
        raise BlessingError(f"the fault {verdict.fault} was planted in this run")
    if failed or len(verdict.seeds) < FEWEST_SEEDS:
        raise BlessingError(
            f"expected at least {FEWEST_SEEDS} complete seeds, got "
            f"{len(verdict.seeds) - len(failed)}; failed: {failed or 'none'}"
        )
    area, first, final = (
        _column(verdict.seeds, name) for name in ("auc", "first_tenth", "final_tenth")
    )
    if np.ptp(area) == 0.0:
        raise BlessingError(f"all {len(area)} seeds have the same curve: was the seed used?")
    if np.mean(final) - np.mean(first) <= 2 * np.std(first, ddof=1):
        raise BlessingError(
            f"no learning: the mean return is {np.mean(first):.3f} over the first tenth of the "
            f"run and {np.mean(final):.3f} over the last"
        )


def _column(seeds: list[SeedResult], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = [getattr(result, name) for result in seeds]
    if None in values:
        raise BlessingError(f"some seed has no {name}: no episode ended in it")
    return np.array(values, np.float64)
