"""`python -m regression`: does it still learn as it did?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from dqn_core.device import DeviceError
from dqn_core.envs.atari import AtariUnavailableError
from dqn_core.memory_budget import ReplayMemoryError
from dqn_core.trace import TraceError
from regression.machine.selftest import SelfTestError
from regression.runs.launchers.ray_cluster import LaunchError
from regression.store.blessing import BlessingError
from regression.store.locks import LockHeldError
from regression.store.references import UnusableReferenceError
from regression.store.units import StoreError
from reports.command_line import run_command, with_environment
from reports.load import ArtifactError
from reports.schema import ExitCode

# Imported one by one: together they take longer than most of them.
COMMANDS: Final[Mapping[str, str]] = {
    "run": "regression.commands.run:run",
    "import": "regression.commands.import_logs:import_logs",
    "judge": "regression.commands.judge:judge",
    "bless": "regression.commands.bless:bless",
    "history": "regression.commands.history:history",
    "merge": "regression.commands.merge:merge",
    "calibrate": "regression.commands.calibrate:calibrate",
    "doctor": "regression.commands.doctor:doctor",
    "diff": "regression.commands.diff:diff",
    "trace": "regression.commands.trace:trace",
}
# Which flags fall back to HARNESS_* variables.
FROM_ENVIRONMENT: Final = {
    "run": (
        *("game", "recipe", "seeds", "device", "devices", "fault", "resume", "bits"),
        "references",
    ),
    "import": ("name", "format", "seeds", "steps", "window", "references"),
    "judge": ("references",),
    "bless": ("run", "game", "reason", "references"),
    "history": ("game", "recipe", "references"),
    "doctor": ("device",),
    "diff": ("a", "b"),
    "calibrate": ("train", "recipe", "device"),
}


def main(words: Sequence[str] | None = None, called: str = "") -> int:
    """Runs a command line; returns the exit code.

    Args:
        words: of the command line; those of this process, if None.
        called: how the command is called, if not by `python -m`.
    """
    words = sys.argv[1:] if words is None else words
    words = with_environment(words, FROM_ENVIRONMENT.get("".join(words[:1]), ()))
    try:
        return run_command(COMMANDS, words, "python -m regression", called)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except (
        ArtifactError,
        AtariUnavailableError,
        LaunchError,
        LockHeldError,
        OSError,
        UnusableReferenceError,
        ReplayMemoryError,
        SelfTestError,
        StoreError,
        TraceError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.INFRA
    except (BlessingError, DeviceError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE


if __name__ == "__main__":
    sys.exit(main())
