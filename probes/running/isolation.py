"""Running many checks in worker processes that may break without breaking the rest."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psutil

from dqn_core.device import available_cores
from dqn_core.processes import own_process
from probes.checks.check import Check
from probes.running.preflight import Inspection
from probes.subject import SubjectError
from reports.schema import Finding, FindingStatus

START_LIMIT_S: Final = 120.0  # imports of a subject's libraries included
POLL_S: Final = 0.25
MEMORY_LIMIT_GB: Final = 6.0


@dataclass(frozen=True)
class CheckJob:
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


@dataclass(frozen=True)
class Loaded:
    """A subject whose preflight went well.

    Attributes:
        agent: as in `CheckJob`.
        found: by it.
    """

    agent: str
    found: Inspection


class CheckWorker:
    """A process that serves one subject after the other, each in a fork of its own.

    Args:
        stop: when set, the worker gives up at once.

    Attributes:
        subject: agent and fault of the one that is loaded, or None.
    """

    def __init__(self, stop: threading.Event) -> None:
        self.subject: tuple[str, str] | None = None
        self._stop = stop
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        # A session of its own: what a subject starts ends with it.
        self._process = subprocess.Popen(
            own_process("probes.running.worker"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def load(self, job: CheckJob, *, frames: bool) -> Loaded:
        """Lets the process load the subject of a job in place of the one before, and inspect it.

        Args:
            job: whose subject.
            frames: whether it will be shown frames.

        Raises:
            SubjectError: if there is no such subject, or if its process ended, or hung, while it
                was loaded.
        """
        try:
            if self.subject is not None:
                self._send({"end": True})
            self.subject = (job.agent, job.fault)
            asked = {"agent": job.agent, "fault": job.fault, "seed": job.seed, "frames": frames}
            self._send(asked)
            hello = self._answer(START_LIMIT_S)
        except WorkerLost as lost:
            # No check would fare better: each would wait for the same end.
            name = job.agent or job.fault
            raise SubjectError(f"agent: {name} could not be loaded: {lost}") from None
        if "error" in hello:
            self.close()
            raise SubjectError(hello["error"])
        return Loaded(job.agent, Inspection(**hello))

    def run(self, job: CheckJob) -> Finding:
        """Lets the process run a check on the subject that is loaded.

        Raises:
            WorkerLost: if it gives no answer; the worker is then closed.
        """
        self._send({"check": job.check.code, "seed": job.seed})
        return Finding.model_validate(self._answer(job.check.limit_s))

    def close(self) -> None:
        """Ends the process and all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # a pipe was asked for
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._lost(self._last_words(self._process.wait())) from None

    def _answer(self, limit_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None  # a pipe was asked for
        end = time.monotonic() + limit_s
        while True:
            ready, _, _ = select.select([self._process.stdout], [], [], POLL_S)
            if ready:
                line = self._process.stdout.readline()
                if not line.endswith(b"\n"):
                    raise self._lost(self._last_words(self._process.wait()))
                answer: dict[str, Any] = json.loads(line)
                if "lost" in answer:
                    raise self._lost(self._last_words(answer["lost"]))
                return answer
            if self._stop.is_set():
                raise self._lost("stopped")
            if time.monotonic() > end:
                raise self._lost(f"no answer within {limit_s:.0f} s")
            try:
                forks = psutil.Process(self._process.pid).children(recursive=True)
                used = sum(fork.memory_info().rss for fork in forks) / 1e9
            except psutil.NoSuchProcess:
                continue  # it has ended, which reading the pipe will show
            if used > MEMORY_LIMIT_GB:
                raise self._lost(f"its process grew to {used:.1f} GB of memory")

    def _lost(self, reason: str) -> WorkerLost:
        self.close()
        return WorkerLost(reason)

    def _last_words(self, code: int) -> str:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with {how}" + (f": {lines[-1].strip()}" if lines else "")


class Waiting:
    """Jobs that no worker has taken yet; a worker keeps to one subject as long as it can.

    Args:
        jobs: subjects are taken in this order, and so are the jobs of each.
    """

    def __init__(self, jobs: Sequence[CheckJob]) -> None:
        self._lock = threading.Lock()
        self._untouched: dict[tuple[str, str], deque[CheckJob]] = {}
        self._begun: dict[tuple[str, str], deque[CheckJob]] = {}
        for job in jobs:
            self._untouched.setdefault((job.agent, job.fault), deque()).append(job)

    def take(self, loaded: tuple[str, str] | None) -> CheckJob | None:
        """A job of the subject that is loaded, or of one that no worker has, or any; None if none.

        Args:
            loaded: agent and fault, or None.
        """
        with self._lock:
            if loaded in self._begun:
                subject = loaded
            elif self._untouched:
                subject = next(iter(self._untouched))
                self._begun[subject] = self._untouched.pop(subject)
            elif self._begun:
                subject = max(self._begun, key=lambda name: len(self._begun[name]))
            else:
                return None
            jobs = self._begun[subject]
            job = jobs.popleft()
            if not jobs:
                del self._begun[subject]
            return job


def run_jobs(
    jobs: Sequence[CheckJob], workers: int = 0
) -> Iterator[tuple[CheckJob, Finding] | Loaded]:
    """Runs jobs in worker processes, and yields them as they are finished.

    Args:
        jobs: what to run.
        workers: how many processes at a time; one for each core, if zero.

    Yields:
        Jobs and their findings; and each subject, as often as a process has loaded it.

    Raises:
        SubjectError: if a subject cannot be loaded or is none; nothing more is run then.
    """
    waiting = Waiting(jobs)
    finished: queue.SimpleQueue[tuple[CheckJob, Finding] | Loaded | BaseException]
    finished = queue.SimpleQueue()
    stop = threading.Event()
    frames = any(job.check.shows_frames for job in jobs)
    threads = [
        threading.Thread(target=_work, args=(waiting, frames, finished, stop), daemon=True)
        for _ in range(min(workers or available_cores(), len(jobs)))
    ]
    for thread in threads:
        thread.start()
    try:
        left = len(jobs)
        while left:
            result = finished.get()
            if isinstance(result, BaseException):
                raise result
            left -= not isinstance(result, Loaded)
            yield result
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(
    waiting: Waiting,
    frames: bool,  # noqa: FBT001  # passed by a thread
    finished: queue.SimpleQueue[tuple[CheckJob, Finding] | Loaded | BaseException],
    stop: threading.Event,
) -> None:
    """Serves what is waiting, with another worker process only where one was lost."""
    worker: CheckWorker | None = None
    try:
        while not stop.is_set():
            job = waiting.take(worker.subject if worker else None)
            if job is None:
                return
            started = time.monotonic()
            try:
                worker = worker or CheckWorker(stop)
                if worker.subject != (job.agent, job.fault):
                    finished.put(worker.load(job, frames=frames))
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


def _of_lost(job: CheckJob, reason: str, wall_s: float) -> Finding:
    return Finding(
        check=job.check.code,
        component=job.check.component,
        status=FindingStatus.ERROR,
        expected="an answer",
        actual=reason,
        compared=0,
        wall_s=wall_s,
        hint="the subject ended or blocked its own process",
    )
