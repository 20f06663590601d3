"""Runs a script in worlds with solved values, two at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from probes.outcome import Outcome
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.judging import as_finding
from probes.recordings.recording import Recording
from probes.recordings.solved import LEARNED_IN, Learner, as_table, learned_as_solved, learner_of
from probes.scripts.observed import Plan, Script, ScriptError, end_all_runs, observe
from probes.scripts.settings import lengthened
from reports.schema import Finding

AT_A_TIME: Final = 2
LONGER: Final = 3
BY_ITSELF: Final = "by itself"
MOST_STEPS: Final = 30_000  # of environments; a script that learns this rarely is stopped


def findings_in_worlds(
    script: Script, facts: Facts, updates: int, seconds: float, folder: Path,
    say: Callable[[str], None],
) -> Iterator[Finding]:  # fmt: skip
    """What a script learns in each world, beside what is solved for what it was read to do.

    Args:
        script: what is run.
        facts: of its recording in the reading world.
        updates: after which each run is stopped.
        seconds: after which it is stopped anyway.
        folder: for the recordings.
        say: how far it is, in words.
    """
    try:
        if facts.recording.plays_games:
            raise NotSeenError("worlds are vectors, and a game of frames is played")
        learner = learner_of(facts)
    except NotSeenError as missing:
        yield from (as_finding(code, str(missing)) for code in LEARNED_IN)
        return
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        runs = {
            code: pool.submit(_recorded, script, code, updates, seconds, folder / code)
            for code in LEARNED_IN
        }
        started = time.monotonic()
        try:
            for number, (code, run) in enumerate(runs.items()):
                spent = time.monotonic() - started
                left = spent / max(number, 1) * (len(runs) - number)
                about = f", about {left:.0f} s left" if number else ""
                say(f"{number} of {len(runs)} worlds{about}")
                yield _found(script, code, run, updates, seconds, learner, folder)
        except BaseException:  # as an interruption, which ends what runs, too
            pool.shutdown(wait=False, cancel_futures=True)
            end_all_runs()
            raise


def _found(
    script: Script, code: str, run: Future[Recording], updates: int, seconds: float,
    learner: Learner, folder: Path,
) -> Finding:  # fmt: skip
    """Of one world; a run that comes to other values is made once more, and longer."""
    try:
        found = _judged(code, run.result(), learner)
        if not found.holds:
            going_on = lengthened(script) if run.result().meta.ended == BY_ITSELF else script
            again = folder / f"{code}.longer"
            longer = _recorded(going_on, code, LONGER * updates, LONGER * seconds, again)
            found = _judged(code, longer, learner)
    except (NotSeenError, ScriptError) as missing:
        return as_finding(code, str(missing).splitlines()[0])
    return as_finding(code, found)


def _recorded(script: Script, code: str, updates: int, seconds: float, folder: Path) -> Recording:
    world = LEARNED_IN[code]
    plan = Plan(MOST_STEPS, seconds, as_table(world), tags=False, updates=updates)
    return observe(script, plan, folder)


def _judged(code: str, recording: Recording, learner: Learner) -> Outcome:
    world = LEARNED_IN[code]
    size = recording.meta.environments[0].size if recording.meta.environments else 0
    if 2**size < world.num_states:
        raise NotSeenError(f"{size} numbers do not tell {world.num_states} states apart")
    return learned_as_solved(recording, world, learner)
