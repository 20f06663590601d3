"""Work for a GPU, recorded once as a CUDA graph and then launched as a whole.

An update is some thirty kernels of a few microseconds, and launching each from Python takes longer
than running it. A graph repeats recorded kernels on the memory they were recorded with, and runs no
Python. So whatever Python decides is decided before: batches and learning rates are copied to where
the graph reads them, and there is a graph for each place in a block after which a sync is due.

How work is recorded is a parameter: `every_time` records nothing and does the work again, for
observers, which Python must reach, and where there is no GPU.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from dqn_core.agent import Agent
from dqn_core.optimizers import decay_updates, optimizer_tensors
from dqn_core.replay import Batch

Work = Callable[[], tuple[Tensor, ...]]
# Does recorded work again; the results are the same memory each time.
GraphReplay = Callable[[], tuple[Tensor, ...]]
# Takes the work, and a function that does it once and undoes all its effects.
Recorder = Callable[[Work, Callable[[], None]], GraphReplay]

_recording: Final = threading.Lock()

COLUMNS: Final = ("window", "action", "reward", "terminated")


class CaptureError(RuntimeError):
    """Work that could not be recorded as a CUDA graph."""


def cuda_graph(work: Work, warm_up: Callable[[], None]) -> GraphReplay:
    """Records work as a CUDA graph.

    Raises:
        CaptureError: with the reason; there is no slower way that is taken instead.
    """
    try:
        graph = torch.cuda.CUDAGraph()
        side_stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(
            side_stream
        ):  # libraries set themselves up, and choose their kernels
            warm_up()
        torch.cuda.current_stream().wait_stream(side_stream)
        # Only this thread is held to what may be recorded, for another one may be acting. But torch
        # records one graph at a time.
        with _recording, torch.cuda.graph(graph, capture_error_mode="thread_local"):
            results = work()
    except RuntimeError as error:
        raise CaptureError(
            f"an update, or acting, could not be recorded as a CUDA graph: {error}\n"
            f"  torch     {torch.__version__}, CUDA {torch.version.cuda}\n"
            "  next      update the driver, or train with --device cpu"
        ) from error

    def replay() -> tuple[Tensor, ...]:
        graph.replay()
        return results

    return replay


def every_time(work: Work, warm_up: Callable[[], None]) -> GraphReplay:
    """Records nothing: the work is done anew each time."""
    del warm_up
    return work


@dataclass(frozen=True)
class _Recorded:
    """Updates of a block that were recorded.

    Attributes:
        batches: memory that they read transitions from.
        rates: [U], memory that they read learning rates from.
        replay: makes them; the results are those of `Agent.learn`, then the last gradients.
    """

    batches: Batch
    rates: Tensor
    replay: GraphReplay


class CapturedLearning:
    """`Agent.learn`, recorded.

    Args:
        agent: that learns; nothing else may change what its networks and optimizer are made of.
        recorder: `cuda_graph` or `every_time`.
    """

    def __init__(self, agent: Agent, recorder: Recorder) -> None:
        self._agent = agent
        self._recorder = recorder
        self._recorded: dict[tuple[int, int], _Recorded] = {}

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        """Makes updates to the bits of `Agent.learn`; the next call overwrites what it returns."""
        agent = self._agent
        period = agent.recipe.loop.sync_period_updates
        # Later syncs of the block follow from the first one.
        until_sync = min(period - agent.updates % period, updates + 1)
        rates = self._rates(updates)
        (group,) = agent.optimizer.param_groups
        before, scheduler, rate_after = agent.updates, agent.scheduler, group["lr"]
        try:
            recorded = self._recorded.get((updates, until_sync))
            if recorded is None:
                recorded = self._record(batches, updates)
                self._recorded[updates, until_sync] = recorded
            for name in COLUMNS:
                getattr(recorded.batches, name).copy_(getattr(batches, name))
            recorded.batches.slots[:] = batches.slots
            recorded.rates.copy_(torch.tensor(rates, dtype=recorded.rates.dtype))
            errors, values, *gradients = recorded.replay()
        finally:
            agent.scheduler, group["lr"] = scheduler, rate_after
            agent.updates = before + updates
        for leaf, gradient in zip(agent.online_net.optimized_tensors, gradients, strict=True):
            leaf.grad = gradient
        return errors, values

    def _rates(self, updates: int) -> list[float]:
        """Learning rates of the next updates; the schedule has then gone on."""
        agent = self._agent
        # torch warns of a schedule that goes on before the first update; here it has to.
        agent.optimizer._opt_called = True  # type: ignore[attr-defined]  # noqa: SLF001
        rates = []
        for made in range(1, updates + 1):
            rates.append(agent.learning_rate)
            if agent.scheduler is not None and agent.updates + made <= decay_updates(agent.recipe):
                agent.scheduler.step()
        return rates

    def _record(self, batches: Batch, updates: int) -> _Recorded:
        agent = self._agent
        columns = {name: torch.empty_like(getattr(batches, name)) for name in COLUMNS}
        static = Batch(**columns, slots=batches.slots.copy())
        # The fused kernel reads a rate of this type from a GPU; on a CPU, any.
        dtype = torch.float32 if agent.device.type == "cuda" else torch.float64
        rates = torch.zeros(updates, dtype=dtype, device=agent.device)

        def work() -> tuple[Tensor, ...]:
            prepared = _Prepared(agent.optimizer.param_groups[0], rates)
            agent.scheduler = cast("LRScheduler", prepared)  # only ever stepped
            errors, values = agent.learn(static, updates)
            gradients = [leaf.grad for leaf in agent.online_net.optimized_tensors]
            return errors, values, *(one for one in gradients if one is not None)  # none is

        def warm_up() -> None:
            before, known = agent.updates, {n: t.clone() for n, t in self._state().items()}
            for name in COLUMNS:  # anything valid
                getattr(static, name).copy_(getattr(batches, name))
            work()
            agent.updates = before
            for name, tensor in self._state().items():
                # What only the first update makes begins as zeros.
                tensor.copy_(known[name]) if name in known else tensor.zero_()

        return _Recorded(static, rates, self._recorder(work, warm_up))

    def _state(self) -> dict[str, Tensor]:
        """All that an update changes."""
        agent = self._agent
        nets = {"online": agent.online_net, "target": agent.target_net}
        optimized_tensors = {
            f"{name} {index}": leaf.detach()
            for name, net in nets.items()
            for index, leaf in enumerate(net.optimized_tensors)
        }
        return optimized_tensors | optimizer_tensors(agent.optimizer)


class CapturedActing:
    """The Q-values of acting, recorded, on a stream of their own: learning need not wait for them.

    Args:
        recorder: `cuda_graph` or `every_time`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stream: torch.cuda.Stream | None = None
        self._obs: Tensor | None = None
        self._agent: Agent | None = None

    def graphed_policy(self, agent: Agent) -> Agent:
        """A copy of an agent to act with, whose Q-values come from the recorded computation.

        Args:
            agent: its online network must lie in the same memory at every call.
        """
        self._agent = agent
        if agent.device.type == "cuda":
            self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's
            # The weights are copied on the stream that learns.
            self._stream.wait_stream(torch.cuda.current_stream())
        twin = copy.copy(agent)
        twin.q_values = self.q_values  # type: ignore[method-assign]  # of this one object
        return twin

    def q_values(self, obs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Q-values of the online network, [B, A] float32, as `Agent.q_values` gives them."""
        with torch.cuda.stream(self._stream):  # of no effect for None
            if self._obs is None:
                self._record(torch.from_numpy(obs))
            assert self._obs is not None
            self._obs.copy_(torch.from_numpy(obs))
            (q,) = self._again()
            values: npt.NDArray[np.float32] = q.cpu().numpy()
            return values

    def _record(self, obs: Tensor) -> None:
        assert self._agent is not None  # `graphed_policy` comes first
        net, seen = self._agent.online_net, obs.to(self._agent.device, copy=True)

        def work() -> tuple[Tensor, ...]:
            return (net.infer(seen),)

        def warm_up() -> None:
            work()

        self._obs, self._again = seen, self._recorder(work, warm_up)


class _Prepared:
    """A schedule of learning rates that the host has worked out.

    Args:
        group: of the optimizer's parameters, whose rate it sets.
        rates: [U].
    """

    def __init__(self, group: dict[str, Any], rates: Tensor) -> None:
        self._group = group
        self._rates = iter(rates.unbind())
        self.step()

    def step(self) -> None:
        """Goes on to the next update."""
        self._group["lr"] = next(self._rates, self._group["lr"])
