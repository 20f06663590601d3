"""Scripts of ours, with the arguments that they are observed with."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "examples" / "scripts"
ARGUMENTS = SCRIPTS / "arguments.py"
OWN = ("--capacity", "300", "--epsilon-decay-steps", "500")
CONSTANTS = SCRIPTS / "constants.py"
MODULES = SCRIPTS / "modules" / "train.py"
