"""Bits against bits: a seed of the reference, trained again, window by window.

Fresh seeds and those of a reference never overlap, so equal bits show only where a stored seed is
trained once more. Curves hold the digest of the weights at the end of each window.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from reports.schema import BitsCheck, VerdictName

DIGEST: Final = "weights_digest"


def compare_bits(
    seed: int, ours: pd.DataFrame, theirs: pd.DataFrame, *, promised: bool
) -> BitsCheck | None:
    """Where two curves of one seed part, if they do.

    Windows of one curve without a counterpart in the other count as different.

    Args:
        seed: of both.
        ours: with the columns "step" and "weights_digest", a row per window.
        theirs: with the same columns.
        promised: whether equal bits are.

    Returns:
        None where a side has no digests, so that nothing can be compared.
    """
    sides = []
    for curve in (ours, theirs):
        if DIGEST not in curve:
            return None
        known = curve[curve[DIGEST].notna() & (curve[DIGEST] != "")]
        sides.append(dict(zip(known["step"].astype(int), known[DIGEST].astype(str), strict=True)))
    here, there = sides
    if not here or not there:
        return None
    steps = sorted(here.keys() | there.keys())
    parted = (step for step in steps if here.get(step) != there.get(step))
    return BitsCheck(
        seed=seed,
        windows=len(steps),
        first_difference=next(parted, None),
        promised=promised,
    )


def read_digests(folder: Path) -> pd.DataFrame:
    """Step and digest of the weights at the end of each window of a finished unit."""
    return pd.read_csv(folder / "curve.csv", dtype={DIGEST: str}, usecols=["step", DIGEST])


def with_bits(
    verdict: VerdictName, sentence: str, checks: Sequence[BitsCheck]
) -> tuple[VerdictName, str]:
    """A verdict and its sentence, after a look at the bits.

    Bits that differ where equal ones are promised turn a PASS into a WATCH: the distribution is as
    it was, but something changed that no field shows. Other verdicts stay; their sentences say so.
    """
    broken = [check for check in checks if check.promised and check.first_difference is not None]
    if not broken:
        return verdict, sentence
    parted = ", ".join(f"{check.seed} from step {check.first_difference} on" for check in broken)
    with_parted = (
        f"{sentence} But the bits of reference seeds trained again differ, where equal ones are "
        f"promised: seed {parted}."
    )
    return (VerdictName.WATCH if verdict is VerdictName.PASS else verdict), with_parted


def bits_notes(checks: Sequence[BitsCheck]) -> list[str]:
    """A sentence for each seed that was trained again."""
    return [
        f"Reference seed {check.seed}, trained again: "
        + (
            f"bits equal in all {check.windows} windows"
            if check.first_difference is None
            else f"bits differ from step {check.first_difference} on"
        )
        + ("." if check.promised else "; equal bits were not promised.")
        for check in checks
    ]
