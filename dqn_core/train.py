"""Training with a folder: the learning curve, checkpoints, the best model, and resuming.

<folder>/curve.csv                               a row per window of steps
<folder>/trace.bin                               a row of digests per block, for `diff`
<folder>/checkpoints/step_000010000/             the newest segment boundary
<folder>/best/return_487.300_step_000042000/     the best evaluated model so far
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dqn_core.checkpoint import load_checkpoint, save_checkpoint, save_model
from dqn_core.evaluation import evaluate
from dqn_core.files import replacing, sync
from dqn_core.loop import Trainer
from dqn_core.records import BlockRecord
from dqn_core.trace import TRACE_FILE, TraceError, TraceWriter


class RunFolderError(RuntimeError):
    """The folder of a run cannot be used as asked."""


class CurveError(RunFolderError):
    """Curve or trace are not those that a checkpoint was written with."""


@dataclass(frozen=True, slots=True)
class CurveWindow:
    """What happened within `loop.window_steps` agent steps; nan where there was nothing.

    Attributes:
        step: agent steps at the end of the window.
        episodes: training episodes that ended within it.
        episode_return: their mean undiscounted raw return.
        episode_length: their mean length, agent steps.
        evaluation_return: mean return of the evaluation episodes played within it.
        rolling_return: mean over the last `evaluation.rolling_episodes` evaluation episodes.
        loss: mean TD loss of its updates.
        q_mean: mean Q-value of the actions sampled by them.
        epsilon: at its end.
        learning_rate: at its end.
        weights_digest: at its end.
    """

    step: int
    episodes: int
    episode_return: float
    episode_length: float
    evaluation_return: float
    rolling_return: float
    loss: float
    q_mean: float
    epsilon: float
    learning_rate: float
    weights_digest: str


class TrainingRun:
    """A run and its folder.

    Args:
        trainer: freshly made, at step 0.
        folder: where to keep everything; made if missing.
        resume: continue from the newest checkpoint in the folder. Otherwise a folder that already
            holds a run is refused.

    Raises:
        RunFolderError: if the folder holds a run (or, with `resume`, holds no checkpoint), or
            cannot be written.
        CurveError: if curve or trace up to the checkpoint are not those it was written with.
        CheckpointError: if the checkpoint is damaged or belongs to another run.
    """

    def __init__(self, trainer: Trainer, folder: Path, *, resume: bool = False) -> None:
        self.trainer = trainer
        self.folder = folder
        self._rolling: deque[float] = deque(maxlen=trainer.recipe.evaluation.rolling_episodes)
        self._best = float("-inf")
        self._curve = folder / "curve.csv"
        try:
            for name in ("checkpoints", "best"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            if not resume:
                self._begin()
        except OSError as error:
            raise RunFolderError(
                f"the run folder {folder} cannot be written: {error}\n"
                "  next      choose another with --run-dir, or fix its permissions"
            ) from error
        if resume:
            self._resume()

    def windows(self) -> Iterator[CurveWindow]:
        """Trains to the end, a window at a time; all but the last segment is safe on disk."""
        recipe = self.trainer.recipe
        blocks: list[BlockRecord] = []
        played: list[float] = []
        for block in self.trainer.blocks():
            blocks.append(block)
            if block.step % recipe.evaluation.period_steps == 0:
                played += self._evaluate(block.step)
            if block.step % recipe.loop.window_steps == 0:
                window = _summary(blocks, played, self._rolling)
                self._trace.append(blocks)
                self._write_row(window)
                if block.step % recipe.loop.segment_steps == 0:
                    self._save()
                blocks, played = [], []
                yield window

    def _evaluate(self, step: int) -> list[float]:
        recipe, trainer = self.trainer.recipe, self.trainer
        index = step // recipe.evaluation.period_steps
        returns = evaluate(trainer, index).tolist()
        self._rolling.extend(returns)
        mean = float(np.mean(self._rolling))
        if len(self._rolling) == self._rolling.maxlen and mean > self._best:
            self._best = mean
            name = f"return_{mean:.3f}_step_{step:09d}"
            self._replace(self.folder / "best", name, lambda path: save_model(trainer, path))
        return list(returns)

    def _save(self) -> None:
        # A checkpoint on disk promises that the rows before it are there too.
        self._trace.sync()
        sync(self._curve)
        progress = {
            "rolling": list(self._rolling),
            "best": _finite(self._best),
            "curve_sha256": hashlib.sha256(self._curve.read_bytes()).hexdigest(),
            "trace_chain": f"{self._trace.chain:016x}",
        }
        self._replace(
            self.folder / "checkpoints",
            f"step_{self.trainer.step:09d}",
            lambda path: save_checkpoint(self.trainer, path, progress),
        )

    @staticmethod
    def _replace(parent: Path, name: str, save: Any) -> None:
        """Saves under a name and then, and only then, drops what was there before."""
        if not (parent / name).exists():
            save(parent / name)
        for path in [path for path in parent.iterdir() if path.name != name]:
            shutil.rmtree(path)

    def _begin(self) -> None:
        header = [field.name for field in fields(CurveWindow)]
        try:
            file = self._curve.open("x", newline="")
        except FileExistsError:
            raise RunFolderError(
                f"the run folder {self.folder} already holds a run\n"
                "  next      continue it with --resume, or choose another with --run-dir"
            ) from None
        try:
            with file:
                csv.writer(file).writerow(header)
            self._trace = TraceWriter(self.trainer, self.folder / TRACE_FILE)
        except OSError:
            self._curve.unlink()  # an empty curve would pass for a run
            raise

    def _resume(self) -> None:
        found = sorted((self.folder / "checkpoints").glob("step_*"))
        if not found:
            raise RunFolderError(
                f"there is no checkpoint in {self.folder / 'checkpoints'}\n"
                "  next      leave out --resume, with another folder if this one holds a curve"
            )
        progress = load_checkpoint(self.trainer, found[-1])
        kept = self._rows_up_to(self.trainer.step)
        expected, actual = progress.get("curve_sha256"), hashlib.sha256(kept).hexdigest()
        if actual != expected:
            raise CurveError(
                f"{self._curve} is not the curve that {found[-1].name} was written with\n"
                f"  expected  sha256 {expected} of the rows up to its step\n"
                f"  actual    sha256 {actual}\n"
                "  next      train again from the start, in another run folder"
            )
        self._trace = self._trace_up_to(found[-1].name, str(progress.get("trace_chain")))
        self._rolling.extend(progress["rolling"])
        self._best = float("-inf") if progress["best"] is None else progress["best"]
        with replacing(self._curve) as partial:
            partial.write_bytes(kept)

    def _trace_up_to(self, checkpoint: str, expected: str) -> TraceWriter:
        path = self.folder / TRACE_FILE
        try:
            trace = TraceWriter(self.trainer, path)
        except TraceError as error:
            raise CurveError(str(error)) from error
        if (actual := f"{trace.chain:016x}") != expected:
            raise CurveError(
                f"{path} is not the trace that {checkpoint} was written with\n"
                f"  expected  chain {expected} at its step\n"
                f"  actual    chain {actual}\n"
                "  next      train again from the start, in another run folder"
            )
        return trace

    def _rows_up_to(self, step: int) -> bytes:
        """The curve without the windows that will be trained again, and without a torn line."""
        try:
            lines = self._curve.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return b""
        last = next((n for n, line in enumerate(lines) if line.startswith(b"%d," % step)), -1)
        return b"".join(lines[: last + 1])

    def _write_row(self, window: CurveWindow) -> None:
        with self._curve.open("a", newline="") as file:
            csv.writer(file).writerow(asdict(window).values())


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _summary(blocks: list[BlockRecord], played: list[float], rolling: deque[float]) -> CurveWindow:
    returns = [float(r) for block in blocks for r in block.episode_return]
    last = blocks[-1]
    return CurveWindow(
        step=last.step,
        episodes=len(returns),
        episode_return=_mean(returns),
        episode_length=_mean([float(n) for block in blocks for n in block.episode_length]),
        evaluation_return=_mean(played),
        rolling_return=_mean(list(rolling)),
        loss=_mean([float(x) for block in blocks for x in block.loss]),
        q_mean=_mean([float(x) for block in blocks for x in block.q_mean]),
        epsilon=last.epsilon,
        learning_rate=last.learning_rate,
        weights_digest=last.weights_digest,
    )
