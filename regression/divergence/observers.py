"""Observing a run: subclasses of the classes it is made of, which report what passes through.

They stand outermost, over whatever classes a run has, planted faults included, and pass everything
on unchanged: an observed run has the bits of an unobserved one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dqn_core.acting import Actor, VectorTransition
from dqn_core.agent import Agent
from dqn_core.digests import array_digest
from dqn_core.envs.envs import EnvMaker, Envs
from dqn_core.networks import Pullback, QNetwork
from dqn_core.recipes.schema import Recipe
from dqn_core.replay import Batch, Replay
from dqn_core.streams import Stream
from probes.subjects.core import Parts
from regression.divergence.events import Recorder

Array = npt.NDArray[Any]
EventCallback = Callable[[Any], None]


def observed(parts: Parts, recorder: Recorder) -> Parts:
    """The same parts, reporting to a recorder."""

    def over(observer: type, part: type) -> Any:  # Any: a class made at run time
        names = {"__module__": part.__module__, "__qualname__": part.__qualname__}
        return type(part.__name__, (observer, part), names | {"recorder": recorder})

    return replace(
        parts,
        agent=over(ObservedAgent, parts.agent),
        replay=over(ObservedReplay, parts.replay),
        actor=over(ObservedActor, parts.actor),
    )


def observed_envs(make_envs: EnvMaker, recorder: Recorder) -> EnvMaker:
    """What builds environments, reporting the draws that seed them."""

    def make(recipe: Recipe, num_envs: int, stream: Stream) -> Envs:
        heard = HeardStream(stream, lambda drawn: recorder.act("env draws", drawn))
        return make_envs(recipe, num_envs, heard)

    return make


class HeardStream(Stream):
    """A stream that reports what is drawn from it.

    Args:
        stream: what it passes on.
        hear: is given the numbers.
    """

    def __init__(self, stream: Stream, hear: EventCallback) -> None:
        self._heard = stream
        self._hear = hear

    def uniform(self, *shape: int) -> npt.NDArray[np.float64]:
        drawn = self._heard.uniform(*shape)
        self._hear(drawn)
        return drawn

    def integers(self, high: int, *shape: int) -> npt.NDArray[np.int64]:
        drawn = self._heard.integers(high, *shape)
        self._hear(drawn)
        return drawn


class ObservedActor(Actor):
    """Reports draws, first observations, and each tick."""

    recorder: Recorder

    def __init__(self, envs: Envs, frame_stack: int, stream: Stream) -> None:
        super().__init__(envs, frame_stack, stream)
        self._stream = HeardStream(
            self._stream, lambda drawn: self.recorder.act("explore draws", drawn)
        )
        self.recorder.act("first obs", self._row)

    def _tick(self, action: npt.NDArray[np.int64], *, truncate_last: bool) -> VectorTransition:
        tick = super()._tick(action, truncate_last=truncate_last)
        for name in ("action", "next_obs", "reward", "terminated", "truncated"):
            self.recorder.act(name, getattr(tick, name))
        if len(self._starting) and not truncate_last:
            self.recorder.act("first obs", self._row[self._starting])
        self.recorder.next_tick()
        return tick


class ObservedReplay(Replay):
    """Reports what lies in the memory after each append, and what is drawn to sample from it.

    Attributes:
        digest: of all that was ever stored.
    """

    recorder: Recorder
    digest = 0

    def start(self, envs: npt.NDArray[np.int64], obs: Array) -> None:
        super().start(envs, obs)
        self._report("stored first obs", self._rows(self._obs, self._num_rows[:, None] - 1))

    def append(
        self, action: Array, reward: Array, terminated: Array, truncated: Array, next_obs: Array
    ) -> None:
        super().append(action, reward, terminated, truncated, next_obs)
        counters = np.concatenate([self._num_rows, self._first, self._end])
        self._report("replay counters", counters)
        newest = self._num_rows[:, None] - np.arange(len(action), 0, -1)
        for name in ("action", "reward", "terminated", "truncated"):
            stored = torch.from_numpy(getattr(self, f"_{name}"))
            self._report(f"stored {name}", self._rows(stored, newest - 1))
        self._report("stored next_obs", self._rows(self._obs, newest))

    def sample(self, stream: Stream, batch_size: int) -> Batch:
        heard = HeardStream(stream, lambda d: self.recorder.learn("sample", "replay draws", d))
        return super().sample(heard, batch_size)

    def _rows(self, column: Tensor, number: npt.NDArray[np.int64]) -> Array:
        """Rows [N, T] of a column as stored, [N, T, ...] on the host."""
        slots = torch.from_numpy((self._base[:, None] + number % self.rows).reshape(-1))
        rows = column.index_select(0, slots.to(column.device)).cpu().numpy()
        return rows.reshape(*number.shape, *column.shape[1:])

    def _report(self, name: str, stored: Array) -> None:
        self.digest = array_digest(stored, self.digest)
        self.recorder.learn("append", name, stored)


class ObservedAgent(Agent):
    """Reports Q-values of acting, and everything that goes into and comes out of an update."""

    recorder: Recorder
    _rows_of_update = 0

    def q_values(self, obs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        values = super().q_values(obs)
        self.recorder.act("acting obs", obs)
        self.recorder.act("acting Q-values", values)
        return values

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        first, self._rows_of_update = self.updates, len(batches.action) // updates
        self._by_update("replay indices", batches.slots, first)
        for name in ("obs", "action", "reward", "next_obs", "terminated"):
            self._by_update(f"batch {name}", getattr(batches, name), first)
        errors, values = super().learn(batches, updates)
        self._by_update("td error", errors.reshape(-1), first)
        return errors, values

    def td_target(self, batch: Batch) -> Tensor:
        first = self.updates
        with (
            _heard(self.online_net, "infer", lambda q: self._by_update("next Q-values", q, first)),
            _heard(
                self.target_net, "infer", lambda q: self._by_update("target Q-values", q, first)
            ),
        ):
            target = super().td_target(batch)
        self._by_update("td target", target, first)
        return target

    def update(self, obs: Tensor, target: Tensor, weight: Tensor) -> Tensor:

        def hear(result: tuple[Tensor, Pullback]) -> None:
            self._now("Q-values", result[0])

        with _heard(self.online_net, "vjp", hear):
            return super().update(obs, target, weight)

    def apply_gradients(self) -> None:
        update = self.updates + 1
        for name, parameter in self.online_net.named_parameters():
            if parameter.grad is not None:
                self._now(f"gradient of {name}", parameter.grad)
        self._now("learning rate", self.learning_rate)
        super().apply_gradients()
        for name, values in named_state(self):
            self.recorder.learn("update", name, values, update)

    def sync(self) -> None:
        super().sync()
        for name, parameter in self.target_net.named_parameters():
            self.recorder.learn("update", f"sync of {name}", parameter, self.updates)

    def _now(self, name: str, values: Tensor | Array | float) -> None:
        self.recorder.learn("update", name, values, self.updates + 1)

    def _by_update(self, name: str, rows: Tensor | Array, first: int) -> None:
        """Reports rows of several updates one by one; `first` were made before them."""
        size = self._rows_of_update
        if self.recorder.recording and size:
            for index in range(len(rows) // size):
                part = rows[index * size : (index + 1) * size]
                self.recorder.learn("update", name, part, first + index + 1)


def named_state(agent: Agent) -> Iterator[tuple[str, Tensor]]:
    """What an update changes: of each parameter what the optimizer remembers, then the weights.

    Moments of a vector that several parameters are parts of are given parameter by parameter.
    """
    named = list(agent.online_net.named_parameters())
    for leaf in agent.online_net.optimized_tensors:
        inside = [
            (name, (parameter.data_ptr() - leaf.data_ptr()) // leaf.element_size(), parameter)
            for name, parameter in named
            if 0 <= parameter.data_ptr() - leaf.data_ptr() < leaf.nbytes
        ]
        for entry, values in sorted(agent.optimizer.state.get(leaf, {}).items()):
            if values.shape != leaf.shape:
                yield f"optimizer {entry} of {inside[0][0]}", values
                continue
            for name, first, parameter in inside:
                whole = values.shape == parameter.shape
                part = values if whole else values[first : first + parameter.numel()]
                yield f"optimizer {entry} of {name}", part.view(parameter.shape)
    yield from ((f"weights of {name}", parameter) for name, parameter in named)


@contextmanager
def _heard(net: QNetwork, method: str, hear: EventCallback) -> Iterator[None]:
    """Reports what a method of a network returns, meanwhile."""
    before = net.__dict__.get(method)
    original = getattr(net, method)

    def heard(obs: Tensor) -> Any:
        result = original(obs)
        hear(result)
        return result

    net.__dict__[method] = heard
    try:
        yield
    finally:
        if before is None:
            del net.__dict__[method]
        else:
            net.__dict__[method] = before
