"""Making a finished run the reference of its recipe: by a person, with a reason, if it is fit."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dqn_core.recipes.file import RecipeError, load_recipe
from probes.stored_runs.curve import CURVE_FILE
from regression.gate.curves import returns_of, scores
from regression.gate.decide import MARGIN_SD
from regression.gate.permutation import permutation_p
from regression.job.job_file import StoredJob
from regression.job.log_protocol import LogProtocol
from regression.store import references, units
from regression.store.references import Bundle, Moved
from reports.command_line import next_command
from reports.schema import CURVE_COLUMNS, Verdict

FEWEST_SEEDS: Final = 5
FEWEST_WORDS: Final = 3
# The gate sees nearly every drop of two standard deviations. With a spread of at most a quarter of
# what is learned, an agent that learns half as much is such a drop; with more, it could pass.
MOST_SPREAD: Final = 0.25
RECORDED: Final = ("loss", "q_mean")

Rows = list[dict[str, str]]


class BlessingError(RuntimeError):
    """A run that cannot become a reference."""


def refuse_thoughtless(reason: str) -> None:
    """Refuses what no person has decided.

    Raises:
        BlessingError: in CI, or without a reason.
    """
    if os.environ.get("CI"):
        raise BlessingError("a reference is blessed by a person, never in CI")
    if len(reason.split()) < FEWEST_WORDS:
        raise BlessingError(
            f"blessing needs a reason of at least three words, got {reason!r}\n"
            f"  next      {next_command('bless', reason='why the new curves are right')}"
        )


def proposed(
    run: Path,
    verdict: Verdict,
    job: StoredJob,
    *,
    reason: str,
    today: str,
    references_dir: Path | None = None,
) -> tuple[Bundle, str]:
    """The reference that a run would become, and its curves as text; nothing is written.

    Args:
        run: folder of the run.
        verdict: on it.
        job: that it was for.
        reason: why its curves are right.
        today: ISO date.
        references_dir: folder of all references; the package's own, if None.

    Raises:
        BlessingError: for a run that should never be a reference.
        StoreError: for a unit that is damaged.
        UnusableReferenceError: if the chain to be continued is broken.
    """
    _refuse_unfit(verdict, job)
    rows = [row for result in verdict.seeds for row in _rows(run, job, result.seed)]
    digests = {row["seed"]: row[references.WEIGHTS] for row in rows}  # the last of each seed
    for result in verdict.seeds:
        if digests[str(result.seed)] != result.weights_digest:
            raise BlessingError(
                f"the verdict is on other weights of seed {result.seed}: "
                f"{result.weights_digest!r}, its unit ended with {digests[str(result.seed)]!r}"
            )
    text = references.curves_text(rows)
    curves = _numbers(rows)
    imported = isinstance(job.declared(), LogProtocol)
    refuse_degenerate(curves, () if imported else RECORDED)
    before = _in_force(verdict.recipe, references_dir)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    if before and (before.curves_sha256, before.recipe_hash) == (sha256, job.recipe_hash):
        raise BlessingError(f"{run} is the reference in force already")
    moved = moved_between(references.curves_of(before, references_dir), curves) if before else None
    bundle = Bundle(
        format=references.FORMAT,
        recipe=verdict.recipe,
        recipe_hash=job.recipe_hash,
        recipe_fields=job.recipe,
        device=units.without_index(job.device),
        seeds=[result.seed for result in verdict.seeds],
        fingerprint=verdict.fingerprint.model_dump(mode="json"),
        curves_sha256=sha256,
        reason=reason,
        blessed_on=today,
        previous=before.content_hash if before else "",
        moved=moved,
        content_hash="",
    )
    return bundle, text


def refuse_degenerate(curves: pd.DataFrame, recorded: Sequence[str] = RECORDED) -> None:
    """Refuses curves against which everything, or nothing, would pass.

    Args:
        curves: of the reference to be, in `CURVE_COLUMNS`.
        recorded: columns that have a number in every window once learning began.

    Raises:
        BlessingError: for values that are not finite, seeds without spread or with too much, or no
            learning.
    """
    for seed, curve in curves.groupby("seed"):
        _refuse_broken(int(str(seed)), curve, recorded)
    returns = returns_of(curves, "reference")
    if len(np.unique(returns, axis=0)) < len(returns):
        raise BlessingError("two seeds have the same curve: was the seed used?")
    numbers = scores(returns)
    first, final, spread = numbers.first_tenth, numbers.final_tenth, _sd(numbers.area)
    if spread == 0.0:
        raise BlessingError(f"all {len(returns)} seeds have the same area: no drop has a unit")
    gain = float(final.mean() - first.mean())
    if gain <= 2 * _sd(first):
        raise BlessingError(
            f"no learning: the mean return is {first.mean():.3f} over the first tenth of the run, "
            f"when it is random, and {final.mean():.3f} over the last"
        )
    if spread > MOST_SPREAD * gain:
        raise BlessingError(
            "the seeds differ too much for a gate in units of their spread\n"
            f"  expected  a standard deviation of the area of at most {MOST_SPREAD:g} of the gain "
            f"of {gain:.3f} from the first tenth to the last\n"
            f"  actual    {spread:.3f}, {spread / gain:.2f} of it\n"
            "  next      find out why some seeds do not learn; a longer run spreads less"
        )


def moved_between(old: pd.DataFrame, new: pd.DataFrame) -> Moved:
    """A new reference against an old one, in both directions.

    Args:
        old: its curves as stored.
        new: its curves as stored.
    """
    before, after = (scores(returns_of(curves, "reference")).area for curves in (old, new))
    return Moved(
        old_n=len(before),
        old_mean=float(before.mean()),
        old_sd=_sd(before),
        new_n=len(after),
        new_mean=float(after.mean()),
        p_worse=permutation_p(before, after + MARGIN_SD * _sd(before)),
        p_better=permutation_p(after, before + MARGIN_SD * _sd(after)),
    )


def describe_move(moved: Moved | None) -> str:
    """One line on how a reference compares with the one before."""
    if moved is None:
        return "the first reference of its recipe"
    return (
        f"area under the training curve: {moved.old_mean:.4g} before ({moved.old_n} seeds, SD "
        f"{moved.old_sd:.3g}), {moved.new_mean:.4g} now ({moved.new_n}); "
        f"worse: p = {moved.p_worse:.2g}, better: p = {moved.p_better:.2g}"
    )


def _refuse_unfit(verdict: Verdict, job: StoredJob) -> None:
    """Refuses a run for what it was, whatever its curves are."""
    if planted := verdict.fault or job.fault:
        raise BlessingError(f"the fault {planted} was planted in this run")
    if verdict.recipe_hash != job.recipe_hash:
        raise BlessingError(
            f"verdict and job of this run are of two recipes: {verdict.recipe_hash[:16]} and "
            f"{job.recipe_hash[:16]}"
        )
    seeds = [result.seed for result in verdict.seeds]
    failed = [result.seed for result in verdict.seeds if result.status != "complete"]
    if len(set(seeds)) < len(seeds):
        raise BlessingError(f"some seed counts twice: {seeds}")
    if failed or len(seeds) < FEWEST_SEEDS:
        raise BlessingError(
            f"expected at least {FEWEST_SEEDS} complete seeds, got {len(seeds) - len(failed)}; "
            f"failed: {failed or 'none'}"
        )
    if isinstance(job.declared(), LogProtocol):
        return  # no recipe of that name to have changed meanwhile
    try:
        known = load_recipe(job.recipe_name)
    except (OSError, RecipeError) as error:
        raise BlessingError(f"orphaned, nothing could be compared with it: {error}") from None
    if known.digest() != job.recipe_hash:
        raise BlessingError(
            f"orphaned: the recipe {job.recipe_name} has changed since the run "
            f"({known.digest()[:16]}, of this run {job.recipe_hash[:16]}); run it again"
        )


def _refuse_broken(seed: int, curve: pd.DataFrame, recorded: Sequence[str]) -> None:
    """Refuses a curve that diverged, or has nothing to compare."""
    numbers = curve[[name for name in CURVE_COLUMNS if name not in ("group", "seed")]]
    if np.isinf(numbers.to_numpy(np.float64)).any():
        raise BlessingError(f"seed {seed} has an infinite value in its curve")
    for name in recorded:
        known = curve[name].notna().to_numpy()
        # Nothing is learned before the warm-up; from the first loss on there always is one.
        if not known.any() or not known[known.argmax() :].all():
            raise BlessingError(
                f"seed {seed} has a {name} that is not a number, after learning began"
            )
    if not curve["episode_return"].notna().any():
        raise BlessingError(f"seed {seed} has no return: no episode ended in it")


def _rows(run: Path, job: StoredJob, seed: int) -> Rows:
    """The curve of a sealed unit, cells as it wrote them."""
    key = units.unit_key(job.declared(), seed, job.device, job.fault)
    folder = run / key.name
    unit, _ = units.read_sealed(folder)
    if unit.key != key:
        raise BlessingError(f"the unit {folder} is of another recipe: {unit.key.recipe_hash[:16]}")
    with (folder / CURVE_FILE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ours = {"group": "reference", "seed": str(seed)}
    return [{k: "" if v == "nan" else v for k, v in row.items()} | ours for row in rows]


def _numbers(rows: Rows) -> pd.DataFrame:
    table = pd.DataFrame(rows)[list(CURVE_COLUMNS)]
    return table.assign(
        **{name: pd.to_numeric(table[name]) for name in CURVE_COLUMNS if name != "group"}
    )


def _in_force(recipe: str, references_dir: Path | None) -> Bundle | None:
    if not references.current_file(recipe, references_dir).exists():
        return None
    chain = list(references.history(recipe, references_dir))  # a broken chain is not continued
    return chain[0]


def _sd(values: npt.NDArray[np.float64]) -> float:
    return float(np.std(values, ddof=1))
