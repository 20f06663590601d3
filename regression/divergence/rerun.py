"""Re-running a traced run, to see it in full: the same recipe, seed, device and parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError
from pydantic_core import from_json

from dqn_core.checkpoint import load_checkpoint
from dqn_core.cuda_graphs import CapturedLearning, every_time
from dqn_core.device import prepare_device
from dqn_core.digests import tensors_digest
from dqn_core.evaluation import evaluate
from dqn_core.loop import Trainer
from dqn_core.optimizers import optimizer_tensors
from dqn_core.recipes.schema import Recipe
from dqn_core.records import BlockRecord
from dqn_core.trace import TRACE_FILE, Trace, TraceError, read_trace
from probes.faults.catalogue import fault_named
from probes.subjects.core import Parts
from regression.divergence.event_windows import FORMAT, WindowInfo, WindowWriter
from regression.divergence.events import Recorder
from regression.divergence.observers import ObservedReplay, named_state, observed, observed_envs
from regression.machine.fingerprint import fingerprint

UNIT_FILE: Final = "unit.json"
DIGESTS: Final = slice(2, -1)  # columns of a trace between the counters and the chain


@dataclass(frozen=True, kw_only=True)
class TracedRun:
    """A run as its folder describes it.

    Attributes:
        folder: of the run, or of one seed of it.
        trace: as stored.
        recipe: of the run.
        fault: planted, or "".
        parts: the classes it is made of.
        fingerprint: of where it ran, as far as the folder says.
        device_class: that it ran in, as `regression.machine.device_classes` names them.
    """

    folder: Path
    trace: Trace
    recipe: Recipe
    fault: str
    parts: Parts
    fingerprint: dict[str, str]
    device_class: str

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.trace.header["seed"])

    @property
    def device(self) -> str:
        """Class of the device it ran on."""
        return str(self.trace.header["device"])

    def row(self, step: int) -> list[int] | None:
        """Digests of the block that ended at a step, or None."""
        found = np.flatnonzero(self.trace.column("step") == step)
        if not len(found):
            return None
        row: list[int] = self.trace.rows[found[0], DIGESTS].tolist()
        return row


def read_run(folder: Path) -> TracedRun:
    """The traced run in a folder.

    Raises:
        TraceError: if its trace is missing or damaged, or names a recipe unknown here.
    """
    trace = read_trace(folder / TRACE_FILE)
    try:
        recipe = Recipe.model_validate(trace.header["recipe"])
    except (KeyError, ValidationError) as error:
        raise TraceError(f"the trace in {folder} holds no recipe known here: {error}") from error
    stored = unit_fields(folder)
    key = stored.get("key", {})
    fault = str(key.get("fault", ""))
    return TracedRun(
        folder=folder,
        trace=trace,
        recipe=recipe,
        fault=fault,
        parts=fault_named(fault).parts if fault else Parts(),
        fingerprint=dict(stored.get("fingerprint", {})),
        device_class=str(key.get("device", trace.header["device"])),
    )


class Rerun:
    """A traced run, run again.

    Args:
        run: which one.
        checkpoint: to begin from, or None for the start.
        keep_values: keep the values of what is recorded.
        record: steps at which blocks begin that are to be recorded.

    Attributes:
        recorder: has the events of the last block, where it was to be recorded.
        trainer: the state after the last block.
    """

    def __init__(
        self,
        run: TracedRun,
        checkpoint: Path | None,
        record: Collection[int] = (),
        *,
        keep_values: bool = True,
    ) -> None:
        self._run = run
        self._record = record
        self.recorder = Recorder(run.recipe, keep_values=keep_values)
        parts = observed(run.parts, self.recorder)
        device = prepare_device(run.device, run.recipe.network.precision)
        self.trainer: Trainer = parts.make_trainer(run.recipe, run.seed, device)
        self.trainer.make_envs = observed_envs(self.trainer.make_envs, self.recorder)
        self.trainer.threaded = False  # events come in one order
        if isinstance(self.trainer.learning, CapturedLearning):
            # What a CUDA graph does inside cannot be observed.
            self.trainer.learning = CapturedLearning(self.trainer.agent, every_time)
            self.trainer.acting = None
        if checkpoint:
            load_checkpoint(self.trainer, checkpoint)

    def blocks(self) -> Iterator[BlockRecord]:
        """The run from there on; evaluations are played too, in case they move it."""
        period = self._run.recipe.evaluation.period_steps
        self._begin()
        for block in self.trainer.blocks():
            self.recorder.recording = False
            if block.step % period == 0:
                evaluate(self.trainer, block.step // period)
            yield block
            self._begin()

    def reproduced(self, block: BlockRecord) -> bool:
        """Whether the run has the digests of this block too."""
        return bool(self._run.row(block.step) == block.digests.tolist())

    def state_digest(self) -> tuple[int, int]:
        """Of networks and optimizer, and of all that was stored in the replay memory so far."""
        agent, replay = self.trainer.agent, self.trainer.replay
        assert isinstance(replay, ObservedReplay)
        nets = [*agent.online_net.optimized_tensors, *agent.target_net.optimized_tensors]
        # By name: a loaded checkpoint gives them in any order.
        moments = sorted(optimizer_tensors(agent.optimizer).items())
        here = [moment.to(nets[0].device) for _, moment in moments]
        return tensors_digest([*nets, *here]), replay.digest

    def _begin(self) -> None:
        """Takes down the state that a block to be recorded begins with."""
        step, recorder = self.trainer.step, self.recorder
        recorder.begin_block(step, recording=step in self._record)
        if recorder.recording:
            for name, values in named_state(self.trainer.agent):
                recorder.start(name, values)
            for name, parameter in self.trainer.agent.target_net.named_parameters():
                recorder.start(f"target {name}", parameter)


def write_window(
    run: TracedRun,
    folder: Path,
    blocks: Collection[int],
    checkpoint: Path | None = None,
    *,
    keep_values: bool = True,
) -> WindowInfo:
    """Re-runs a run and writes the full trace of some blocks.

    Args:
        run: which one.
        folder: where to; must not exist, or be empty.
        blocks: steps at which the blocks begin.
        checkpoint: to begin from, or None for the start.
        keep_values: write values too; without them differing elements cannot be named.

    Raises:
        TraceError: if the folder holds something.
    """
    writer = WindowWriter(folder)
    again = Rerun(run, checkpoint, blocks, keep_values=keep_values)
    length = run.recipe.loop.block_steps
    last, reproduced = max(blocks) + length, True
    try:
        for block in again.blocks():
            reproduced = reproduced and again.reproduced(block)
            writer.add(again.recorder.take())
            if block.step >= last:
                break
    except BaseException:
        writer.abandon()
        raise
    info = WindowInfo(
        format=FORMAT,
        run=run.trace.header,
        fault=run.fault,
        from_step=min(blocks),
        until_step=last,
        fingerprint=fingerprint(run.device, run.recipe),
        reproduced=reproduced,
    )
    writer.close(info)
    return info


def checkpoints(run: TracedRun) -> dict[int, Path]:
    """The checkpoints that lie in the folder of a run, by step."""
    found = (run.folder / "checkpoints").glob("step_*")
    return {int(path.name.removeprefix("step_")): path for path in sorted(found)}


def unit_fields(folder: Path) -> dict[str, Any]:
    """What the folder of a unit says of it; nothing where it is another kind of folder."""
    try:
        stored = from_json((folder / UNIT_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
