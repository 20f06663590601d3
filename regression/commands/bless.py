"""The command `bless`: accepts a finished run as the reference of its recipe."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from regression.console import say
from regression.job.job import resolve_job
from regression.job.job_file import read_job
from regression.job.run_folders import RUNS
from regression.store.blessing import BlessingError, describe_move, proposed, refuse_thoughtless
from regression.store.references import put_in_force
from reports.load import ArtifactError, read_verdict
from reports.schema import VERDICT_FILE, ExitCode, Verdict


def bless(
    run: Path | None = None, game: str = "", reason: str = "", references: Path | None = None
) -> ExitCode:
    """Makes a finished run the reference of its recipe.

    Args:
        run: folder of the run; the latest one of the game, or of all, if not given.
        game: cartpole or pong.
        reason: why the new curves are right, a sentence.
        references: folder of the references; the package's own, if not given.
    """
    refuse_thoughtless(reason)
    run = run or _latest_run(game)
    verdict = read_verdict(run)
    today = datetime.now(UTC).date().isoformat()
    bundle, curves = proposed(
        run, verdict, read_job(run), reason=reason, today=today, references_dir=references
    )
    say(f"{run}\njudged: {verdict.verdict}: {verdict.sentence}\n{describe_move(bundle.moved)}")
    say(f"blessed as {put_in_force(bundle, curves, references)}")
    return ExitCode.OK


def _latest_run(game: str) -> Path:
    """The newest finished run of a game; of any, for ""."""
    wanted = resolve_job(game, device="cpu").game if game else ""
    found: dict[Path, Verdict] = {}
    for path in RUNS.glob(f"*-*/{VERDICT_FILE}"):  # of both kinds, and not of runs/latest
        try:
            found[path.parent] = read_verdict(path.parent)
        except ArtifactError:  # of another version of the harness
            continue
    fitting = {path: v for path, v in found.items() if not wanted or v.game == wanted}
    if not fitting:
        raise BlessingError(
            f"there is no finished run{f' of {wanted}' if wanted else ''} in {RUNS}"
        )
    return max(fitting, key=lambda path: (fitting[path].started_utc, path.name))
