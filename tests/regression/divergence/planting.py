"""Single bits and single events, planted in a run: each knows where it struck.

Nothing here knows of tracing: plants are subclasses of the parts of a run and wrappers around its
networks, and when they strike is worked out from the recipe's arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from dqn_core.acting import Actor
from dqn_core.agent import Agent
from dqn_core.loop import Trainer
from dqn_core.recipes.schema import Recipe
from dqn_core.replay import Replay
from dqn_core.streams import Stream
from probes.subjects.core import Parts


@dataclass
class Plant:
    """One perturbation; `struck` is filled in by each run that has it.

    Attributes:
        recipe: of the run.
        at: when to strike, in updates, ticks, blocks, syncs or samples, as the kind has it.
        pick: chooses tensors and elements.
        bit: to be flipped.
        struck: (kind, step, update, event, element).
    """

    recipe: Recipe
    at: int
    pick: int
    bit: int
    struck: list[tuple[str, int, int, str, list[int] | None]] = field(default_factory=list)

    def at_update(self, update: int, event: str, element: Any, kind: str = "values") -> None:
        """Strikes in an update; those of a block come when its steps have been taken."""
        loop, warmup = self.recipe.loop, self.recipe.replay.warmup_steps
        first = -(-warmup // loop.block_steps) * loop.block_steps
        per_block = loop.block_steps // loop.train_period_steps
        step = first + (update - 1) // per_block * loop.block_steps
        where = None if element is None else [int(index) for index in element]
        self.struck.append((kind, step, update, event, where))

    def at_step(self, step: int, event: str, element: Any) -> None:
        self.struck.append(("values", step, 0, event, [int(index) for index in element]))

    def element(self, values: Any) -> tuple[int, ...]:
        """An element that is not zero, if there is one."""
        candidates = np.flatnonzero(np.asarray(values))
        candidates = candidates if len(candidates) else np.arange(values.size)
        chosen = candidates[self.pick % len(candidates)]
        return tuple(int(n) for n in np.unravel_index(chosen, values.shape))

    def name(self, agent: Agent) -> str:
        names = [name for name, _ in agent.online_net.named_parameters()]
        return names[self.pick % len(names)]


def flipped(tensor: torch.Tensor, plant: Plant) -> tuple[int, ...]:
    """Flips a bit of an element of a float32 tensor, in place."""
    element = plant.element(tensor.detach().numpy())
    value = tensor.detach()[element].reshape(1).clone()
    value.view(torch.int32).bitwise_xor_(1 << plant.bit)
    tensor.data[element] = value[0]
    return element


def weights(plant: Plant) -> Parts:
    class Planted(Agent):
        def apply_gradients(self) -> None:
            super().apply_gradients()
            if self.updates + 1 == plant.at:
                name = plant.name(self)
                element = flipped(self.online_net.get_parameter(name), plant)
                plant.at_update(plant.at, f"weights of {name}", element)

    return Parts(agent=Planted)


def gradient(plant: Plant) -> Parts:
    class Planted(Agent):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            original = self.online_net.vjp

            def vjp(obs: torch.Tensor) -> Any:
                q, pullback = original(obs)

                def planted(of_q: torch.Tensor) -> None:
                    pullback(of_q)
                    if self.updates + 1 == plant.at:
                        name = plant.name(self)
                        element = flipped(self.online_net.get_parameter(name).grad, plant)
                        plant.at_update(plant.at, f"gradient of {name}", element)

                return q, planted

            self.online_net.__dict__["vjp"] = vjp

    return Parts(agent=Planted)


def optimizer(plant: Plant) -> Parts:
    class Planted(Agent):
        def apply_gradients(self) -> None:
            super().apply_gradients()
            if self.updates + 1 != plant.at:
                return
            name = plant.name(self)
            moments, first = {}, 0
            for key, parameter in self.online_net.named_parameters():
                held = self.optimizer.state.get(parameter, {}).get("exp_avg_sq")
                if held is None:  # all in one vector
                    vector = next(iter(self.optimizer.state.values()))["exp_avg_sq"]
                    held = vector[first : first + parameter.numel()].view(parameter.shape)
                first += parameter.numel()
                moments[key] = held
            plant.at_update(plant.at, f"optimizer exp_avg_sq of {name}",
                            flipped(moments[name], plant))  # fmt: skip

    return Parts(agent=Planted)


def target_q_values(plant: Plant) -> Parts:
    class Planted(Agent):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            original = self.target_net.infer

            def infer(obs: torch.Tensor) -> torch.Tensor:
                q = original(obs).clone()
                if self.updates < plant.at <= self.updates + len(q) // plant_rows(plant):
                    rows = q[plant_row(plant, self.updates)]
                    # The largest of its row: the others have no part in anything.
                    largest = torch.where(rows == rows.amax(dim=1, keepdim=True), rows, 0.0)
                    element = flipped(largest, plant)
                    rows[element] = largest[element]
                    plant.at_update(plant.at, "target Q-values", element)
                return q

            self.target_net.__dict__["infer"] = infer

    return Parts(agent=Planted)


def td_target(plant: Plant) -> Parts:
    class Planted(Agent):
        def td_target(self, batch: Any) -> torch.Tensor:
            target = super().td_target(batch).clone()
            if self.updates < plant.at <= self.updates + len(target) // plant_rows(plant):
                element = flipped(target[plant_row(plant, self.updates)], plant)
                plant.at_update(plant.at, "td target", element)
            return target

    return Parts(agent=Planted)


def plant_rows(plant: Plant) -> int:
    return plant.recipe.replay.batch_size


def plant_row(plant: Plant, updates: int) -> slice:
    """The rows of the update to be struck among those of all updates that come after some."""
    size = plant_rows(plant)
    first = (plant.at - updates - 1) * size
    return slice(first, first + size)


def q_values(plant: Plant) -> Parts:
    class Planted(Agent):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            original = self.online_net.vjp

            def vjp(obs: torch.Tensor) -> Any:
                q, pullback = original(obs)
                if self.updates + 1 == plant.at:
                    q = q.clone()
                    # Of the action that was taken in row 0, any: both are flipped there.
                    q[0] = -q[0]
                    plant.at_update(plant.at, "Q-values", (0, 0))
                return q, pullback

            self.online_net.__dict__["vjp"] = vjp

    return Parts(agent=Planted)


def sync_skipped(plant: Plant) -> Parts:
    class Planted(Agent):
        def __getattribute__(self, name: str) -> Any:
            # `sync` is not called at all: it is not there to be called.
            if name == "sync" and "updates" in self.__dict__ and self.updates == strike:
                first = next(iter(self.online_net.named_parameters()))[0]
                plant.at_update(strike, f"sync of {first}", None, "missing in b")
                return lambda: None
            return super().__getattribute__(name)

    strike = plant.recipe.loop.sync_period_updates * plant.at
    return Parts(agent=Planted)


def sync_added(plant: Plant) -> Parts:
    class Planted(Agent):
        def update(self, *args: torch.Tensor) -> torch.Tensor:
            q = super().update(*args)
            if self.updates == plant.at:
                self.sync()
                first = next(iter(self.online_net.named_parameters()))[0]
                plant.at_update(plant.at, f"sync of {first}", None, "missing in a")
            return q

    return Parts(agent=Planted)


def learning_rate(plant: Plant) -> Parts:
    class Planted(Agent):
        def update(self, *args: torch.Tensor) -> torch.Tensor:
            if self.updates + 1 == plant.at:
                self.optimizer.param_groups[0]["lr"] *= 1.0 + 2.0**-20
                plant.at_update(plant.at, "learning rate", ())
            return super().update(*args)

    return Parts(agent=Planted)


def _trainer(begins: dict[str, int]) -> type[Trainer]:
    """Tells at which step the segment begins that an actor is made for."""

    class Telling(Trainer):
        def segment(self) -> Any:
            begins["step"] = self.step
            yield from super().segment()

    return Telling


def _actor(plant: Plant, tick: Callable[[Any, Any, bool], Any]) -> Parts:
    begins: dict[str, int] = {}

    class Planted(Actor):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.ticks = begins["step"] // plant.recipe.loop.num_envs

        def _tick(self, action: Any, *, truncate_last: bool) -> Any:
            self.ticks += 1
            strikes = self.ticks - 1 == plant.at
            return (
                tick(super()._tick, action, truncate_last)
                if strikes
                else super()._tick(action, truncate_last=truncate_last)
            )

    return Parts(actor=Planted, trainer=_trainer(begins))


def reward(plant: Plant) -> Parts:
    def tick(original: Any, action: Any, truncate_last: bool) -> Any:
        came = original(action, truncate_last=truncate_last)
        plant.at_step(plant.at * plant.recipe.loop.num_envs, "reward", (0,))
        changed = came.reward.copy()
        changed[0] = -changed[0]
        return came._replace(reward=changed)

    return _actor(plant, tick)


def action(plant: Plant) -> Parts:
    def tick(original: Any, action: Any, truncate_last: bool) -> Any:
        plant.at_step(plant.at * plant.recipe.loop.num_envs, "action", (0,))
        changed = action.copy()
        changed[0] = (changed[0] + 1) % 2
        return original(changed, truncate_last=truncate_last)

    return _actor(plant, tick)


def next_obs(plant: Plant) -> Parts:
    def tick(original: Any, action: Any, truncate_last: bool) -> Any:
        came = original(action, truncate_last=truncate_last)
        changed = came.next_obs.copy()
        element = plant.element(changed)
        changed[element] = -changed[element] if changed.dtype.kind == "f" else ~changed[element]
        plant.at_step(plant.at * plant.recipe.loop.num_envs, "next_obs", element)
        return came._replace(next_obs=changed)

    return _actor(plant, tick)


def explore_draws(plant: Plant) -> Parts:
    """Strikes while warming up, when every random action is taken."""
    begins: dict[str, int] = {}

    class Altered(Stream):
        def __init__(self, stream: Stream) -> None:
            self.inner, self.blocks = stream, 0

        def uniform(self, *shape: int) -> Any:
            drawn = self.inner.uniform(*shape)
            self.blocks += 1
            if self.blocks == plant.at + 1 and begins["step"] == 0:
                tick = plant.pick % shape[0]
                drawn[tick, 1, 0] = (drawn[tick, 1, 0] + 0.5) % 1.0
                step = plant.at * plant.recipe.loop.block_steps
                plant.at_step(step, "explore draws", (tick, 1, 0))
            return drawn

    class Planted(Actor):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self._stream = Altered(self._stream)

    return Parts(actor=Planted, trainer=_trainer(begins))


def dropped_transition(plant: Plant) -> Parts:
    class Planted(Replay):
        ticks = 0
        struck = False

        def append(self, *columns: Any) -> None:
            before, self.ticks = self.ticks, self.ticks + len(columns[0])
            if len(columns[0]) > 1 and before >= plant.at and not self.struck:
                self.struck = True
                columns = tuple(column[1:] for column in columns)
                plant.at_step(_end_of_block(plant, before), "replay counters", (0,))
            super().append(*columns)

    return Parts(replay=Planted)


def stored_reward(plant: Plant) -> Parts:
    class Planted(Replay):
        ticks = 0

        def append(self, *columns: Any) -> None:
            before, self.ticks = self.ticks, self.ticks + len(columns[0])
            super().append(*columns)
            if before <= plant.at < self.ticks:
                slot = (self._num_rows[0] - 2) % self.rows
                self._reward[slot] += 1.0
                element = (0, len(columns[0]) - 1)
                plant.at_step(_end_of_block(plant, before), "stored reward", element)

    return Parts(replay=Planted)


def _end_of_block(plant: Plant, ticks: int) -> int:
    loop = plant.recipe.loop
    return (ticks * loop.num_envs // loop.block_steps + 1) * loop.block_steps


def _sampling(plant: Plant, change: Callable[[Any, int], Any], event: str) -> Parts:
    """Strikes in row `pick` of the sample of a block; one is taken per block."""
    size, loop = plant.recipe.replay.batch_size, plant.recipe.loop
    per_block = loop.block_steps // loop.train_period_steps

    class Planted(Replay):
        samples = 0

        def sample(self, stream: Stream, batch_size: int) -> Any:
            batch = super().sample(stream, batch_size)
            self.samples += 1
            if self.samples != plant.at:
                return batch
            row = plant.pick % batch_size
            changed, element = change(batch, row)
            update = (plant.at - 1) * per_block + row // size + 1
            plant.at_update(update, event, (row % size, *element))
            return changed

    return Parts(replay=Planted)


def batch_reward(plant: Plant) -> Parts:
    def change(batch: Any, row: int) -> Any:
        rewards = batch.reward.clone()
        rewards[row] -= 1.0
        return replace(batch, reward=rewards), ()

    return _sampling(plant, change, "batch reward")


def batch_obs(plant: Plant) -> Parts:
    def change(batch: Any, row: int) -> Any:
        window = batch.window.clone()
        oldest = window[row, 0].numpy()  # of the observation alone: the next one has others
        # Not of the margin, which no convolution of this network looks at.
        element = plant.element(oldest[tuple(slice(24) for _ in oldest.shape)])
        oldest[element] = -oldest[element] if oldest.dtype.kind == "f" else ~oldest[element]
        stack = (0,) if oldest.ndim == 2 else ()
        return replace(batch, window=window), (*stack, *element)

    return _sampling(plant, change, "batch obs")


def index_off_by_one(plant: Plant) -> Parts:
    size, loop = plant.recipe.replay.batch_size, plant.recipe.loop
    per_block = loop.block_steps // loop.train_period_steps

    class Planted(Replay):
        samples = 0

        def gather(self, env: Any, row: Any) -> Any:
            self.samples += 1
            if self.samples == plant.at:
                which = plant.pick % len(row)
                known = [r for e, r in zip(*self.transitions(), strict=True) if e == env[which]]
                place = known.index(row[which])
                row = row.copy()
                row[which] = known[place - 1] if place else known[1]
                update = (plant.at - 1) * per_block + which // size + 1
                plant.at_update(update, "replay indices", (which % size,))
            return super().gather(env, row)

    return Parts(replay=Planted)
