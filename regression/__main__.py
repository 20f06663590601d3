"""`python -m regression`: does it still learn as it did?"""

from __future__ import annotations

import sys

import tyro

from dqn_core.device import DeviceError
from dqn_core.envs.atari import AtariUnavailableError
from dqn_core.memory_budget import ReplayMemoryError
from dqn_core.trace import TraceError
from regression.commands.bless import bless
from regression.commands.calibrate import calibrate
from regression.commands.diff import diff
from regression.commands.doctor import doctor
from regression.commands.history import history
from regression.commands.import_logs import import_logs
from regression.commands.judge import judge
from regression.commands.merge import merge
from regression.commands.run import run
from regression.commands.trace import trace
from regression.machine.selftest import SelfTestError
from regression.runs.launchers.ray_cluster import LaunchError
from regression.store.blessing import BlessingError
from regression.store.locks import LockHeldError
from regression.store.references import UnusableReferenceError
from regression.store.units import StoreError
from reports.command_line import with_environment
from reports.load import ArtifactError
from reports.schema import ExitCode


def main() -> int:
    """Runs the command line; returns the exit code. Flags fall back to HARNESS_* variables."""
    flags = {
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
    arguments = with_environment(sys.argv[1:], flags.get("".join(sys.argv[1:2]), ()))
    try:
        code: ExitCode = tyro.extras.subcommand_cli_from_dict(
            {
                "run": run,
                "import": import_logs,
                "judge": judge,
                "bless": bless,
                "history": history,
                "merge": merge,
                "calibrate": calibrate,
                "doctor": doctor,
                "diff": diff,
                "trace": trace,
            },
            args=arguments,
            prog="python -m regression",
        )
        return code
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
    except SystemExit as end:  # tyro exits with 2 on bad usage, which here means interrupted
        return ExitCode.USAGE if end.code == 2 else int(end.code or 0)


if __name__ == "__main__":
    sys.exit(main())
