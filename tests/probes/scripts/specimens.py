"""Scripts of ours, with the arguments that they are observed with."""

from __future__ import annotations

from pathlib import Path

from probes.recordings.reading_world import reading_world
from probes.recordings.recording import Recording
from probes.scripts.observed import Plan, Script, observe

SCRIPTS = Path(__file__).resolve().parents[3] / "examples" / "scripts"
ARGUMENTS = SCRIPTS / "arguments.py"
CONSTANTS = SCRIPTS / "constants.py"
MODULES = SCRIPTS / "modules" / "train.py"
FRAMES = SCRIPTS / "frames.py"
OWN = ("--capacity", "300", "--epsilon-decay-steps", "500")
OF_FRAMES = (
    "--warmup-steps", "200", "--sync-period", "20", "--epsilon-decay-steps", "600",
    "--capacity", "400",
)  # fmt: skip
# What each is given, to show within 600 steps what it otherwise does within thousands.
GIVEN = {"arguments.py": OWN, "frames.py": OF_FRAMES}


def recorded_run(script: Path, folder: Path, *, networks: bool = True) -> Recording:
    """600 steps of a script of ours, or of a copy of one."""
    plan = Plan(600, 120, reading_world(), networks=networks)
    return observe(Script(script, GIVEN.get(script.name, ())), plan, folder)
