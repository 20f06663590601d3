"""`python -m regression calibrate`: how often the gate is wrong, as figures with intervals."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console

from dqn_core.device import prepare_device
from dqn_core.files import replace_text
from probes.faults.catalogue import fault_named
from regression.console import say
from regression.gate.curves import returns_of
from regression.gate.error_rates import (
    HEALTHY_SPLITS,
    PLANTED_SPLITS,
    SYNTHETIC_DRAWS,
    Rate,
    stored_rates,
    synthetic_rates,
)
from regression.gate.value_shift import QUANTITIES, means_of
from regression.job.job import Job, resolve_job
from regression.machine.source_digest import source_digest
from regression.runs.stages import Regression
from regression.store.references import UnusableReferenceError, load_reference
from reports.load import MissingArtifactError, read_verdict
from reports.rows import difference_sd
from reports.schema import ExitCode, Verdict, VerdictName

FOLDER: Final = Path("runs") / "calibration"

# One or two of each family that a run of vectors can have: those that a reviewer would miss.
TRAINED: Final = {
    "no-terminal-mask": "the oldest mistake: learning goes on, values are wrong",
    "discount-missing": "values grow without a bound",
    "target-never-synced": "the target network stays as it was drawn",
    "bootstrap-from-online": "no lag: many tasks are learned all the same",
    "another-learning-rate": "four times smaller: learning is late, not broken",
    "optimizer-made-anew": "moments are lost at every update",
    "time-limit-terminates": "the better the agent, the more often it is wrong",
    "actions-of-other-rows": "half of what is learned is about other actions",
    "newest-favoured": "the memory is skewed, and nothing else",
    "epsilon-never-decays": "acting stays random, learning is right",
    "half-as-often": "half of the updates are left out",
    "seed-hard-coded": "all runs are one: no drop at all; their equal weights give it away",
}


def calibrate(train: str = "", recipe: str = "", device: str = "cpu") -> ExitCode:
    """Measures how often the gate calls healthy seeds FAIL, and drops and faults anything else.

    Args:
        train: 1 to train twelve faults of the catalogue through both stages (an hour), or names of
            faults, separated by commas; finished ones are kept. Without it nothing is trained.
        recipe: whose stored seeds, or which to train; cartpole's own, if not given.
        device: where to train: cpu, cuda or cuda:<index>.
    """
    console = Console()
    if train:
        names = list(TRAINED) if train == "1" else train.split(",")
        jobs = [resolve_job("cartpole", recipe=recipe, device=device, fault=name) for name in names]
        # What cannot work says so before an hour of training: no reference, no place for the fault.
        load_reference(jobs[0].recipe)
        for job in jobs:
            fault_named(job.fault).parts.make_trainer(
                job.recipe, job.seeds[0], prepare_device(job.device)
            )
        train_faults(jobs, FOLDER, console)
        return ExitCode.OK
    job = resolve_job("cartpole", recipe=recipe, device=device)
    rates = list(
        measure(
            job,
            synthetic=SYNTHETIC_DRAWS,
            healthy=HEALTHY_SPLITS,
            planted=PLANTED_SPLITS,
            console=console,
        )
    )
    text = rates_markdown(rates) + "\n" + "".join(f"- {line}\n" for line in targets(rates))
    FOLDER.mkdir(parents=True, exist_ok=True)
    replace_text(FOLDER / "rates.md", text)
    replace_text(FOLDER / "rates.csv", rates_table(rates).to_csv(index=False))
    say(f"{text}\n{FOLDER / 'rates.md'}", console)
    return ExitCode.OK


def measure(
    job: Job, *, synthetic: int, healthy: int, planted: int, console: Console
) -> Iterable[Rate]:
    """All rates that need no training, as they are found.

    Args:
        job: of the recipe whose stored seeds are split.
        synthetic: draws of each shape, for 30 and for 100 references.
        healthy: splits of the stored seeds with nothing changed.
        planted: splits for each planted change.
        console: for what could not be measured, and progress.
    """
    for num_reference in (30, 100):
        say(f"imagined seeds, {num_reference} references, {synthetic} draws a shape ...", console)
        yield from synthetic_rates(num_reference, synthetic)
    try:
        _, stored = load_reference(job.recipe)
        say(
            f"stored seeds of {job.recipe.name}, {healthy} healthy splits, a minute or two ...",
            console,
        )
        returns, inside = returns_of(stored, "reference"), means_of(stored, "reference")
        yield from stored_rates(returns, inside, healthy, planted)
    except (UnusableReferenceError, ValueError) as error:
        say(f"stored seeds: not measured: {error}", console)


def targets(rates: list[Rate]) -> list[str]:
    """The four promises for 30 references and imagined seeds: kept or missed by the worst shape.

    False alarms at most 0.1 % (upper end of the interval), FAIL at 2 SD at least 95 %, at 1.5 SD at
    least 80 %, at most 6 fresh seeds for a healthy candidate.
    """
    of_30 = [rate for rate in rates if rate.source.endswith(", 30+5+15") and rate.designed]
    healthy = [rate for rate in of_30 if rate.change == "none"]
    alarms = max(rate.interval[1] for rate in healthy)
    seeds = max(rate.mean_seeds for rate in healthy)
    at_2, at_1_5 = (
        min(rate.share for rate in of_30 if rate.change == name)
        for name in ("2 SD lower", "1.5 SD lower")
    )
    promises = (
        (alarms <= 0.001, f"false alarms: at most {100 * alarms:.3f} % (promised: 0.1 %)"),
        (at_2 >= 0.95, f"FAIL at 2 SD: at least {100 * at_2:.1f} % (promised: 95 %)"),
        (at_1_5 >= 0.80, f"FAIL at 1.5 SD: at least {100 * at_1_5:.1f} % (promised: 80 %)"),
        (seeds <= 6, f"seeds of a healthy candidate: at most {seeds:.2f} (promised: 6)"),
    )
    return [f"{'kept' if kept else 'MISSED'}, {promise}" for kept, promise in promises]


def rates_table(rates: list[Rate]) -> pd.DataFrame:
    """One row per rate; shares of 1."""
    return pd.DataFrame(
        {
            "seeds": [rate.source for rate in rates],
            "change": [rate.change for rate in rates],
            "fail": [rate.share for rate in rates],
            "fail_low": [rate.interval[0] for rate in rates],
            "fail_high": [rate.interval[1] for rate in rates],
            "watch": [rate.watches / rate.trials for rate in rates],
            "trials": [rate.trials for rate in rates],
            "mean_seeds": [rate.mean_seeds for rate in rates],
            "designed": [rate.designed for rate in rates],
        }
    )


def rates_markdown(rates: list[Rate]) -> str:
    """The same as a table of GitHub Markdown."""
    lines = [
        "| Seeds (references + stage one + stage two) | Change | FAIL | 95 % interval | Designed "
        "for | WATCH | Trials | Mean seeds |",
        "| :-- | :-- | --: | --: | --: | --: | --: | --: |",
    ]
    for rate in rates:
        low, high = rate.interval
        lines.append(
            f"| {rate.source} | {rate.change} | {100 * rate.share:.3g} % "
            f"| {100 * low:.3g}-{100 * high:.3g} % | {rate.designed or '—'} "
            f"| {100 * rate.watches / rate.trials:.3g} % | {rate.trials} | {rate.mean_seeds:.2f} |"
        )
    return "\n".join(lines) + "\n"


def train_faults(jobs: list[Job], folder: Path, console: Console) -> pd.DataFrame:
    """Runs the whole regression on each fault that is not finished yet, and tabulates all.

    Args:
        jobs: one for each fault, each checked already.
        folder: keeps a folder `trained/<recipe>-<digest of the core>/<fault>` for each, and the
            tables beside them.
        console: for progress and an estimate of what is left.

    Returns:
        A row for each fault: its verdict, how far the area moved, and what that cost.
    """
    place = folder / "trained" / f"{jobs[0].recipe.name}-{source_digest()}"
    rows: list[dict[str, object]] = []
    spent: list[float] = []
    for index, job in enumerate(jobs):
        run = place / job.fault
        verdict = _finished(run, job)
        if verdict is None:
            text = f"fault {index + 1} of {len(jobs)}: {job.fault}"
            if spent:
                minutes = sum(spent) / len(spent) * (len(jobs) - index) / 60
                text += f", about {minutes:.0f} min left"
            say(text, console)
            run.mkdir(parents=True, exist_ok=True)  # goes on with what an interruption left
            clock = time.monotonic()
            verdict = Regression(job, run, console, datetime.now(UTC)).run()
            spent.append(time.monotonic() - clock)
        say(f"{job.fault}: {verdict.verdict}: {verdict.sentence}", console)
        rows.append(_row(job, verdict))
        table = pd.DataFrame(rows)  # after each fault, so that an hour is never lost
        replace_text(place / "faults.csv", table.to_csv(index=False))
        replace_text(place / "faults.md", faults_markdown(table))
    say(str(place / "faults.md"), console)
    return pd.DataFrame(rows)


def _finished(run: Path, job: Job) -> Verdict | None:
    """The stored verdict of this very job against the present reference, if there is one."""
    try:
        verdict = read_verdict(run)
    except MissingArtifactError:
        return None
    try:
        reference = load_reference(job.recipe)[0].content_hash
    except UnusableReferenceError:
        reference = ""
    judged_by = verdict.reference.content_hash if verdict.reference else ""
    same = (verdict.recipe_hash, verdict.device, judged_by) == (
        job.recipe.digest(),
        job.device,
        reference,
    )
    return verdict if same and verdict.verdict is not VerdictName.INFRA else None


def _row(job: Job, verdict: Verdict) -> dict[str, object]:
    fault = fault_named(job.fault)
    areas = sorted((one for one in verdict.criteria if one.decides), key=lambda one: one.stage)
    p_values = {one.stage: one.p_value for one in areas}
    by_stage = sorted(verdict.criteria, key=lambda one: one.stage)
    inside = {one.name: difference_sd(one) for one in by_stage}  # of the last stage there was
    return {
        "fault": job.fault,
        "component": str(fault.component),
        "verdict": str(verdict.verdict),
        "moved_sd": difference_sd(areas[-1]) if areas else None,
        "p_stage_one": p_values.get(1),
        "p_stage_two": p_values.get(2),
        **{f"{column}_moved_sd": inside.get(name) for column, name in QUANTITIES.items()},
        "seeds": len(verdict.seeds),
        "wall_s": verdict.wall_s,
        "why": TRAINED.get(job.fault, fault.what),
    }


def faults_markdown(table: pd.DataFrame) -> str:
    """The table of `train_faults` as GitHub Markdown, and how many the gate saw."""
    lines = [
        "| Fault | Component | Verdict | Area moved, SD | p, stage one | p, stage two "
        "| Q-values moved, SD | Loss moved, SD | Seeds |",
        "| :-- | :-- | :-- | --: | --: | --: | --: | --: | --: |",
    ]
    for row in table.to_dict("records"):
        moved, one, two = (row[name] for name in ("moved_sd", "p_stage_one", "p_stage_two"))
        inside = [_number(row[f"{column}_moved_sd"], "+.1f") for column in QUANTITIES]
        lines.append(
            f"| {row['fault']} | {row['component']} | {row['verdict']} "
            f"| {_number(moved, '+.2f')} | {_number(one, '.2g')} | {_number(two, '.2g')} "
            f"| {' | '.join(inside)} | {row['seeds']} |"
        )
    seen = int((table["verdict"] == VerdictName.FAIL).sum())
    return "\n".join(lines) + f"\n\nFAIL on {seen} of {len(table)} planted faults.\n"


def _number(value: float | None, form: str) -> str:
    return "—" if value is None or pd.isna(value) else format(value, form)
