"""The command `trace`: a part of a run again, with every event of it written down."""

from __future__ import annotations

import shutil
from pathlib import Path

from regression.console import say
from regression.divergence.rerun import checkpoints, read_run, write_window
from regression.job.job import UsageError
from reports.schema import ExitCode


def trace(
    run: Path, from_step: int, until_step: int, into: Path, *, values: bool = True
) -> ExitCode:
    """Runs a part of a run again and writes down every event of it.

    Args:
        run: folder of a run, of one seed.
        from_step: where to begin; rounded down to the start of a block.
        until_step: where to end; rounded up to the end of a block.
        into: folder to be made.
        values: keep all values, not their digests alone, so that differing elements can be named.
    """
    traced = read_run(run)
    loop = traced.recipe.loop
    if not 0 <= from_step < until_step <= loop.total_steps:
        raise UsageError(
            f"trace: expected 0 <= from_step < until_step <= {loop.total_steps}, got "
            f"{from_step} and {until_step}"
        )
    first = from_step // loop.block_steps * loop.block_steps
    kept = [step for step in checkpoints(traced) if step <= first]
    checkpoint = checkpoints(traced)[max(kept)] if kept else None
    try:
        info = write_window(
            traced,
            into,
            range(first, until_step, loop.block_steps),
            checkpoint,
            keep_values=values,
        )
    except OSError:
        shutil.rmtree(into, ignore_errors=True)
        raise
    say(f"steps {info.from_step} to {info.until_step} of {run}, into {into}")
    if not info.reproduced:
        say("this machine and this code do not give the digests that the run has")
    return ExitCode.OK
