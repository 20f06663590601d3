"""`python -m regression`: does it still learn as it did?"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd
import tyro
from rich.console import Console

from dqn_core.atari import AtariUnavailableError
from dqn_core.device import DeviceError, prepare_device
from dqn_core.memory import ReplayMemoryError
from probes.faults.catalogue import fault_named
from probes.subjects.core import Parts
from regression.curves import read_unit
from regression.fingerprint import fingerprint
from regression.games import Job, resolve_job
from regression.judge import Evidence, judge
from regression.references import BlessingError, ReferenceError, bless, load_reference
from regression.runner import Runner
from reports.command_line import with_environment
from reports.files import write_text_atomically
from reports.gate import exit_code
from reports.load import ArtifactError
from reports.page import write_page
from reports.schema import CURVE_COLUMNS, CURVES_FILE, EXIT_CODES, VERDICT_FILE, ExitCode, Verdict

RUNS: Final = Path("runs")
LATEST: Final = RUNS / "latest"


def run(
    game: str = "cartpole",
    recipe: str = "",
    seeds: str = "",
    device: str = "",
    fault: str = "",
) -> ExitCode:
    """Trains fresh seeds, compares them with the stored reference, and writes verdict and page.

    Args:
        game: cartpole or pong.
        recipe: another recipe than the game's own: a name, or a path ending in .toml.
        seeds: how many fresh ones (5), a range (1000-1004), or a list (3,4,7).
        device: cpu, cuda or cuda:<index>; cuda where there is one, if not given.
        fault: plant this fault, to see the gate close.
    """
    console = Console()
    job = resolve_job(game, recipe, seeds, device or _best_device(), fault)
    _preflight(job)
    started, clock = datetime.now(UTC), time.monotonic()
    folder = _new_folder(job.recipe.name, started)
    console.print(_headline(job, folder), highlight=False, markup=False, soft_wrap=True)
    results = Runner(job, folder, console).run()
    tables = [
        read_unit(folder / f"seed-{result.seed}", result.seed, "candidate")
        for result in results
        if result.status == "complete"
    ]
    reference, why_not = None, ""
    try:
        reference, stored = load_reference(job.recipe.name, job.recipe.digest())
        tables.append(stored)
    except ReferenceError as error:
        why_not = str(error)
    curves = pd.concat(tables) if tables else pd.DataFrame(columns=list(CURVE_COLUMNS))
    evidence = Evidence(
        job,
        results,
        curves,
        reference,
        why_not,
        fingerprint(job.device),
        started.isoformat(timespec="seconds"),
        time.monotonic() - clock,
    )
    verdict = judge(evidence)
    write_text_atomically(folder / CURVES_FILE, curves.to_csv(index=False))
    write_text_atomically(folder / VERDICT_FILE, verdict.model_dump_json(indent=1) + "\n")
    page = write_page(folder)
    _point_latest_at(folder)
    _show(console, verdict, page)
    return EXIT_CODES[verdict.verdict]


def bless_run(run: Path = LATEST, reason: str = "") -> ExitCode:
    """Makes a finished run the reference of its recipe.

    Args:
        run: folder of the run; the latest if not given.
        reason: why the new curves are right, a sentence.
    """
    _, old = exit_code(run)
    folder = bless(run, reason, datetime.now(UTC).date().isoformat())
    print(f"judged before: {old}\nblessed as {folder}")
    return ExitCode.OK


def _best_device() -> str:
    import torch  # noqa: PLC0415  # only to ask, once, when no device was named

    return "cuda" if torch.cuda.is_available() else "cpu"


def _preflight(job: Job) -> None:
    """Builds the run once, so that whatever cannot work here says so before any work."""
    parts = fault_named(job.fault).parts if job.fault else Parts()
    parts.make_trainer(job.recipe, job.seeds[0], prepare_device(job.device))


def _new_folder(recipe: str, started: datetime) -> Path:
    name = f"regress-{recipe}-{started:%Y%m%dT%H%M%S}"
    RUNS.mkdir(exist_ok=True)
    for attempt in range(100):
        folder = RUNS / (f"{name}-{attempt}" if attempt else name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"no free name like {name} in {RUNS}")


def _point_latest_at(folder: Path) -> None:
    aside = RUNS / ".latest.partial"
    aside.unlink(missing_ok=True)
    aside.symlink_to(folder.name, target_is_directory=True)
    aside.replace(LATEST)


def _headline(job: Job, folder: Path) -> str:
    planted = f"  FAULT PLANTED: {job.fault}" if job.fault else ""
    lines = [*job.notes, f"{job.recipe.name} on {job.device}, {len(job.seeds)} seeds, {folder}"]
    return "\n".join(lines) + planted


def _show(console: Console, verdict: Verdict, page: Path) -> None:
    for result in verdict.seeds:
        numbers = "  ".join(
            f"{label} {value:.3f}"
            for label, value in (
                ("area", result.auc),
                ("first tenth", result.first_tenth),
                ("last tenth", result.final_tenth),
                ("evaluation", result.evaluation_return),
            )
            if value is not None
        )
        line = f"seed {result.seed:<6} {result.status:9} {result.wall_s:6.1f} s  {numbers}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{verdict.verdict}: {verdict.sentence}\n{page}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def main() -> int:
    """Runs the command line; returns the exit code. Flags fall back to HARNESS_* variables."""
    flags = {
        "run": ("game", "recipe", "seeds", "device", "fault"),
        "bless": ("run", "reason"),
    }
    arguments = with_environment(sys.argv[1:], flags.get("".join(sys.argv[1:2]), ()))
    try:
        code: ExitCode = tyro.extras.subcommand_cli_from_dict(
            {"run": run, "bless": bless_run}, args=arguments, prog="python -m regression"
        )
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except (ArtifactError, AtariUnavailableError, OSError, ReplayMemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.INFRA
    except (BlessingError, DeviceError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE
    except SystemExit as end:  # tyro exits with 2 on bad usage, which here means interrupted
        return ExitCode.USAGE if end.code == 2 else int(end.code or 0)


if __name__ == "__main__":
    sys.exit(main())
