"""Running many checks in worker processes that may break without breaking the rest."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from dqn_core.device import available_cores
from probes.checks.check import Check
from probes.subject import SubjectError
from reports.schema import Finding, FindingStatus

START_LIMIT_S: Final = 120.0  # imports of a subject's libraries included
POLL_S: Final = 0.25
MEMORY_LIMIT_GB: Final = 6.0


@dataclass(frozen=True)
class Job:
    """A check to run on a subject.

    Attributes:
        check: what to run.
        agent: the subject's factory, "module:factory".
        fault: to plant in the bundled core instead, or "".
        seed: of the check and the subject.
    """

    check: Check
    agent: str
    fault: str
    seed: int


class WorkerLost(Exception):  # noqa: N818  # what happened, not an error of ours
    """A worker process that gave no answer; says what became of it."""


class Worker:
    """A process for one subject.

    Args:
        agent: as in `Job`.
        fault: as in `Job`.
        stop: when set, the worker gives up at once.

    Raises:
        SubjectError: if there is no such subject, or if its process ended, or hung, while it was
            loaded.
    """

    def __init__(self, agent: str, fault: str, stop: threading.Event) -> None:
        self.subject = (agent, fault)
        self._stop = stop
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        command = [sys.executable, "-m", "probes.worker", "--agent", agent, "--fault", fault]
        # A session of its own: what the subject starts ends with it.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            hello = json.loads(self._answer(START_LIMIT_S))
        except WorkerLost as lost:
            # No check would fare better: each would wait for the same end.
            raise SubjectError(f"agent: {agent or fault} could not be loaded: {lost}") from None
        if "error" in hello:
            self.close()
            raise SubjectError(hello["error"])

    def run(self, job: Job) -> Finding:
        """Lets the process run a check.

        Raises:
            WorkerLost: if it gives no answer; the worker is then closed.
        """
        assert self._process.stdin is not None  # a pipe was asked for
        asked = json.dumps({"check": job.check.code, "seed": job.seed}) + "\n"
        try:
            self._process.stdin.write(asked.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(self._last_words()) from None
        return Finding.model_validate_json(self._answer(job.check.limit_s))

    def close(self) -> None:
        """Ends the process and all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _answer(self, limit_s: float) -> bytes:
        assert self._process.stdout is not None  # a pipe was asked for
        end = time.monotonic() + limit_s
        while True:
            ready, _, _ = select.select([self._process.stdout], [], [], POLL_S)
            if ready:
                line = self._process.stdout.readline()
                if line.endswith(b"\n"):
                    return line
                raise self._lost(self._last_words())
            if self._stop.is_set():
                raise self._lost("stopped")
            if time.monotonic() > end:
                raise self._lost(f"no answer within {limit_s:.0f} s")
            try:
                used = psutil.Process(self._process.pid).memory_info().rss / 1e9
            except psutil.NoSuchProcess:
                continue  # its pipe tells
            if used > MEMORY_LIMIT_GB:
                raise self._lost(f"its process grew to {used:.1f} GB of memory")

    def _lost(self, reason: str) -> WorkerLost:
        self.close()
        return WorkerLost(reason)

    def _last_words(self) -> str:
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with {how}" + (f": {lines[-1].strip()}" if lines else "")


def run_jobs(jobs: Sequence[Job]) -> Iterator[tuple[Job, Finding]]:
    """Runs jobs in worker processes, one for each core, and yields them as they are finished.

    Raises:
        SubjectError: if a subject cannot be loaded; nothing more is run then.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    finished: queue.SimpleQueue[tuple[Job, Finding] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(waiting, finished, stop), daemon=True)
        for _ in range(min(available_cores(), len(jobs)))
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in jobs:
            result = finished.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(
    waiting: queue.SimpleQueue[Job],
    finished: queue.SimpleQueue[tuple[Job, Finding] | BaseException],
    stop: threading.Event,
) -> None:
    """Serves the queue with one worker process after the other."""
    worker: Worker | None = None
    try:
        while not stop.is_set():
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            started = time.monotonic()
            try:
                if worker is None or worker.subject != (job.agent, job.fault):
                    if worker is not None:
                        worker.close()
                    worker = None
                    worker = Worker(job.agent, job.fault, stop)
                finding = worker.run(job)
            except WorkerLost as lost:
                worker = None
                finding = _of_lost(job, str(lost), time.monotonic() - started)
            finished.put((job, finding))
    except BaseException as error:  # noqa: BLE001  # handed to the caller's thread
        finished.put(error)
    finally:
        if worker is not None:
            worker.close()


def _of_lost(job: Job, reason: str, wall_s: float) -> Finding:
    return Finding(
        check=job.check.code,
        component=job.check.component,
        status=FindingStatus.RED,
        expected="an answer",
        actual=reason,
        compared=1,
        wall_s=wall_s,
        hint="the subject ended or blocked its own process",
    )
