"""Units on the machines of a Ray cluster, or on a cluster of this one machine.

Each unit is one task: a process of a worker's machine trains it in a folder of its own there, and
the bytes of its files come back, so the machines need no disk in common, only the same installed
packages. A unit's fingerprint is taken where it is trained: what is recorded is the accelerator it
ran on, whatever was asked for.

Ray passes arguments and results between its own processes as pickles, and anyone who can reach a
cluster can run code on it: a cluster of this machine therefore listens on the loopback interface
alone, behind a token of its own, and any other has to be trusted. What is stored, or read back from
a disk, is JSON, CSV and safetensors here as everywhere; nothing of it is ever a pickle.

References:
    Ray documentation, "Tasks", "Accelerator Types", "Dynamic generators", "Token authentication".
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from filelock import FileLock, Timeout

from dqn_core.device import available_cores
from dqn_core.files import replace_text
from regression.job.job import Job, UsageError
from regression.job.job_file import JOB_FILE, StoredJob, read_job
from regression.machine.device_classes import device_class
from regression.runs.launchers.launcher import (
    ERROR_LINES,
    ProgressCallback,
    UnitRequest,
    UnitResult,
    ending,
    unit_command,
)
from regression.runs.launchers.unit_archive import pack, unpack
from regression.store import units
from regression.store.locks import LockHeldError, held
from regression.store.units import StoreError
from reports.schema import ExitCode

LOCAL: Final = "local"
# Of a cluster of this machine; to be set before Ray is imported, for all its processes.
ALONE: Final = {
    # The name is historical: without clusters of several machines Ray binds to loopback only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
}
LONGEST_ERROR: Final = 300  # characters of what Ray says about a lost worker


class LaunchError(RuntimeError):
    """Ray is not there, or has no room of the kind that was asked for."""


class RayLauncher:
    """A connection to Ray, while the `with` block runs.

    Args:
        address: of a running cluster, such as "10.0.0.1:6379", or "local" to start one here.
        accelerator: type that each unit's machine must have, such as "A100", or "" for any.
    """

    def __init__(self, address: str = LOCAL, accelerator: str = "") -> None:
        self._address = address
        self._accelerator = accelerator
        self._streams: set[Any] = set()
        self._stopping = False
        self._lock = threading.Lock()

    def __enter__(self) -> RayLauncher:
        if util.find_spec("ray") is None:
            raise LaunchError(
                "the launcher ray needs Ray, which is not installed\n"
                "  next      pip install 'dqn-harness[ray]', on every machine"
            )
        more: dict[str, Any] = {}
        if self._address == LOCAL:
            os.environ.update(ALONE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)})
            more = {"num_cpus": available_cores(), "include_dashboard": False}
        import ray  # noqa: PLC0415  # an optional extra, and reads the variables above

        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR, **more)
        except (RuntimeError, ValueError, ConnectionError) as error:
            raise LaunchError(f"no Ray at {self._address!r}: {error}") from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray put its own in place
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import ray  # noqa: PLC0415  # an optional extra

        ray.shutdown()

    def units_at_a_time(self, job: Job) -> int:
        """All: Ray lets those wait for which there is no room yet."""
        self._require_room(job.device)
        return len(job.seeds)

    def make(self, order: UnitRequest, hear: ProgressCallback) -> UnitResult:
        """One task; see `Launcher.make`. A sealed unit is verified and kept."""
        job = order.job
        key = units.unit_key(job.recipe, order.seed, job.device, job.fault)
        try:
            with held(order.run, key.name, order.when_held, lambda note: hear({"note": note})):
                if (folder := order.run / key.name).exists():
                    units.read_sealed(folder)
                    return UnitResult(ExitCode.OK, [])
                stored = read_job(order.run)
                how, files = self._task(stored, order, hear)
                if how.code == 0:
                    unpack(files, folder, key, stored.fingerprint)
                return how
        except (LockHeldError, StoreError) as error:
            return UnitResult(ExitCode.INFRA, f"error: {error}".splitlines()[-ERROR_LINES:])

    def end_all(self, number: signal.Signals) -> None:
        """Cancels all tasks; what they have trained is lost, as their folders go with them."""
        import ray  # noqa: PLC0415  # an optional extra

        with self._lock:
            self._stopping = True
            left = list(self._streams)
        for stream in left:
            ray.cancel(stream, force=number == signal.SIGKILL)

    def _task(
        self, job: StoredJob, order: UnitRequest, hear: ProgressCallback
    ) -> tuple[UnitResult, dict[str, bytes]]:
        """How a task ended, and the files of its unit if it did well."""
        import ray  # noqa: PLC0415  # an optional extra

        task = ray.remote(make_unit).options(
            num_returns="streaming",
            max_retries=0,  # a lost unit is tried again by the runner, which says so
            num_cpus=1,
            num_gpus=0 if device_class(job.device).device == "cpu" else 1,
            accelerator_type=self._accelerator or None,
        )
        with self._lock:
            if self._stopping:
                return ending(-signal.SIGTERM, []), {}
            stream: Any = task.remote(job.model_dump_json(), order.seed)  # yields references
            self._streams.add(stream)
        worker = "before it had begun"
        try:
            for reference in stream:
                report = ray.get(reference)
                if "worker" in report:
                    worker = report["worker"]
                elif "code" in report:
                    return ending(report["code"], report["errors"]), report["files"]
                else:
                    hear(report)
        except ray.exceptions.TaskCancelledError:
            return ending(-signal.SIGTERM, []), {}
        except ray.exceptions.RayTaskError as error:
            return UnitResult(ExitCode.INFRA, str(error).splitlines()[-ERROR_LINES:]), {}
        except ray.exceptions.RayError as error:
            lines = [" ".join(str(error).split())[:LONGEST_ERROR]]
            lost = f"its worker was lost ({worker}, {type(error).__name__})"
            return UnitResult(-signal.SIGKILL, lines, lost), {}
        finally:
            with self._lock:
                self._streams.discard(stream)
        return UnitResult(ExitCode.INFRA, [f"the task ended without a result ({worker})"]), {}

    def _require_room(self, device: str) -> None:
        """Refuses what no machine of the cluster could ever run, and Ray would let wait for ever.

        Raises:
            UsageError: for a GPU by number.
            LaunchError: naming what is missing, and what there is.
        """
        import ray  # noqa: PLC0415  # an optional extra

        if ":" in device:
            raise UsageError(
                f"the launcher ray gives each unit a GPU of its own, got --device {device}\n"
                "  next      use --device cuda"
            )
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's
        wanted = ["CPU"] if device_class(device).device == "cpu" else ["CPU", "GPU"]
        wanted += [f"accelerator_type:{self._accelerator}"] if self._accelerator else []
        for name in wanted:
            if not there.get(name):
                kinds = [kind for kind in sorted(there) if kind in {"CPU", "GPU"}
                         or kind.startswith("accelerator_type:")]  # fmt: skip
                raise LaunchError(
                    f"no machine of the Ray cluster has what each unit needs\n"
                    f"  expected  {name}\n"
                    f"  actual    {', '.join(f'{kind} {there[kind]:g}' for kind in kinds)}\n"
                    "  next      add such a machine to the cluster, or ask for another kind"
                )


def make_unit(job: str, seed: int) -> Iterator[dict[str, Any]]:
    """The task of one unit, on the machine of a worker.

    Args:
        job: the text of the run's `job.json`.
        seed: of the unit.

    Yields:
        `{"worker": ...}`, who works on it; then what the unit reports; at last its exit code, the
        lines of what went wrong, and its files if nothing did.
    """
    import ray  # noqa: PLC0415  # an optional extra

    node = ray.get_runtime_context().get_node_id()[:8]
    yield {"worker": f"process {os.getpid()} of node {node}"}
    with scratch() as run:
        replace_text(run / JOB_FILE, job)
        stored = read_job(run)
        command = unit_command(run, seed, stored.device, "refuse")
        environment = os.environ | device_class(stored.device).environment
        log = run / "errors.txt"
        with log.open("w") as errors:
            process = subprocess.Popen(  # our own interpreter and module, no shell
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            )
            try:
                for line in process.stdout or ():
                    if line.endswith("\n"):  # a killed process may leave half of one
                        yield json.loads(line)
                process.wait()
            finally:
                if process.poll() is None:  # the task was cancelled
                    process.terminate()
                    process.communicate()
        lines = log.read_text(errors="replace").splitlines()[-ERROR_LINES:]
        key = units.unit_key(stored.loaded_recipe(), seed, stored.device, stored.fault)
        files = pack(run / key.name) if process.returncode == 0 else {}
        yield {"code": process.returncode, "errors": lines, "files": files}


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder, removed afterwards; what killed workers have left is removed before.

    A killed worker leaves its folder, and for a moment a process that still writes into it, until
    its next window, which nothing reads. So a place is taken with a lock that dies with its worker,
    and the folder in it has a new name each time.

    Raises:
        OSError: if there is no room for a folder among the temporary ones.
    """
    places = Path(tempfile.gettempdir()) / f"dqn-harness-units-{os.getuid()}"
    places.mkdir(mode=0o700, exist_ok=True)
    for number in range(10_000):
        lock = FileLock(places / f"{number}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        try:
            place = places / str(number)
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(exist_ok=True)
            yield Path(tempfile.mkdtemp(dir=place))
            return
        finally:
            shutil.rmtree(place, ignore_errors=True)
            lock.release()
    raise OSError(f"all places in {places} are taken")
