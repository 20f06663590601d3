"""Events: what a run did between two points, each by name with a digest and, if kept, its values.

Events are put in sections, each of one moment: an agent step of acting, an append to the replay
memory, a sample from it, or an update. Sections and the events in them are in causal order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dqn_core.digests import tensors_digest
from dqn_core.recipes.schema import Recipe

Array = npt.NDArray[Any]


class Moment(NamedTuple):
    """When something happened.

    Attributes:
        step: agent steps taken by then.
        phase: "start" (of a block), "act", "append", "sample" or "update".
        update: which one, counted from 1; 0 outside updates.
    """

    step: int
    phase: str
    update: int


class Event(NamedTuple):
    """Something that happened, by name.

    Attributes:
        name: such as "gradient of layers.0.weight".
        digest: of the values, from `tensors_digest`.
        dtype: as numpy names it.
        shape: of the values.
    """

    name: str
    digest: int
    dtype: str
    shape: tuple[int, ...]


@dataclass
class EventSection:
    """The events of one moment.

    Attributes:
        moment: when.
        events: in order.
        values: of each event, or empty where values are not kept.
    """

    moment: Moment
    events: list[Event] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)


class Recorder:
    """Takes events down, by moments.

    Args:
        recipe: of the run that is observed.
        keep_values: keep values besides their digests.
    """

    def __init__(self, recipe: Recipe, *, keep_values: bool) -> None:
        self._num_envs = recipe.loop.num_envs
        self._block_steps = recipe.loop.block_steps
        self._keep_values = keep_values
        self._sections: dict[Moment, EventSection] = {}
        self._start = 0
        self._tick = 0
        self.recording = False

    def begin_block(self, step: int, *, recording: bool) -> None:
        """Notes at which agent step the next block begins, and whether its events are recorded."""
        self._start, self._tick = step, 0
        self.recording = recording

    def next_tick(self) -> None:
        """Notes that every environment has taken a step."""
        self._tick += 1

    def start(self, name: str, values: Tensor | Array | float) -> None:
        """Takes down what the block began with."""
        self._record(Moment(self._start, "start", 0), name, values)

    def act(self, name: str, values: Tensor | Array | float) -> None:
        """Takes an event of acting down."""
        step = self._start + self._tick * self._num_envs
        self._record(Moment(step, "act", 0), name, values)

    def learn(self, phase: str, name: str, values: Tensor | Array | float, update: int = 0) -> None:
        """Takes an event down that comes after acting: of an append, a sample or an update."""
        self._record(Moment(self._start + self._block_steps, phase, update), name, values)

    def take(self) -> list[EventSection]:
        """The sections since this was last asked."""
        sections, self._sections = list(self._sections.values()), {}
        return sections

    def _record(self, moment: Moment, name: str, values: Tensor | Array | float) -> None:
        if not self.recording:
            return
        # Copies: what is observed goes on to change in place.
        tensor = values.detach() if isinstance(values, Tensor) else torch.tensor(np.array(values))
        kept: Array = tensor.cpu().contiguous().numpy()
        section = self._sections.setdefault(moment, EventSection(moment))
        event = Event(name, tensors_digest([tensor]), str(kept.dtype), kept.shape)
        section.events.append(event)
        if self._keep_values:
            section.values.append(kept.copy())


def chains(sections: list[EventSection]) -> Iterator[int]:
    """For each section a digest of it and of all before it."""
    chain = b""
    for section in sections:
        content = repr((section.moment, section.events)).encode()
        chain = hashlib.blake2b(chain + content, digest_size=8).digest()
        yield int.from_bytes(chain, "little")
