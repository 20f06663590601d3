"""`dqn-harness`: every command of the harness, by one name."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Final, NamedTuple

from dqn_harness.shadows import require_own_packages

PROGRAM: Final = "dqn-harness"
INTERRUPTED, USAGE = 2, 4


class Command(NamedTuple):
    """A command of one of the packages.

    Attributes:
        package: whose command line it belongs to.
        words: its name there; none for what the package does without one.
        about: what it does, in a few words.
    """

    package: str
    words: tuple[str, ...]
    about: str


GROUPS: Final[dict[str, dict[str, Command]]] = {
    "Is it right?": {
        "probes": Command("probes", (), "check an agent in worlds with solved Q-values"),
        "script": Command("probes", ("script",), "what your script does, read off while it trains"),
        "explain": Command("probes", ("explain",), "what a check states, why, and what to try"),
        "records": Command("probes", ("records",), "what stored runs have recorded of themselves"),
        "faults": Command("probes", ("faults",), "plant every fault; store what turns red"),
    },
    "Does it still learn as it did?": {
        "regress": Command("regression", ("run",), "train fresh seeds, compare with references"),
        "import": Command("regression", ("import",), "judge logs of your own code like runs"),
        "judge": Command("regression", ("judge",), "judge a run folder as it is"),
        "merge": Command("regression", ("merge",), "join run folders of several machines"),
        "gate": Command("reports", ("gate",), "the verdict of a finished run as an exit code"),
        "report": Command("reports", ("page",), "the page of a finished run"),
        "bless": Command("regression", ("bless",), "accept a finished run as the new reference"),
        "history": Command("regression", ("history",), "which references there were, and why"),
        "calibrate": Command("regression", ("calibrate",), "how often the gate is wrong"),
    },
    "Same seed, different result?": {
        "diff": Command("regression", ("diff",), "where two runs of one seed part"),
        "trace": Command("regression", ("trace",), "run part of a run again, and keep all of it"),
        "doctor": Command("regression", ("doctor",), "what this machine can promise of bits"),
    },
    "The bundled agent": {
        "train": Command("dqn_core", ("train",), "train a recipe"),
        "play": Command("dqn_core", ("play",), "play what was trained"),
    },
}
COMMANDS: Final = {name: command for group in GROUPS.values() for name, command in group.items()}


def main() -> int:
    """Runs the command line; returns the exit code."""
    words = sys.argv[1:]
    if not words or words[0] in {"-h", "--help"}:
        print(_overview())
        return 0 if words else USAGE
    if words[0] == "--version":
        print(f"{PROGRAM} {metadata.version(PROGRAM)}")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        nearest = difflib.get_close_matches(words[0], COMMANDS, n=3, cutoff=0.0)
        print(
            f"error: unknown command {words[0]!r}\n"
            f"  nearest   {', '.join(nearest)}\n"
            f"  next      {PROGRAM} --help",
            file=sys.stderr,
        )
        return USAGE
    return _run(command, words)


def _run(command: Command, words: Sequence[str]) -> int:
    _look_here_last()
    try:
        require_own_packages()
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    package = importlib.import_module(f"{command.package}.__main__")
    try:
        code: int = package.main([*command.words, *words[1:]], f"{PROGRAM} {words[0]}")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    return code


def _look_here_last() -> None:
    """Looks for modules in the working folder last.

    `python -m` looks there first, where a project may have a package of the name of one of ours.
    """
    here = {"", os.getcwd()}  # as it stands in the path
    if sys.path and sys.path[0] in here:
        sys.path.append(sys.path.pop(0))


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"usage: {PROGRAM} COMMAND ...", "", "Is a Deep Q-Network right?"]
    lines[-1] += " Does it still learn as it did? Where did two runs part?"
    for title, group in GROUPS.items():
        lines += ["", title, *(f"  {name:{width}}  {group[name].about}" for name in group)]
    lines += ["", f"{PROGRAM} COMMAND --help explains a command."]
    return "\n".join(lines)
